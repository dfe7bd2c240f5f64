"""A stand-in for a Kubernetes API server: it keeps what it is sent, by its address, over real HTTP."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

RAYJOBS = "/apis/ray.io/v1/namespaces/tuning/rayjobs"
CONFIG_MAPS = "/api/v1/namespaces/tuning/configmaps"
PODS = "/api/v1/namespaces/tuning/pods"


@dataclass
class ApiServer:
    kept: dict[str, Any] = field(default_factory=dict)
    """By address; what is a function is called when it is asked for."""
    refuses: int | None = None
    asked: list[str] = field(default_factory=list)
    slow_collector: int | None = None
    """After how many further requests the ConfigMaps of a RayJob that is deleted go too; None: never."""
    _doomed: dict[str, int] = field(default_factory=dict)
    cuts_off: bool = False
    """Whether the connection breaks in the middle of an answer."""
    runs_at_once: bool = False
    """Whether it does KubeRay's work too: a RayJob runs as it is created, and its Pod says hello."""

    def answer(self, method: str, address: str, body: Any) -> tuple[int, Any]:
        path = urlsplit(address).path
        self.asked.append(f"{method} {address}")
        self._collect()
        if self.refuses:
            return self.refuses, {"message": "rayjobs is forbidden: you may not"}
        if method == "POST":
            return self._create(f"{path}/{body['metadata']['name']}", body)
        if path == PODS:
            return 200, {"items": self._pods(parse_qs(urlsplit(address).query))}
        if path not in self.kept:
            return 404, {"message": f"{path} not found"}
        return self._change(method, path, body)

    def _pods(self, query: dict[str, list[str]]) -> list[Any]:
        wanted = {tuple(pair.split("=")) for pair in query["labelSelector"][0].split(",")}
        there = self.kept.get(PODS, [])
        there = there() if callable(there) else there
        return [each for each in there if wanted <= each["metadata"]["labels"].items()]

    def _collect(self) -> None:
        """Remove what a deleted owner has left, by its own UID, as Kubernetes's collector does: in its own time."""
        for owner, left in list(self._doomed.items()):
            self._doomed[owner] = left - 1
            for path, kept in list(self.kept.items()):
                if path.startswith(CONFIG_MAPS) and left == 0:
                    owners = kept["metadata"].get("ownerReferences", [])
                    if owner in [each["uid"] for each in owners]:
                        del self.kept[path]

    def _create(self, path: str, body: Any) -> tuple[int, Any]:
        if path in self.kept:
            return 409, {"message": "already exists"}
        body["metadata"]["uid"] = f"uid-{len(self.asked)}"
        self.kept[path] = body
        if body["kind"] == "RayJob" and self.runs_at_once:
            body["status"] = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
            self.kept[PODS] = [pod("hello", day=1)]
            self.kept[f"{PODS}/hello/log"] = "hello\n"
        return 201, body

    def _change(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        if method == "DELETE":
            gone = self.kept.pop(path)
            if self.slow_collector is not None:
                self._doomed[gone["metadata"]["uid"]] = self.slow_collector
            return 200, gone
        if method == "PATCH":
            for key, change in body.items():
                self.kept[path][key] |= change
            if change.get("suspend"):  # what KubeRay's operator would do
                self.kept[path]["status"] = {
                    "jobDeploymentStatus": "Suspended",
                    "jobStatus": "STOPPED",
                }
        told = self.kept[path]
        return 200, told() if callable(told) else told

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                code, told = server.answer(self.command, self.path, body)
                text = told if isinstance(told, str) else json.dumps(told)
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                missing = 1 if server.cuts_off else 0
                self.send_header("Content-Length", str(len(text.encode()) + missing))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        return Handler


def pod(name: str, day: int = 1, **labels: str) -> dict[str, Any]:
    """A Pod that runs since a day; without labels, the one that submits digits."""
    created = f"2026-01-0{day}T00:00:00Z"
    return {
        "metadata": {
            "name": name,
            "creationTimestamp": created,
            "labels": labels or {"job-name": "digits"},
        },
        "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "c"}]},
    }


@contextmanager
def serving(kubeconfig: Path) -> Iterator[ApiServer]:
    """A server, and a kubeconfig that names it."""
    api = ApiServer()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), api.handler())
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    write_kubeconfig(kubeconfig, server.server_port)
    yield api
    server.shutdown()
    server.server_close()


def write_kubeconfig(file: Path, port: int) -> None:
    file.write_text(
        yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u"}}],
        })
    )  # fmt: skip
