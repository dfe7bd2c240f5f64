"""A RayJob on Kubernetes: KubeRay makes a cluster for the run, and removes it when the run has ended."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, cast

import yaml

from orchestrator.config.targets import KubeRayOptions
from orchestrator.errors import PlaceError, RunExistsError, UnknownNameError
from orchestrator.targets.job import LOST, Job, JobState, State
from orchestrator.targets.kuberay.client import Cluster
from orchestrator.targets.kuberay.rayjob import KUEUE, manifests
from orchestrator.targets.target import Submission

SEES_OUR_FILES = False
POLITE_SECONDS = 180
"""How long a cluster may take to end: its Pods have 90 seconds for what preStop does."""
NATIVE: Mapping[str, State] = {
    "": "queued",
    "Initializing": "queued",
    "Waiting": "queued",
    "Retrying": "queued",
    "Running": "running",
    "Complete": "finished",
    "Failed": "failed",
    "ValidationFailed": "failed",
    "Suspending": "running",
    "Suspended": "stopped",
}
"""KubeRay's words for a RayJob; one that is complete is judged by Ray's own word too."""
RAYS: Mapping[str, State] = {
    "PENDING": "queued",
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "FAILED": "failed",
    "STOPPED": "stopped",
}


class _Readable(yaml.SafeDumper):
    """Writes text of several lines as lines, and no value as a reference to another."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that nothing is shared."""
        return True


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def prepare(submission: Submission) -> str:
    """Return the manifests: the ConfigMap of what is sent, and the RayJob."""
    text: str = yaml.dump_all(manifests(submission), Dumper=_Readable, sort_keys=False, width=120)
    return text


def submit(submission: Submission) -> Job:
    """Create them and return the RayJob. One of the same name that has ended is replaced."""
    options = cast(KubeRayOptions, submission.options)
    config_map, rayjob = manifests(submission)
    cluster = Cluster(options.context, options.namespace)
    name = rayjob["metadata"]["name"]
    there = cluster.rayjob(name)
    if there is not None and _state(there).active:
        raise RunExistsError(
            f"kuberay://{options.namespace}/{name}: expected no RayJob of that name under way. Received: one"
            " of another run or storage. Choose another name with '--set name=...'."
        )
    if there is not None:
        cluster.delete_rayjob(name, POLITE_SECONDS)
        _await_end(cluster, name)
    cluster.put_config_map(config_map)
    created = cluster.create_rayjob(rayjob)
    cluster.own_config_map(config_map["metadata"]["name"], created)
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"context": options.context}
    return Job(
        "kuberay", f"{options.namespace}/{name}", submission.run, now, submission.results, about
    )


def state(job: Job) -> JobState:
    """Return how the RayJob stands."""
    found = _cluster(job).rayjob(_name(job))
    if found is not None:
        return _state(found)
    if not job.known:
        raise UnknownNameError(
            f"{job.handle}: expected a RayJob of that namespace. Received: one that the cluster does not know."
        )
    return LOST


def logs(job: Job, follow: bool) -> Iterator[str]:
    """Yield what the Pod that submits to the cluster tells of the run; ``follow`` goes on with each new one."""
    if follow:
        return _followed(job)
    queued = state(job).state == "queued"
    pod = _submitter(job)
    if pod is None and not queued:
        raise _gone(job)
    return iter(()) if pod is None else _cluster(job).log(pod, follow=False)


def _followed(job: Job) -> Iterator[str]:
    told = None
    while True:
        active = state(job).active  # asked first: the last Pod begins before the end
        pod = _submitter(job)
        if pod is not None and pod != told:
            yield from _cluster(job).log(pod, follow=True)
            told = pod
        elif active:
            time.sleep(1)
        elif told is None:
            raise _gone(job)
        else:
            return


def _submitter(job: Job) -> str | None:
    """Return the Pod that submits: a new one after each failure, of its Job or of the whole cluster."""
    return _cluster(job).newest_pod(f"job-name={_name(job)}")


def _gone(job: Job) -> PlaceError:
    return PlaceError(f"{job.handle}: expected the submitter's Pod. Received: it is gone.")


def stop(job: Job) -> None:
    """Suspend the RayJob, which removes its cluster; with a queue of Kueue, which would wake it, delete it.

    Either way KubeRay is done before the Pods are: the head's interrupts the driver, and has a minute and a half.
    """
    cluster = _cluster(job)
    name = _name(job)
    found = cluster.rayjob(name)
    if found is None:
        return
    if KUEUE in found["metadata"].get("labels", {}):
        cluster.delete_rayjob(name, POLITE_SECONDS)
    else:
        cluster.suspend_rayjob(name)
    _await_end(cluster, name)


def _await_end(cluster: Cluster, name: str) -> None:
    """Wait until a RayJob is neither under way nor has a head left, where the driver may still be writing."""
    deadline = time.monotonic() + POLITE_SECONDS
    while word := _unended(cluster, name):
        if time.monotonic() > deadline:
            raise PlaceError(
                f"kuberay://{cluster.namespace}/{name}: expected it to end within {POLITE_SECONDS} seconds."
                f" Received: {word}. Does KubeRay's operator run?"
            )
        time.sleep(1)


def _unended(cluster: Cluster, name: str) -> str | None:
    """Return in a word what of a RayJob has not ended yet, or None."""
    found = cluster.rayjob(name)
    if found is not None and (current := _state(found)).active:
        return current.native
    heads = cluster.pods(f"app.kubernetes.io/instance={name},ray.io/node-type=head")
    return f"{heads[0].metadata.name} is still there" if heads else None


def _cluster(job: Job) -> Cluster:
    namespace, _, name = job.id.rpartition("/")
    if not namespace or "/" in namespace or not name:
        raise UnknownNameError(
            f"{job.handle}: expected kuberay://NAMESPACE/NAME. Received: {job.id!r}."
        )
    return Cluster(job.about.get("context"), namespace)


def _name(job: Job) -> str:
    return job.id.rpartition("/")[2]


def _state(found: Mapping[str, Any]) -> JobState:
    """Return the state that a RayJob's status tells."""
    status = found.get("status") or {}
    word, rays = status.get("jobDeploymentStatus", ""), status.get("jobStatus", "")
    judged = NATIVE.get(word, "running")
    if word == "Complete" or (word == "Running" and rays == "PENDING"):
        # Elsewhere Ray's last words are not KubeRay's: what failed may be tried again.
        judged = RAYS.get(rays, judged)
    if word == "Suspended" and KUEUE in found["metadata"].get("labels", {}):
        judged = "queued"  # Kueue holds it back until there is room
    native = f"{word or 'not seen by KubeRay yet'}{', ' + rays if rays else ''}"
    return JobState(judged, native, status.get("message") or status.get("reason") or None)
