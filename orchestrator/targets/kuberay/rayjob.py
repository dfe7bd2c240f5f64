"""The RayJob of a submission: the bundled ``k8s/base/rayjob``, changed as data."""

from __future__ import annotations

import copy
import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from typing import Any, cast

import yaml

from orchestrator.catalog import bundled_folder
from orchestrator.config.targets import KubeRayOptions, WorkerGroupOptions
from orchestrator.errors import ExperimentFileError
from orchestrator.targets.target import EXPERIMENT_FILE, Submission, check_size

KUEUE = "kueue.x-k8s.io/queue-name"
LONGEST_NAME = 47
"""KubeRay's: it adds to it for the cluster and its services."""
_MOUNTED = "/experiment"
Manifest = dict[str, Any]


def manifests(submission: Submission) -> tuple[Manifest, Manifest]:
    """Return the ConfigMap of what is sent and the RayJob that reads it. Pure."""
    options = cast(KubeRayOptions, submission.options)
    check_size(submission.files, options.most_megabytes, "target.kuberay")
    name = resource_name(submission.run)
    config_map, items = _config_map(submission, name)
    rayjob = _read("rayjob/rayjob.yaml")
    rayjob["metadata"] |= {"name": name, "namespace": options.namespace}
    spec = rayjob["spec"]
    spec["entrypoint"] = f"orchestrator run {_MOUNTED}/{EXPERIMENT_FILE} --or-resume"
    spec["backoffLimit"] = options.retries
    spec["ttlSecondsAfterFinished"] = options.ttl_seconds
    spec.pop("activeDeadlineSeconds")
    if options.time_limit_seconds is not None:
        spec["activeDeadlineSeconds"] = options.time_limit_seconds
    if options.queue is not None:
        rayjob["metadata"]["labels"][KUEUE] = options.queue
    volume = {"name": config_map["metadata"]["name"], "items": items}
    _fill_cluster(spec["rayClusterSpec"], options, volume)
    for template in _templates(spec):
        template["metadata"]["labels"]["app.kubernetes.io/instance"] = name
        _fill_pod(template["spec"], options)
    rayjob["metadata"]["labels"]["app.kubernetes.io/instance"] = name
    return config_map, rayjob


def resource_name(run: str) -> str:
    """Return a run's name as Kubernetes takes one; where that changes it, with a mark of the original."""
    name = re.sub(r"[^a-z0-9-]+", "-", run.lower()).strip("-")
    if name == run and len(name) <= LONGEST_NAME and name[0].isalpha():
        return name
    mark = hashlib.sha256(run.encode()).hexdigest()[:6]
    start = name[: LONGEST_NAME - 11].strip("-")
    return f"run-{start}-{mark}".replace("--", "-")


def _read(file: str) -> Manifest:
    text = (bundled_folder("k8s") / "base" / file).read_text(encoding="utf-8")
    # Copied: what YAML's anchors share, a change would change everywhere.
    return cast(Manifest, _apart(yaml.safe_load(text)))


def _apart(node: Any) -> Any:
    """Return a copy in which no two places share a value."""
    if isinstance(node, dict):
        return {key: _apart(value) for key, value in node.items()}
    return [_apart(each) for each in node] if isinstance(node, list) else node


def _config_map(submission: Submission, name: str) -> tuple[Manifest, list[dict[str, str]]]:
    """Return the ConfigMap, and which of its keys lies at which path."""
    options = cast(KubeRayOptions, submission.options)
    manifest: Manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": f"{name}-experiment",
            "namespace": options.namespace,
            "labels": {"app.kubernetes.io/part-of": "orchestrator"},
        },
        "data": {EXPERIMENT_FILE: submission.document},
    }
    items: list[dict[str, Any]] = [{"key": EXPERIMENT_FILE, "path": EXPERIMENT_FILE}]
    for number, sent in enumerate(submission.files):
        key = f"{number}-" + re.sub(r"[^-._a-zA-Z0-9]", "-", sent.there)[-200:]
        mode = {"mode": 0o555} if sent.is_program else {}
        items.append({"key": key, "path": sent.there, **mode})
        content = sent.source.read_bytes()
        try:
            manifest["data"][key] = content.decode("utf-8")
        except UnicodeDecodeError:
            manifest.setdefault("binaryData", {})[key] = b64encode(content).decode("ascii")
    return manifest, items


