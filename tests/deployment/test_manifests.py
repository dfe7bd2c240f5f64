"""k8s/: what an operator applies is what a strict server takes, and no Pod may do more than it must."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.validators import (
    ROOT,
    Manifest,
    faults,
    noticed_after_seconds,
    pods,
    rendered,
)

K8S = ROOT / "k8s"
FOLDERS = sorted(file.parent for file in K8S.rglob("kustomization.yaml"))
NAMES = [folder.relative_to(K8S).as_posix() for folder in FOLDERS]
OF_THE_ISSUE = {"base/rayjob", "base/raycluster", "base/cronjob", "base/pvc"} | {
    "overlays/cpu", "overlays/gpu", "overlays/kind"
}  # fmt: skip


def job(overlay: str) -> Manifest:
    return next(each for each in rendered(K8S / "overlays" / overlay) if each["kind"] == "RayJob")


def every_pod() -> list[Any]:
    return [
        pytest.param(pod, id=f"{name}:{manifest['kind']}:{container}")
        for folder, name in zip(FOLDERS, NAMES, strict=True)
        for manifest in rendered(folder)
        for container, pod in pods(manifest)
    ]


PODS = every_pod()
NODES = [each for each in PODS if each.id.endswith(("ray-head", "ray-worker"))]


def test_the_folders_that_are_promised_are_there():
    assert set(NAMES) >= OF_THE_ISSUE


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_every_base_and_overlay_is_taken_by_a_strict_server(folder: Path):
    assert faults(rendered(folder)) == []


def test_pods_are_found_in_every_kind_that_has_some():
    assert {param.id.split(":")[1] for param in PODS} == {"RayJob", "RayCluster", "CronJob"}


@pytest.mark.parametrize("pod", PODS)
def test_no_pod_runs_as_root_or_asks_for_a_privilege(pod: dict[str, Any]):
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


@pytest.mark.parametrize("pod", PODS)
def test_every_container_says_what_it_needs_and_where_it_ends(pod: dict[str, Any]):
    for container in pod["containers"]:
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]
        assert ":" in container["image"].rpartition("/")[2], "an image without a tag is any image"


@pytest.mark.parametrize("pod", NODES)
def test_a_node_of_ray_is_probed_and_a_head_notices_a_cut_cable(pod: dict[str, Any]):
    container = pod["containers"][0]
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
    variables = {each["name"]: each["value"] for each in container.get("env", [])}
    noticing = {name for name in variables if name.startswith("RAY_health_check_")}
    assert len(noticing) == (4 if container["name"] == "ray-head" else 0)
    if noticing:
        assert noticed_after_seconds(variables) <= 5, "as the comment beside it says"


@pytest.mark.parametrize("pod", NODES)
def test_a_node_of_ray_ends_politely(pod: dict[str, Any]):
    (container,) = pod["containers"]
    assert container["lifecycle"] == {"preStop": {"exec": {"command": ["polite-end"]}}}
    image = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
    assert "docker/polite_end.py /usr/local/bin/polite-end\n" in image
    (seconds,) = re.findall(r"^SECONDS = (\d+)", (ROOT / "docker/polite_end.py").read_text(), re.M)
    assert pod["terminationGracePeriodSeconds"] >= int(seconds) + 10
    variables = {each["name"]: each["value"] for each in container.get("env", [])}
    if container["name"] == "ray-head":
        assert variables["RAY_JOB_STOP_WAIT_TIME_S"] == "60"


@pytest.mark.parametrize("overlay", ["cpu", "gpu", "kind"])
def test_a_job_can_be_retried_is_removed_and_asks_for_a_token(overlay: str):
    spec = job(overlay)["spec"]
    assert spec["entrypoint"].endswith("--or-resume")
    assert spec["backoffLimit"] >= 1
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] <= 60, "head, workers and GPUs wait as long"
    assert spec["rayClusterSpec"]["authOptions"] == {"mode": "token"}
    for _, pod in pods(spec["rayClusterSpec"]):
        assert {"name": "runs", "persistentVolumeClaim": {"claimName": "orchestrator-runs"}} in pod[
            "volumes"
        ]


def test_the_standing_cluster_is_made_of_a_job_s_pods():
    base = {each["kind"]: each for each in rendered(K8S / "base/rayjob")}["RayJob"]
    (standing,) = rendered(K8S / "base/raycluster")
    ours = dict(pods(base["spec"]["rayClusterSpec"]))
    for name, pod in pods(standing):
        expected = copy.deepcopy(ours[name])
        expected["volumes"] = [each for each in expected["volumes"] if each["name"] != "experiment"]
        mounts = expected["containers"][0]["volumeMounts"]
        expected["containers"][0]["volumeMounts"] = [
            each for each in mounts if each["name"] != "experiment"
        ]
        if name == "ray-head":
            del expected["automountServiceAccountToken"]  # the autoscaler speaks to the API server
        assert pod == expected


def test_the_head_alone_reaches_the_api_server():
    everyone, head = rendered(K8S / "base/network")
    assert [each.get("ports") for each in everyone["spec"]["egress"]] == [
        None,
        [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}],
    ]
    everyones = everyone["spec"]["podSelector"]["matchLabels"]
    assert head["spec"]["podSelector"]["matchLabels"] == everyones | {"ray.io/node-type": "head"}
    (opened,) = head["spec"]["egress"]
    assert {each["port"] for each in opened["ports"]} == {443, 6443}
    assert "ingress" not in head["spec"] and head["spec"]["policyTypes"] == ["Egress"]


def test_the_schedule_never_overlaps_and_its_account_creates_rayjobs_and_nothing_else():
    manifests = {each["kind"]: each for each in rendered(K8S / "base/cronjob")}
    assert manifests["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
    assert manifests["Role"]["rules"] == [
        {"apiGroups": ["ray.io"], "resources": ["rayjobs"], "verbs": ["create"]}
    ]
    account = manifests["ServiceAccount"]["metadata"]["name"]
    (pod,) = (pod for _, pod in pods(manifests["CronJob"]))
    assert pod["serviceAccountName"] == account
    assert manifests["RoleBinding"]["subjects"] == [{"kind": "ServiceAccount", "name": account}]


def test_the_experiment_of_the_manifests_is_the_example():
    assert (K8S / "base/rayjob/experiment.yaml").read_bytes() == (
        ROOT / "examples/digits.yaml"
    ).read_bytes()


def test_no_token_or_password_stands_in_a_manifest():
    for file in K8S.rglob("*.yaml"):
        for manifest in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            assert manifest["kind"] != "Secret" if "kind" in manifest else True


def misspelt(spec: Manifest) -> None:
    spec["backofLimit"] = spec.pop("backoffLimit")


def of_a_wrong_type(spec: Manifest) -> None:
    spec["ttlSecondsAfterFinished"] = "soon"


def of_an_unknown_mode(spec: Manifest) -> None:
    spec["rayClusterSpec"]["authOptions"]["mode"] = "password"


def without_a_name(spec: Manifest) -> None:
    del spec["rayClusterSpec"]["workerGroupSpecs"][0]["groupName"]


def misspelt_deep_inside(spec: Manifest) -> None:
    pod = spec["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    pod["containers"][0]["readynessProbe"] = pod["containers"][0].pop("readinessProbe")


@pytest.mark.parametrize(
    "break_it",
    [misspelt, of_a_wrong_type, of_an_unknown_mode, without_a_name, misspelt_deep_inside],
)
def test_a_broken_rayjob_is_refused(break_it: Callable[[Manifest], None]):
    broken = copy.deepcopy(job("kind"))
    break_it(broken["spec"])
    assert len(faults([broken])) == 1


@pytest.mark.parametrize("key", ["concurrencyPolicy", "jobTemplate"])
def test_a_broken_cronjob_is_refused(key: str):
    broken = {each["kind"]: each for each in rendered(K8S / "base/cronjob")}["CronJob"]
    broken["spec"][f"{key}s"] = broken["spec"].pop(key)
    assert faults([broken])


def test_an_unknown_kind_is_refused():
    assert faults([{"apiVersion": "ray.io/v1", "kind": "RayJobs", "metadata": {"name": "x"}}])
    assert faults([{"apiVersion": "batch/v1", "kind": "RayJob", "metadata": {"name": "x"}}])
