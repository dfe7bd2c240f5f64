"""The few things asked of a Kubernetes API server, in sentences where they fail."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from orchestrator.errors import PlaceError

_GROUP = ("ray.io", "v1")
_PLURAL = "rayjobs"
_PATIENCE = {"_request_timeout": 60}  # seconds; else a server that is cut off never answers


@contextmanager
def _in_words() -> Iterator[None]:
    """Turn what the server or the network says into one sentence."""
    from kubernetes.client.exceptions import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        raise PlaceError(f"kubernetes refused: {_message(error)}") from None
    except HTTPError as error:
        raise PlaceError(
            f"kubernetes: expected an API server that answers. Received: {' '.join(str(error).split())[:200]}."
        ) from None


class Cluster:
    """One namespace of the cluster that kubeconfig, or the Pod that this runs in, names."""

    def __init__(self, context: str | None, namespace: str) -> None:
        try:
            client, config = (import_module(f"kubernetes.{name}") for name in ("client", "config"))
        except ModuleNotFoundError:
            raise PlaceError(
                "kubernetes: expected this Python package. Received: none."
                " pip install 'orchestrator[kubernetes]'."
            ) from None
        settings = client.Configuration()
        settings.retries = False  # the caller is told at once, and may try again
        try:
            _load(config, settings, context)
        except config.ConfigException as error:
            raise PlaceError(
                f"kubernetes: expected a kubeconfig that names a cluster. Received: {error}"
                " Set KUBECONFIG, or target.kuberay.context."
            ) from None
        connection = client.ApiClient(settings)
        self.namespace = namespace
        self._core = client.CoreV1Api(connection)
        self._custom = client.CustomObjectsApi(connection)

    @_in_words()
    def rayjob(self, name: str) -> dict[str, Any] | None:
        """Return a RayJob as the server holds it, or None."""
        return _or_none(
            lambda: self._custom.get_namespaced_custom_object(
                *_GROUP, self.namespace, _PLURAL, name, **_PATIENCE
            )
        )

    @_in_words()
    def create_rayjob(self, manifest: dict[str, Any]) -> dict[str, Any]:
        """Create a RayJob; a field that the server does not know is an error."""
        created: dict[str, Any] = self._custom.create_namespaced_custom_object(
            *_GROUP, self.namespace, _PLURAL, manifest, field_validation="Strict", **_PATIENCE
        )
        return created

    @_in_words()
    def suspend_rayjob(self, name: str) -> None:
        """Ask KubeRay to take a RayJob's cluster away."""
        self._custom.patch_namespaced_custom_object(
            *_GROUP, self.namespace, _PLURAL, name, {"spec": {"suspend": True}}, **_PATIENCE
        )

    @_in_words()
    def delete_rayjob(self, name: str, most_seconds: float) -> None:
        """Delete a RayJob and wait until it is gone."""
        self._custom.delete_namespaced_custom_object(
            *_GROUP, self.namespace, _PLURAL, name, **_PATIENCE
        )
        deadline = time.monotonic() + most_seconds
        while self.rayjob(name) is not None:
            if time.monotonic() > deadline:
                raise PlaceError(
                    f"kubernetes: expected RayJob {name} to be gone within {most_seconds:g} seconds."
                    " Received: it is still there. Does KubeRay's operator run?"
                )
            time.sleep(0.5)

    @_in_words()
    def put_config_map(self, manifest: dict[str, Any]) -> None:
        """Create a ConfigMap in place of the one of that name.

        Anew, not changed: the collector of garbage may still be after the old one, by its UID, for its RayJob's end.
        """
        name = manifest["metadata"]["name"]
        _or_none(lambda: self._core.delete_namespaced_config_map(name, self.namespace, **_PATIENCE))
        self._core.create_namespaced_config_map(self.namespace, manifest, **_PATIENCE)

    @_in_words()
    def own_config_map(self, name: str, owner: dict[str, Any]) -> None:
        """Have a ConfigMap go when its RayJob goes."""
        reference = {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
        }
        change = {"metadata": {"ownerReferences": [reference]}}
        self._core.patch_namespaced_config_map(name, self.namespace, change, **_PATIENCE)

    @_in_words()
    def pods(self, labels: str) -> list[Any]:
        """Return the Pods with these labels, those that are ending among them."""
        found = self._core.list_namespaced_pod(self.namespace, label_selector=labels, **_PATIENCE)
        return list(found.items)

    def newest_pod(self, labels: str) -> str | None:
        """Return the name of the youngest Pod with these labels that has started."""
        begun = [pod for pod in self.pods(labels) if pod.status.phase != "Pending"]
        youngest = max(begun, key=lambda pod: pod.metadata.creation_timestamp, default=None)
        return None if youngest is None else str(youngest.metadata.name)

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        """Yield a Pod's output, piece by piece."""
        with _in_words():  # the connection may break in the middle
            answer = self._core.read_namespaced_pod_log(
                pod, self.namespace, follow=follow, _preload_content=False
            )
            for piece in answer.stream():
                yield piece.decode("utf-8", "replace")


def _load(config: Any, settings: Any, context: str | None) -> None:
    """Read kubeconfig where there is one; a Pod without one has its own account."""
    asked = os.environ.get("KUBECONFIG")
    if asked is None and context is None and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(client_configuration=settings)
        return
    # Named outright: the package looks at KUBECONFIG when it is imported, and not again.
    file = asked or str(Path.home() / ".kube" / "config")
    config.load_kube_config(config_file=file, context=context, client_configuration=settings)


def _or_none(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    from kubernetes.client.exceptions import ApiException

    try:
        return ask()
    except ApiException as error:
        if error.status != 404:
            raise
        return None


def _message(error: Any) -> str:
    """Return the server's own sentence where it gave one."""
    try:
        said = json.loads(error.body)["message"]
    except (TypeError, ValueError, KeyError):
        said = error.reason
    return " ".join(f"{error.status} {said}".split())
