"""k8s/ and the target kuberay on a real API server, scheduler, controllers and kubelet of Kubernetes 1.20.

KubeRay's operator is a stand-in. CronJobs are v1beta1 there, and have no time zone: that one field is taken out.
"""

from __future__ import annotations

import json
import os
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from orchestrator.records import read_run
from tests.deployment.validators import ROOT, rendered
from tests.integration.kubernetes.conftest import Node

pytestmark = pytest.mark.slow
OVERLAYS = sorted(file.parent for file in (ROOT / "k8s/overlays").glob("*/kustomization.yaml"))
ACCOUNT = "--as=system:serviceaccount:tuning:orchestrator-schedule"
SOMEONE = 10001


def for_old_server(manifest: dict[str, Any]) -> dict[str, Any]:
    if manifest["kind"] == "CronJob":
        manifest["apiVersion"] = "batch/v1beta1"
        del manifest["spec"]["timeZone"]
    return manifest


@pytest.fixture(scope="module")
def volume(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The claim of all runs, on a folder of this machine that the Pods' user may write."""
    folder = tmp_path_factory.mktemp("runs")
    os.chown(folder, SOMEONE, SOMEONE)
    spec = {
        "capacity": {"storage": "50Gi"}, "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "hostPath": {"path": str(folder)},
    }  # fmt: skip
    persistent = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "runs"},
        "spec": spec,
    }
    node.apply([persistent, *rendered(ROOT / "k8s/base/pvc")])
    return folder


@pytest.mark.parametrize("overlay", OVERLAYS, ids=[each.name for each in OVERLAYS])
def test_the_server_takes_an_overlay(node: Node, overlay: Path):
    text = yaml.safe_dump_all(map(for_old_server, rendered(overlay)))
    apply = ["--namespace=tuning", "apply", "--dry-run=server", "--filename=-"]
    said = node.kubectl(*apply, standard_input=text)
    assert said.count("server dry run") == len(rendered(overlay))


def test_the_server_refuses_a_rayjob_of_a_wrong_type(node: Node):
    job = next(each for each in rendered(ROOT / "k8s/overlays/kind") if each["kind"] == "RayJob")
    job["spec"]["backoffLimit"] = "often"
    ended = node.run(
        "kubectl", "--namespace=tuning", "create", "--dry-run=server", "--validate=false", "--filename=-",
        standard_input=yaml.safe_dump(job),
    )  # fmt: skip
    assert ended.returncode != 0 and "backoffLimit" in ended.stderr


def test_the_schedule_s_account_creates_rayjobs_and_can_do_nothing_else(node: Node):
    node.apply([for_old_server(each) for each in rendered(ROOT / "k8s/base/cronjob")])

    def may(*what: str) -> bool:
        return bool(node.run("kubectl", "auth", "can-i", ACCOUNT, *what).stdout.strip() == "yes")

    assert may("--namespace=tuning", "create", "rayjobs.ray.io")
    for verb in ("get", "list", "watch", "update", "patch", "delete", "deletecollection"):
        assert not may("--namespace=tuning", verb, "rayjobs.ray.io"), verb
    for kind in (
        "rayclusters.ray.io",
        "pods",
        "jobs.batch",
        "secrets",
        "configmaps",
        "roles.rbac.authorization.k8s.io",
    ):
        assert not may("--namespace=tuning", "create", kind), kind
        assert not may("--namespace=tuning", "get", kind), kind
    assert not may("--namespace=default", "create", "rayjobs.ray.io")


def test_a_tick_of_the_schedule_creates_its_rayjob_with_that_account(node: Node, tmp_path: Path):
    manifests = tmp_path / "rayjob.yaml"
    manifests.write_text(yaml.safe_dump_all(rendered(ROOT / "k8s/overlays/kind")))
    tuning = "--namespace=tuning"
    node.kubectl(tuning, "create", "configmap", "scheduled-rayjob", f"--from-file={manifests}")
    schedule = [for_old_server(each) for each in rendered(ROOT / "k8s/base/cronjob")]
    (cronjob,) = (each for each in schedule if each["kind"] == "CronJob")
    cronjob["spec"]["schedule"] = "* * * * *"
    node.apply(schedule)
    names: list[str] = []
    deadline = time.monotonic() + 180
    while not names and time.monotonic() < deadline:
        time.sleep(1)
        names = node.kubectl(tuning, "get", "rayjobs", "--output=name").split()
    cronjob["spec"]["suspend"] = True
    node.apply([cronjob])
    name = names[0].rpartition("/")[2]
    assert name.startswith("orchestrator-schedule-")
    tick = name.removesuffix("-run")
    assert tick != name, "the Job that submits would have the tick's name"
    assert node.kubectl(tuning, "logs", f"job/{tick}") == f"{name}: created\n"
    created = json.loads(node.kubectl(tuning, "get", "rayjob", name, "--output=json"))
    assert created["spec"]["entrypoint"].endswith(f"--or-resume --set name={name}")
    node.kubectl(tuning, "delete", "job", tick)  # which owns its RayJob
    deadline = time.monotonic() + 60
    while node.kubectl(tuning, "get", "rayjobs", "--output=name") and time.monotonic() < deadline:
        time.sleep(1)
    assert node.kubectl(tuning, "get", "rayjobs", "--output=name") == ""


def test_a_submitted_experiment_runs_in_pods_to_its_table(
    node: Node, volume: Path, tmp_path: Path, operator
):
    group = {"cpus": 1, "memory": "3Gi", "replicas": 1}
    target = {
        "namespace": "tuning", "image": "orchestrator:0.1.0", "cpus": 0.2, "memory": "3Gi",
        "workers": [group], "results": str(volume),
    }  # fmt: skip
    experiment = {
        "name": "small", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 3,
        "caviar": {"num_samples": 4}, "target": {"kuberay": target},
    }  # fmt: skip
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(experiment))

    def orchestrator(*arguments: str | Path) -> str:
        where = ["env", f"PYTHONPATH={ROOT}", f"XDG_STATE_HOME={tmp_path}"]
        ended = node.run(*where, sys.executable, "-m", "orchestrator", *arguments)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)

    began = time.time()
    handle = orchestrator("submit", file).strip()
    assert handle == "kuberay://tuning/small"
    assert "queued (not seen by KubeRay yet)" in orchestrator("status", handle)
    operator("small")
    first = read_run(volume / "small").epochs[0]["time"]
    print(f"first epoch {datetime.fromisoformat(first).timestamp() - began:.1f} s after submit")
    assert "finished (Complete, SUCCEEDED)" in orchestrator("status", handle)
    assert "Winner: trial" in orchestrator("logs", handle)
    assert len(json.loads(orchestrator("table", volume / "small", "--format", "json"))) == 4
    assert {path.stat().st_uid for path in (volume / "small").rglob("*")} == {SOMEONE}
    # The ConfigMap goes with its RayJob.
    node.kubectl("--namespace=tuning", "delete", "rayjob", "small")
    gone = ["--namespace=tuning", "get", "configmap", "small-experiment", "--ignore-not-found"]
    deadline = time.monotonic() + 60
    while node.kubectl(*gone) and time.monotonic() < deadline:
        time.sleep(1)
    assert node.kubectl(*gone) == ""
