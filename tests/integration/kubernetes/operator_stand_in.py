"""A stand-in for KubeRay's operator: ``operator_stand_in.py NAMESPACE RAYJOB`` makes the Pods of one RayJob.

It does what the operator does with a RayJob in K8sJobMode, and no more: a Secret with the token, a head, the workers,
a Job that submits, the RayJob's status, and the cluster's end. No services, no init containers, no retries,
no autoscaler.
"""

from __future__ import annotations

import copy
import secrets
import shlex
import sys
import time
from collections.abc import Callable
from typing import Any

from kubernetes import client, config

PATIENCE_SECONDS = 240
Manifest = dict[str, Any]


def main(namespace: str, name: str) -> None:
    job = rayjobs("get", namespace, name)
    cluster, token = job["spec"]["rayClusterSpec"], f"{name}-token"
    core = client.CoreV1Api()
    secret = {"metadata": {"name": token}, "stringData": {"auth_token": secrets.token_hex(32)}}
    core.create_namespaced_secret(namespace, secret)

    def start(group: Manifest, pod: str, command: str) -> str:
        limits = group["template"]["spec"]["containers"][0]["resources"]["limits"]
        cores = {"num-cpus": limits["cpu"]} if "cpu" in limits else {}  # whole ones, here
        parameters = cores | group.get("rayStartParams", {})
        flags = " ".join(f"--{key}={shlex.quote(value)}" for key, value in parameters.items())
        body = with_token(group["template"], token)
        body |= {"apiVersion": "v1", "kind": "Pod"}
        body["metadata"] = body.get("metadata", {}) | {"name": pod}
        container = body["spec"]["containers"][0]
        container["command"] = ["/bin/bash", "-c", "--"]
        container["args"] = [f"ulimit -n 65536; ray start {command} {flags} --block"]
        core.create_namespaced_pod(namespace, body)
        until(lambda: ready(core.read_namespaced_pod(pod, namespace)), f"{pod} is not ready")
        return str(core.read_namespaced_pod(pod, namespace).status.pod_ip)

    head = start(cluster["headGroupSpec"], f"{name}-head", "--head")
    pods = [f"{name}-head"]
    for group in cluster["workerGroupSpecs"]:
        for number in range(group["replicas"]):
            pods.append(f"{name}-{group['groupName']}-{number}")
            start(group, pods[-1], f"--address={head}:6379")
    tell(namespace, name, "Running", "RUNNING")
    succeeded = submit(namespace, job, token, head)
    if job["spec"]["shutdownAfterJobFinishes"]:
        for pod in pods:
            core.delete_namespaced_pod(pod, namespace, grace_period_seconds=1)
        until(lambda: not alive(core, namespace, pods), "the cluster does not end")
    tell(namespace, name, *(("Complete", "SUCCEEDED") if succeeded else ("Failed", "FAILED")))


def submit(namespace: str, job: Manifest, token: str, head: str) -> bool:
    """Run the submitter's Pod as a Job of the RayJob's name; return whether it succeeded."""
    template = with_token(job["spec"]["submitterPodTemplate"], token)
    words = shlex.split(job["spec"]["entrypoint"])
    address = f"http://{head}:8265"
    template["spec"]["containers"][0]["command"] = [
        "ray",
        "job",
        "submit",
        "--address",
        address,
        "--",
        *words,
    ]
    batch, name = client.BatchV1Api(), job["metadata"]["name"]
    spec = {"backoffLimit": 0, "template": template}
    batch.create_namespaced_job(namespace, {"metadata": {"name": name}, "spec": spec})

    def status() -> Any:
        return batch.read_namespaced_job(name, namespace).status

    until(lambda: bool(status().succeeded or status().failed), "the submitter does not end")
    return bool(status().succeeded)


def with_token(template: Manifest, secret: str) -> Manifest:
    """A Pod's template with what ``authOptions.mode: token`` adds."""
    body = copy.deepcopy(template)
    reference = {"secretKeyRef": {"name": secret, "key": "auth_token"}}
    for container in body["spec"]["containers"]:
        container.setdefault("env", []).extend(
            [
                {"name": "RAY_AUTH_MODE", "value": "token"},
                {"name": "RAY_AUTH_TOKEN", "valueFrom": reference},
            ]
        )
    return body


def rayjobs(verb: str, namespace: str, name: str, *body: Manifest) -> Any:
    call = getattr(
        client.CustomObjectsApi(), f"{verb}_namespaced_custom_object" + ("_status" if body else "")
    )
    return call("ray.io", "v1", namespace, "rayjobs", name, *body)


def tell(namespace: str, name: str, deployment: str, rays: str) -> None:
    status = {"jobDeploymentStatus": deployment, "jobStatus": rays}
    rayjobs("patch", namespace, name, {"status": status})


def ready(pod: Any) -> bool:
    return any(
        each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ()
    )


def alive(core: Any, namespace: str, pods: list[str]) -> bool:
    there = {pod.metadata.name for pod in core.list_namespaced_pod(namespace).items}
    return bool(there & set(pods))


def until(true: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        if time.monotonic() > deadline:
            sys.exit(complaint)
        time.sleep(0.5)


if __name__ == "__main__":
    config.load_kube_config()
    main(sys.argv[1], sys.argv[2])
