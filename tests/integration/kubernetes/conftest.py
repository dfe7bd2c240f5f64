"""One Kubernetes node of the tests' own, its servers built from source."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment.crds import CRDS
from tests.deployment.validators import tool
from tests.integration.docker.engine import CACHE, IMAGE, PACKAGES, Engine, running_engine, why_not

HERE = Path(__file__).parent
NEEDED = PACKAGES | {
    "etcd": "etcd-server", "/usr/lib/go/bin/go": "golang-go", "make": "make", "patch": "patch", "gcc": "gcc",
    "rsync": "rsync", "jq": "jq", "openssl": "openssl", "nsenter": "util-linux",
    "/usr/share/gocode/src/github.com/modern-go/reflect2/reflect2.go": "golang-github-modern-go-reflect2-dev",
}  # fmt: skip
SETTINGS = {
    "runtimes": {"here": {"path": str(HERE / "runc-without-limits")}},
    "default-runtime": "here",
}


@dataclass(frozen=True)
class Node:
    engine: Engine
    folder: Path

    def run(
        self, *command: str | Path, standard_input: str | None = None, seconds: float = 300
    ) -> Any:
        """A command in the node's network, as the cluster's administrator."""
        pid = (self.engine.folder / "engine.pid").read_text().strip()
        where = {"KUBECONFIG": str(self.folder / "kubeconfig"), "HOME": str(self.folder)}
        return subprocess.run(
            ["nsenter", f"--net=/proc/{pid}/ns/net", *command], input=standard_input,
            capture_output=True, text=True, timeout=seconds, env=self.engine.variables | where,
        )  # fmt: skip

    def kubectl(self, *arguments: str | Path, standard_input: str | None = None) -> str:
        ended = self.run(tool("kubectl"), *arguments, standard_input=standard_input)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return str(ended.stdout)

    def apply(self, manifests: list[dict[str, Any]]) -> str:
        text = yaml.safe_dump_all(manifests)
        return self.kubectl("--namespace=tuning", "apply", "--filename=-", standard_input=text)


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    reason = why_not(NEEDED)
    if reason is not None:
        pytest.skip(reason)
    cache = CACHE / "kubernetes"
    built = subprocess.run([HERE / "build.sh", cache], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr[-2000:]
    with running_engine(settings=json.dumps(SETTINGS)) as engine:
        engine.docker("tag", IMAGE, f"{IMAGE}:0.1.0")
        hold = tmp_path_factory.mktemp("pause")
        subprocess.run(["gcc", "-static", "-o", hold / "pause", HERE / "pause.c"], check=True)
        subprocess.run(["tar", "-C", hold, "-cf", hold / "pause.tar", "pause"], check=True)
        engine.docker(
            "import", "--change", 'ENTRYPOINT ["/pause"]', hold / "pause.tar", "pause:here"
        )
        node = Node(engine, cache / "node")
        try:
            started = node.run(
                HERE / "node.sh", "up", node.folder, cache / "bin", engine.variables["DOCKER_HOST"]
            )
            assert started.returncode == 0, started.stderr[-3000:]
            for file in sorted(CRDS.glob("*.json")):
                crd = for_old_server(json.loads(file.read_text(encoding="utf-8")))
                node.kubectl("create", "--filename=-", standard_input=json.dumps(crd))
            node.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
            shutil.rmtree(
                node.folder / ".kube", ignore_errors=True
            )  # what kubectl knew before them
            node.kubectl("create", "namespace", "tuning")
            yield node
        finally:
            node.run(HERE / "node.sh", "down", node.folder)


def for_old_server(crd: dict[str, Any]) -> dict[str, Any]:
    """A CRD less what a server of 1.20 does not take: a default of "", rules in CEL, keys without a default."""
    _strip(crd["spec"])
    return crd


def _strip(schema: Any) -> None:
    if isinstance(schema, list):
        for each in schema:
            _strip(each)
    if not isinstance(schema, dict):
        return
    if schema.get("default") == "" and "type" in schema:
        del schema["default"]
    schema.pop("x-kubernetes-validations", None)
    for each in schema.values():
        _strip(each)
    keys, items = schema.get("x-kubernetes-list-map-keys"), schema.get("items")
    if keys and isinstance(items, dict):
        given = set(items.get("required", []))
        given |= {name for name, each in items["properties"].items() if "default" in each}
        if not set(keys) <= given:
            del schema["x-kubernetes-list-map-keys"], schema["x-kubernetes-list-type"]


@pytest.fixture(scope="session")
def operator(node: Node) -> Any:
    """`operator(name)`: KubeRay's stand-in takes a RayJob from its Pods to its end."""

    def run(name: str) -> None:
        ended = node.run(sys.executable, HERE / "operator_stand_in.py", "tuning", name, seconds=900)
        if ended.returncode:
            pods = node.kubectl("--namespace=tuning", "get", "pods", "--output=wide")
            told = node.run("kubectl", "--namespace=tuning", "logs", f"job/{name}")
            raise AssertionError(ended.stderr + pods + told.stdout + told.stderr)

    return run