def _fill_cluster(cluster: Manifest, options: KubeRayOptions, volume: dict[str, Any]) -> None:
    head = cluster["headGroupSpec"]["template"]["spec"]
    (pattern,) = cluster["workerGroupSpecs"]
    cluster["workerGroupSpecs"] = [_group(pattern, group) for group in options.workers]
    _container(head)["resources"] = {
        "requests": {"cpu": _quantity(options.cpus), "memory": _memory(options.memory)},
        "limits": {"memory": _memory(options.memory)},
    }
    if options.autoscaling:
        standing = _read("raycluster/raycluster.yaml")["spec"]
        for key in ("enableInTreeAutoscaling", "autoscalerOptions"):
            cluster[key] = standing[key]
        head.pop("automountServiceAccountToken")  # the autoscaler speaks to the API server
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        _set_environment(pod, options)
        for mounted in pod["volumes"]:
            if mounted["name"] == "runs":
                mounted["persistentVolumeClaim"]["claimName"] = options.storage_claim
            if mounted["name"] == "experiment":
                mounted["configMap"] = volume
        for mount in _container(pod)["volumeMounts"]:
            if mount["name"] == "runs":
                mount["mountPath"] = options.storage


def _group(pattern: Manifest, options: WorkerGroupOptions) -> Manifest:
    group = copy.deepcopy(pattern)
    group |= {
        "groupName": options.name,
        "replicas": options.replicas,
        "minReplicas": options.min_replicas,
        "maxReplicas": options.max_replicas,
    }
    pod = group["template"]["spec"]
    amounts = {"cpu": _quantity(options.cpus), "memory": _memory(options.memory)}
    if options.gpus:
        amounts["nvidia.com/gpu"] = str(options.gpus)
    _container(pod)["resources"] = {"requests": amounts, "limits": dict(amounts)}
    if options.node_selector:
        pod["nodeSelector"] = dict(options.node_selector)
    return group


def _set_environment(pod: Manifest, options: KubeRayOptions) -> None:
    for name, value in options.environment.items():
        if "${ENV:" in value:
            where = f"target.kuberay.environment.{name}"
            raise ExperimentFileError(
                f"{where}: expected a value that anyone may read: a manifest is no place for a secret."
                f" Received: {value!r}. Name a Secret in target.kuberay.secrets."
            )
        _container(pod).setdefault("env", []).append({"name": name, "value": value})
    if options.secrets:
        _container(pod)["envFrom"] = [{"secretRef": {"name": name}} for name in options.secrets]


def _fill_pod(pod: Manifest, options: KubeRayOptions) -> None:
    """Fill in what holds for every Pod, the one that submits among them."""
    _container(pod)["image"] = options.image
    if options.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in options.image_pull_secrets]
    if options.service_account is not None:
        pod["serviceAccountName"] = options.service_account
    if options.tolerations:
        pod["tolerations"] = [
            each.model_dump(exclude_none=True, exclude_unset=False) for each in options.tolerations
        ]


def _templates(spec: Manifest) -> Iterator[Manifest]:
    yield spec["submitterPodTemplate"]
    yield spec["rayClusterSpec"]["headGroupSpec"]["template"]
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        yield group["template"]


def _container(pod: Manifest) -> Manifest:
    return cast(Manifest, pod["containers"][0])


def _quantity(cores: float) -> str:
    return f"{cores:g}"


def _memory(amount: str) -> str:
    """Return an amount in Kubernetes's letters, among which a thousand is a small k."""
    return amount[:-1] + "k" if amount.endswith("K") else amount
