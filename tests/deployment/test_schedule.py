"""A tick of the schedule creates one RayJob; the API server here is a stand-in that only takes it."""

from __future__ import annotations

import http.server
import json
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli import app
from tests.deployment.validators import ROOT, faults, rendered, tool

SCRIPT = ROOT / "k8s/base/cronjob/create_rayjob.py"


@dataclass
class ApiServer:
    account: Path
    port: int = 0
    answer: int = 201
    received: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)

    def handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                server.received.append((self.path, self.headers["Authorization"], body))
                self.send_response(server.answer)
                self.end_headers()
                self.wfile.write(b"because")

            def log_message(self, *_: object) -> None:
                pass

        return Handler


@pytest.fixture
def api_server(tmp_path: Path) -> Iterator[ApiServer]:
    subprocess.run(
        [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key", "-out", tmp_path / "ca.crt"],
        check=True, capture_output=True,
    )  # fmt: skip
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "namespace").write_text("tuning")
    api = ApiServer(tmp_path)
    server = http.server.HTTPServer(("127.0.0.1", 0), api.handler())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.crt", tmp_path / "key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    api.port = server.server_port
    threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
    yield api
    server.shutdown()
    server.server_close()


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    file = tmp_path / "rayjob.yaml"
    file.write_text(yaml.safe_dump_all(rendered(ROOT / "k8s/overlays/kind")))
    return file


def tick(
    api: ApiServer, manifests: Path, name: str, run: str = ""
) -> subprocess.CompletedProcess[str]:
    """The script as the Pod runs it, but for the account's folder, which only a Pod has."""
    program = (
        f"import runpy, sys; from pathlib import Path; m = runpy.run_path({str(SCRIPT)!r});"
        f"print(m['create'](m['job_of_tick'](Path({str(manifests)!r}).read_text(), {name!r}, 'its-uid', {run!r}),"
        f" Path({str(api.account)!r})))"
    )
    where = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(api.port)}
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=300, env=where
    )


def test_a_tick_creates_the_rayjob_under_its_own_name_and_as_a_run_of_its_own(
    api_server, manifests
):
    ended = tick(api_server, manifests, "orchestrator-schedule-29012345")
    assert (ended.returncode, ended.stdout) == (0, "orchestrator-schedule-29012345-run: created\n")
    ((path, authorization, body),) = api_server.received
    assert path == "/apis/ray.io/v1/namespaces/tuning/rayjobs?fieldValidation=Strict"
    assert authorization == "Bearer secret"
    assert body["spec"]["entrypoint"].endswith("--set name=orchestrator-schedule-29012345-run")
    assert body["metadata"]["name"] != "orchestrator-schedule-29012345", (
        "KubeRay would take the tick's Job for the one that submits"
    )
    assert faults([body]) == []


def test_a_tick_of_the_overlay_re_evaluates_its_run_where_the_runs_are(api_server, manifests):
    (schedule,) = (
        each for each in rendered(ROOT / "k8s/overlays/schedule") if each["kind"] == "CronJob"
    )
    (container,) = schedule["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (run,) = (each["value"] for each in container["env"] if each["name"] == "RUN")
    tick(api_server, manifests, "schedule-1", run)
    ((_, _, body),) = api_server.received
    command = body["spec"]["entrypoint"]
    assert command == "orchestrator reevaluate digits --storage /runs --exit-zero"
    assert CliRunner().invoke(app, [*command.split()[1:], "--help"]).exit_code == 0
    assert faults([body]) == []


def test_a_rayjob_goes_with_its_tick_s_job_and_without_a_right_to_delete(api_server, manifests):
    tick(api_server, manifests, "schedule-1")
    ((_, _, body),) = api_server.received
    assert body["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "kind": "Job", "name": "schedule-1", "uid": "its-uid"}
    ]  # no blockOwnerDeletion: that one asks for rights over the owner
    (schedule,) = (each for each in rendered(SCRIPT.parent) if each["kind"] == "CronJob")
    jobs = schedule["spec"]["jobTemplate"]["spec"]
    assert "ttlSecondsAfterFinished" not in jobs, "it would end runs that last longer"
    (container,) = jobs["template"]["spec"]["containers"]
    fields = {
        each["name"]: each["valueFrom"]["fieldRef"]["fieldPath"]
        for each in container["env"]
        if "valueFrom" in each
    }
    assert container["command"][-3:] == ["$(TICK)", "$(TICK_UID)", "$(RUN)"]
    assert fields["TICK_UID"] == "metadata.labels['controller-uid']"


def test_a_tick_that_is_tried_again_finds_its_rayjob_and_succeeds(api_server, manifests):
    api_server.answer = 409
    assert tick(api_server, manifests, "schedule-1").stdout == "schedule-1-run: there already\n"


def test_a_refusal_is_said_and_fails_the_tick(api_server, manifests):
    api_server.answer = 403
    ended = tick(api_server, manifests, "schedule-1")
    assert (ended.returncode, ended.stderr) == (1, "schedule-1-run: 403 because\n")


def test_manifests_without_a_rayjob_are_refused(api_server, manifests):
    manifests.write_text("{apiVersion: v1, kind: ConfigMap}")
    ended = tick(api_server, manifests, "schedule-1")
    assert "expected one RayJob in the manifests. Received: 0." in ended.stderr
    assert not api_server.received


def test_a_long_tick_s_name_keeps_its_end_and_fits(api_server, manifests):
    tick(api_server, manifests, "evaluate-" * 6 + "29012345")
    name = api_server.received[0][2]["metadata"]["name"]
    assert len(name) <= 47 and name.endswith("29012345-run") and name[0].isalnum()
