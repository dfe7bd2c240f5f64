"""Create the RayJob of a tick of the schedule: ``create_rayjob.py MANIFESTS TICK UID [RUN]``, in a Pod.

MANIFESTS is any rendered set that holds one RayJob. The RayJob and its run are named after the tick, so that each
tick is a run of its own and a tick that is tried again creates nothing twice. The tick's Job, of that UID, owns its
RayJob: Kubernetes removes both together, and no account needs the right to. With RUN, the RayJob re-evaluates that run
in the volume instead of making one of its own; what it decides is in the run's history, and is no failed RayJob.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LONGEST_NAME = 47  # KubeRay's: it adds to it for the cluster and its services
MARK = "-run"  # KubeRay's Job that submits has the RayJob's name, which must not be the tick's


def job_of_tick(manifests: str, tick: str, uid: str, run: str = "") -> dict[str, Any]:
    """Return the RayJob among ``manifests`` as the one of this tick."""
    jobs = [each for each in yaml.safe_load_all(manifests) if each and each["kind"] == "RayJob"]
    if len(jobs) != 1:
        sys.exit(f"expected one RayJob in the manifests. Received: {len(jobs)}.")
    job: dict[str, Any] = jobs[0]
    name = tick[-(LONGEST_NAME - len(MARK)) :].lstrip("-.") + MARK
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": tick, "uid": uid}
    labels = job["metadata"].get("labels", {})
    job["metadata"] = {"name": name, "labels": labels, "ownerReferences": [owner]}
    job["spec"]["entrypoint"] = (
        reevaluation(job, run) or f"{job['spec']['entrypoint']} --set name={name}"
    )
    return job


def reevaluation(job: dict[str, Any], run: str) -> str:
    """Return the command that re-evaluates a run where the RayJob keeps its runs; empty without one."""
    if not run:
        return ""
    given = job["spec"]["entrypoint"].split()
    places = [each.partition("=")[2] for each in given if each.startswith("storage_path=")]
    return f"orchestrator reevaluate {run} --storage {places[0] if places else 'runs'} --exit-zero"


def create(job: dict[str, Any], account: Path = ACCOUNT) -> str:
    """Send the RayJob to the API server with the Pod's own account; return what became of it."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    namespace = (account / "namespace").read_text(encoding="utf-8").strip()
    token = (account / "token").read_text(encoding="utf-8").strip()
    request = urllib.request.Request(
        f"https://{host}:{port}/apis/ray.io/v1/namespaces/{namespace}/rayjobs?fieldValidation=Strict",
        data=json.dumps(job).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    context = ssl.create_default_context(cafile=str(account / "ca.crt"))
    try:
        urllib.request.urlopen(request, timeout=60, context=context).close()  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code == 409:
            return f"{job['metadata']['name']}: there already"
        sys.exit(f"{job['metadata']['name']}: {error.code} {error.read().decode()}")
    return f"{job['metadata']['name']}: created"


if __name__ == "__main__":
    rendered = Path(sys.argv[1]).read_text(encoding="utf-8")
    print(create(job_of_tick(rendered, *sys.argv[2:])))
