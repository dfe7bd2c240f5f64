"""What stands for each place in the exam: a class a target, and its line in PLACES.

A stand-in answers as the real client or server does; the real ones are examined in tests/integration.
"""

from __future__ import annotations

import json
import stat
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from tests.targets.api_server import serving


class Place:
    """A place in which every job prints "hello" and then runs until it is stopped."""

    name: ClassVar[str]
    overrides: tuple[str, ...] = ()
    unknown: str  # the handle of a job that the place has never had

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.open()

    def open(self) -> None:
        """Make the place ready."""

    def hide_client(self) -> None:
        """Leave the machine as one that lacks the place's client."""

    def close(self) -> None:
        """Leave nothing behind."""

    def executable(self, name: str, source: str) -> Path:
        """Put a program of Python's on PATH."""
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!{sys.executable}\n{source}")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        self.monkeypatch.setenv("PATH", str(file.parent), prepend=":")
        return file


class Local(Place):
    """Real, but for the Python that would train."""

    name = "local"
    unknown = "local://4242424242"

    def open(self) -> None:
        run = "import signal, sys\nprint('hello', flush=True)\nsignal.sigwait([signal.SIGTERM])\nsys.exit(130)"
        block = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])\n"
        python = self.executable("stand-in-python", block + run)
        self.monkeypatch.setattr(sys, "executable", str(python))


_SLURM = """
import pathlib, re, sys
name, arguments = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
job = pathlib.Path(__file__).parent.parent / "slurm-job"
if name == "sbatch" and arguments != ["--version"]:
    output = re.search("--output=(.*)", pathlib.Path(arguments[-1]).read_text())[1]
    pathlib.Path(output.replace("%j", "421")).write_text("hello\\n")
    job.write_text("JobState=RUNNING Reason=None ExitCode=0:0 NodeList=n1")
    print("421")
if name == "scancel":
    job.write_text("JobState=FAILED Reason=NonZeroExitCode ExitCode=130:0 NodeList=n1")
if name == "scontrol":
    if arguments[-1] != "421" or not job.exists():
        sys.exit("slurm_load_jobs error: Invalid job id specified")
    print("JobId=421", job.read_text())
if name == "sacct":
    sys.exit("Slurm accounting storage is disabled")
"""


class Slurm(Place):
    """The four commands of Slurm's client that are used."""

    name = "slurm"
    unknown = "slurm://999"

    def open(self) -> None:
        for command in ("sbatch", "scontrol", "scancel", "sacct"):
            self.executable(command, _SLURM)

    def hide_client(self) -> None:
        self.monkeypatch.setenv("PATH", str(self.folder))


class _Jobs(BaseHTTPRequestHandler):
    """The part of Ray's REST API that its own client uses."""

    status: ClassVar[dict[str, str]] = {}
    packages: ClassVar[list[bytes]] = []

    def do_GET(self) -> None:
        import ray

        job = self.path.split("/")[3] if self.path.startswith("/api/jobs/") else ""
        if self.path == "/api/version":
            self.answer({"version": "4", "ray_version": ray.__version__, "ray_commit": ""})
        elif job not in self.status:
            self.answer("unknown", 404)
        elif self.path.endswith("/logs"):
            self.answer({"logs": "hello\n"})
        else:
            about = {"type": "SUBMISSION", "submission_id": job, "entrypoint": "python"}
            self.answer({**about, "status": self.status[job], "message": "", "job_id": None})

    def do_PUT(self) -> None:
        self.packages.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer({})

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.endswith("/stop"):
            self.status[self.path.split("/")[3]] = "STOPPED"
            self.answer({"stopped": True})
            return
        assert json.loads(sent)["entrypoint"]
        self.status["raysubmit_1"] = "RUNNING"
        self.answer({"job_id": "raysubmit_1", "submission_id": "raysubmit_1"})

    def answer(self, content: object, code: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


class Ray(Place):
    """A server of the REST API; the client is Ray's own."""

    name = "ray"
    unknown = "ray://raysubmit_none"

    def open(self) -> None:
        pytest.importorskip("aiohttp_cors", reason="pip install 'orchestrator[ray-jobs]'")
        _Jobs.status.clear()
        _Jobs.packages.clear()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _Jobs)
        Thread(target=self.server.serve_forever, args=[0.01], daemon=True).start()
        address = f"http://127.0.0.1:{self.server.server_port}"
        self.overrides = (f"target.ray.address={address}",)
        self.monkeypatch.setenv("RAY_API_SERVER_ADDRESS", address)

    @property
    def packages(self) -> list[bytes]:
        """The working directories that it was sent, each a zip."""
        return _Jobs.packages

    def hide_client(self) -> None:
        self.monkeypatch.setitem(sys.modules, "ray.job_submission", None)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


_DOCKER = """
import json, pathlib, sys
state = pathlib.Path(__file__).parent.parent / "container"
arguments, number = sys.argv[1:], "c0ffee" * 10
if arguments[0] == "run":
    state.write_text(json.dumps({"Status": "running", "ExitCode": 0}))
    print(number)
elif arguments[0] != "--version" and arguments[-1] != number[:12]:
    sys.exit("Error: No such container: " + arguments[-1])
elif arguments[0] == "container":
    print(state.read_text())
elif arguments[0] == "logs":
    print("hello")
elif arguments[0] == "stop":
    state.write_text(json.dumps({"Status": "exited", "ExitCode": 130}))
"""


class Docker(Place):
    """The five commands of Docker's client that are used."""

    name = "docker"
    unknown = "docker://abcdefabcdef"

    def open(self) -> None:
        self.executable("docker", _DOCKER)

    def hide_client(self) -> None:
        self.monkeypatch.setenv("PATH", str(self.folder))


class KubeRay(Place):
    """A server of what is asked of Kubernetes's; the client is the kubernetes package's own."""

    name = "kuberay"
    unknown = "kuberay://tuning/nobody"
    overrides = ("target.kuberay.namespace=tuning",)

    def open(self) -> None:
        config = self.folder / "state" / "kubeconfig"
        config.parent.mkdir()
        self.monkeypatch.setenv("KUBECONFIG", str(config))
        self.serving = serving(config)
        self.serving.__enter__().runs_at_once = True

    def hide_client(self) -> None:
        self.monkeypatch.setitem(sys.modules, "kubernetes.client", None)

    def close(self) -> None:
        self.serving.__exit__(None, None, None)


PLACES: dict[str, type[Place]] = {
    place.name: place for place in (Local, Slurm, Ray, Docker, KubeRay)
}
