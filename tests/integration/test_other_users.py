"""docs/security.md, sentence by sentence, tried by another user while a run of ours trains."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import yaml

from orchestrator.redaction import looks_secret
from tests.another_user import as_nobody, did, needs_another_user, open_place
from tests.integration.people import until
from tests.preloaded import PYTHONPATH

pytestmark = needs_another_user
SECRET = "s3cr3t-of-the-builder"
NET = """
    import os, pathlib, time
    import keras

    def build(hp, input_shape, num_classes):
        print("logged in with", hp["token"], flush=True)
        here = pathlib.Path(__file__).parent
        while pathlib.Path("/proc/self/comm").read_text().startswith("ray::"):
            (here / "built").touch()
            if (here / "looked").exists():
                break
            time.sleep(0.05)
        return keras.Sequential([
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""
ASK = """
import importlib, json, pathlib, sys, time, urllib.error, urllib.request
import grpc, ray

methods = {"/ray.rpc.ObjectManagerService/Push", "/ray.rpc.ObjectManagerService/Pull"}
class Channel:
    def unary_unary(self, path, *_, **__):
        methods.add(path)
    unary_stream = stream_unary = stream_stream = unary_unary
for file in (pathlib.Path(ray.__file__).parent / "core/generated").glob("*_pb2_grpc.py"):
    module = importlib.import_module("ray.core.generated." + file.stem)
    for name in dir(module):
        if name.endswith("Stub"):
            getattr(module, name)(Channel())
refused, answered, silent = set(), set(), []
for port in map(int, sys.argv[1:]):
    for path in ("/api/local_raylet_healthz", "/metrics", "/logs", "/api/actors", "/get_or_create_runtime_env"):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
                answered.add((port, path, answer.read().decode()))
        except urllib.error.HTTPError as error:
            (refused if error.code == 401 else answered).add((port, path, error.code))
        except Exception:
            silent.append(port)
            break
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")
    for method in sorted(methods):
        try:
            channel.unary_unary(method)(b"", timeout=20, metadata=[("authorization", "Bearer " + 64 * "0")])
            answered.add((port, method, "answered"))
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                break
            if error.code() is grpc.StatusCode.UNAUTHENTICATED:
                refused.add((port, method, 401))
            elif error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                answered.add((port, method, str(error.code())))
    channel.close()
end = time.monotonic() + 120
agent = "/get_or_create_runtime_env"
while time.monotonic() < end and agent not in {path for _, path, _ in refused | answered}:
    for port in silent:  # whoever asks for the agent first has it started
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{agent}", timeout=20) as answer:
                answered.add((port, agent, answer.read().decode()))
        except urllib.error.HTTPError as error:
            (refused if error.code == 401 else answered).add((port, agent, error.code))
        except Exception:
            time.sleep(0.2)
print(json.dumps([sorted(refused), sorted(answered)]))
"""


COMMAND_LINES = """
import contextlib, glob
for file in glob.glob("/proc/[0-9]*/cmdline"):
    with contextlib.suppress(OSError):
        print(open(file).read())
"""


@dataclass
class Seen:
    """A run while it trained, and its folder after its end."""

    place: Path
    temporary: set[str]
    did: set[tuple[str, str]]
    processes: list[psutil.Process]
    did_to_processes: set[tuple[str, str]]
    command_lines: str
    token: str
    printed: str
    clear: list[str]
    refused: list[list[object]]
    answered: list[list[object]]
    shared_memory: list[str]
    left: set[str]

    @property
    def run(self) -> Path:
        return self.place / "runs" / "one"


def paths_of(processes):
    """What the kernel tells of processes to their owner alone."""
    return [
        f"/proc/{p.pid}/{part}"
        for p in processes
        for part in ("environ", "mem", "fd", "cwd", "maps")
    ]


def ports_of(processes):
    found = [c for p in processes for c in p.net_connections("inet")]
    return sorted({c.laddr.port for c in found if c.status == psutil.CONN_LISTEN})


def holding(folder, *texts):
    """The files below a folder that hold one of these texts."""
    files = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    return [str(f) for f in files if any(text.encode() in f.read_bytes() for text in texts)]


def looked_at(place, driver):
    """Be another user while it trains."""
    until(lambda: (place / "built").exists() or driver.poll() is not None)
    assert driver.poll() is None, (place / "out").read_text()
    temporary = place / "t"
    inside = [temporary, *temporary.rglob("*")]
    main = psutil.Process(driver.pid)
    processes = [main, *main.children(recursive=True)]
    [token] = {p.environ()["RAY_AUTH_TOKEN"] for p in processes if p.name() == "raylet"}
    [worker] = [p for p in processes if p.name().startswith("ray::ResourceT")]
    [printed] = [
        file for file in inside if file.match(f"session_2*/logs/worker-*-{worker.pid}.out")
    ]
    told = printed.read_text()
    answers = as_nobody(ASK, *map(str, ports_of(processes)))
    maps = "".join(Path(f"/proc/{p.pid}/maps").read_text() for p in processes)
    return {
        "temporary": {str(path) for path in inside},
        "did": did(inside),
        "processes": processes,
        "did_to_processes": did(paths_of(processes)),
        "command_lines": as_nobody(COMMAND_LINES),
        "shared_memory": [line for line in maps.splitlines() if "plasma" in line],
        "token": token,
        "printed": told,
        "clear": holding(place, token),
        "refused": json.loads(answers)[0],
        "answered": json.loads(answers)[1],
    }


@pytest.fixture(scope="module")
def seen():
    pytest.importorskip("grpc", reason="pip install 'orchestrator[ray-jobs]'")
    with open_place() as place:
        (place / "t").mkdir(mode=0o1777)
        (place / "t").chmod(0o1777)
        (place / "net.py").write_text(textwrap.dedent(NET))
        space = {"token": {"value": "${ENV:MY_DATA}"}, "learning_rate": 0.1}
        experiment = {
            "name": "one", "model": "./net.py", "data": "digits", "epochs": 1, "search_space": space,
            "caviar": {"num_samples": 1, "scheduler": "none"}, "storage_path": "runs",
        }  # fmt: skip
        (place / "e.yaml").write_text(yaml.safe_dump(experiment))
        own = {
            name: v
            for name, v in os.environ.items()
            if not name.startswith("RAY_") and not looks_secret(name)
        }
        own |= {
            "MY_DATA": SECRET, "PYTHONPATH": PYTHONPATH, "HOME": str(place), "TF_CPP_MIN_LOG_LEVEL": "3",
            "TMPDIR": str(place / "t"),
        }  # fmt: skip
        with (place / "out").open("wb") as out:
            driver = subprocess.Popen(
                [sys.executable, "-m", "orchestrator", "run", "e.yaml"],
                cwd=place, env=own, stdout=out, stderr=out, umask=0o022,
            )  # fmt: skip
        try:
            facts = looked_at(place, driver)
            (place / "looked").touch()
            assert driver.wait(900) == 0, (place / "out").read_text()
        finally:
            driver.kill()
            driver.wait()
        yield Seen(place, left={str(path) for path in (place / "t").iterdir()}, **facts)


def test_the_temporary_folder_with_rays_logs_and_sockets_is_closed(seen):
    assert any(path.endswith("/sockets/raylet") for path in seen.temporary)
    shared = str(seen.place / "t")
    assert ("create", shared) in seen.did, "nobody tries in earnest"
    assert {(what, path) for what, path in seen.did if path != shared} == set()
    assert SECRET not in seen.printed


def test_the_folders_in_it_go_with_the_run(seen):
    assert seen.left == {str(seen.place / "t" / "of-nobody")}


def test_no_file_of_the_run_holds_what_the_builder_printed(seen):
    assert holding(seen.run, SECRET) == []
    assert holding(seen.run, "${ENV:MY_DATA}")


def test_a_runs_folder_is_read_by_whom_the_umask_lets_and_written_by_its_owner_alone(seen):
    everything = [seen.run, *seen.run.rglob("*")]
    assert not [path for path in everything if path.lstat().st_mode & (stat.S_IWGRP | stat.S_IWOTH)]
    done = did(everything)
    assert {what for what, _ in done} == {"list", "read"}
    assert ("read", str(seen.run / "experiment.yaml")) in done


def test_the_token_is_in_no_file_and_on_no_command_line(seen):
    assert len(seen.token) == 64
    assert seen.clear == []
    assert "gcs_server" in seen.command_lines
    assert seen.token not in seen.command_lines
    assert SECRET not in seen.command_lines


def test_the_kernel_keeps_the_processes_memory_and_environment_from_others(seen):
    assert len(seen.processes) > 5
    assert seen.did_to_processes == set()


def test_rays_objects_in_shared_memory_have_no_name(seen):
    assert seen.shared_memory
    assert all(line.endswith("(deleted)") for line in seen.shared_memory)


def test_rays_services_ask_for_the_token(seen):
    services = {str(method).split("/")[1] for _, method, _ in seen.refused}
    assert len(services) > 15
    for service in ("NodeManagerService", "CoreWorkerService", "ObjectManagerService"):
        assert f"ray.rpc.{service}" in services
    assert any(method == "/get_or_create_runtime_env" for _, method, _ in seen.refused)


def test_without_it_they_tell_that_they_are_there_and_their_figures(seen):
    for port, path, text in seen.answered:
        told = str(text)
        assert told == "success" or told.startswith("# HELP"), (port, path, told[:200])
        assert SECRET not in told and seen.token not in told
