"""The process that has imported Keras and forks: what a fork is, how both ends end, and what Ray does without it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from orchestrator.training.fork_server import Forked, fork_server

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only under Linux")
STAND_IN = Path(__file__).parents[2] / "orchestrator" / "tuning" / "stand_ins" / "worker.py"
SECONDS = 60
FACTS = """
import json, os, sys
facts = {
    "modules": [each for each in sys.modules if "." not in each], "words": sys.argv[1:], "name": __name__,
    "folder": os.getcwd(), "environment": dict(os.environ), "group": os.getpgid(0) == os.getpid(),
    "threads_of_server": [
        open(f"/proc/{os.getppid()}/task/{each}/comm").read().strip()
        for each in os.listdir(f"/proc/{os.getppid()}/task") if int(each) != os.getppid()
    ],
}
print(json.dumps(facts))
sys.exit(7)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENBLAS_NUM_THREADS", "1")  # NumPy's and SciPy's own threads know of forks
        with fork_server(tmp_path_factory.mktemp("s"), "tensorflow") as path:
            yield path


def asked(path: Path, folder: Path, code: str, *words: str) -> tuple[socket.socket, int, Path]:
    """Ask for a fork that runs ``code``; return the connection, the fork, and what it prints into."""
    script, printed = folder / "script.py", folder / "printed"
    script.write_text(code)
    asking = socket.socket(socket.AF_UNIX)
    asking.settimeout(SECONDS)
    asking.connect(str(path))
    what = {
        "words": [str(script), *words],
        "environment": {"OF": "this test"},
        "folder": str(folder),
        "modules": [],
    }
    with Path(os.devnull).open() as nothing, printed.open("w") as out:
        socket.send_fds(asking, [b" "], [nothing.fileno(), out.fileno(), out.fileno()])
        asking.sendall(json.dumps(what).encode() + b"\n")
    return asking, int(line_of(asking)), printed


def line_of(asking: socket.socket) -> str:
    said = b""
    while not said.endswith(b"\n"):
        more = asking.recv(1)
        if not more:
            break
        said += more
    return said.decode()


def test_a_fork_is_a_process_of_its_own_with_keras_there(server, tmp_path):
    asking, _, printed = asked(server, tmp_path, FACTS, "--word")
    with asking:
        assert line_of(asking) == "7\n"
    facts = json.loads(printed.read_text())
    assert {"keras", "tensorflow", "pandas"} <= set(facts["modules"])
    assert facts["words"] == ["--word"] and facts["name"] == "__main__" and facts["group"]
    assert facts["folder"] == str(tmp_path) and facts["environment"] == {"OF": "this test"}


def test_the_server_holds_no_ray_nothing_unused_and_no_thread_of_its_own(server, tmp_path):
    asking, _, printed = asked(server, tmp_path, FACTS)
    with asking:
        line_of(asking)
    facts = json.loads(printed.read_text())
    assert not {"ray", "sklearn", "matplotlib", "jax"} & set(facts["modules"])
    assert set(facts["threads_of_server"]) <= {"jemalloc_bg_thd"}  # Arrow's, which knows of forks


def test_a_fork_trains_what_a_process_of_its_own_trains(server, tmp_path):
    code = """
import keras, numpy as np
keras.utils.set_random_seed(3)
model = keras.Sequential([keras.layers.Dense(4, activation="relu"), keras.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(16, 3))
model.fit(x, x[:, 0], epochs=2, verbose=0)
print(b"".join(each.tobytes() for each in model.get_weights()).hex())
"""
    asking, _, printed = asked(server, tmp_path, code)
    with asking:
        assert line_of(asking) == "0\n"
    own = subprocess.run([sys.executable, str(tmp_path / "script.py")], capture_output=True)
    assert printed.read_text().split()[-1] == own.stdout.decode().split()[-1]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_who_asked_hears_of_the_signal_that_ended_its_fork(server, tmp_path, number):
    asking, child, _ = asked(server, tmp_path, "import time; time.sleep(600)")
    os.kill(child, number)
    with asking:
        assert line_of(asking) == f"{-number}\n"
    assert not psutil.pid_exists(child)


def test_a_fork_ends_with_who_asked_for_it_and_the_server_goes_on(server, tmp_path):
    asking, child, _ = asked(server, tmp_path, "import time; time.sleep(600)")
    asking.close()
    with suppress(psutil.NoSuchProcess):
        psutil.Process(child).wait(SECONDS)
    asking, _, _ = asked(server, tmp_path, "")
    with asking:
        assert line_of(asking) == "0\n"


def test_the_server_ends_with_its_owner_however_that_ends(tmp_path):
    owner = f"""
import os, pathlib, psutil, signal
from orchestrator.training.fork_server import Forked, fork_server
with fork_server(pathlib.Path({str(tmp_path)!r}), "tensorflow"):
    print(psutil.Process().children()[0].pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
    said = subprocess.run([sys.executable, "-c", owner], capture_output=True, timeout=SECONDS)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(said.stdout)).wait(SECONDS)


def forked(path: Path, folder: Path, code: str) -> Forked:
    (folder / "script.py").write_text(code)
    with Path(os.devnull).open() as nothing:
        return Forked(path, [str(folder / "script.py")], nothing.fileno(), {})


def test_a_forked_script_prints_into_a_pipe_and_its_code_is_known(server, tmp_path):
    child = forked(server, tmp_path, "import sys; print(sys.stdin.read(), 'said'); sys.exit(3)")
    assert child.stdout.read() == " said\n"
    assert child.wait() == 3
    child.kill()
    assert child.wait(1) == 3


def test_one_that_hangs_is_ended(server, tmp_path):
    child = forked(server, tmp_path, "print('there', flush=True); import time; time.sleep(600)")
    assert child.stdout.readline() == "there\n"
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.1)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert child.stdout.read() == ""


def test_one_that_is_not_there_yet_is_not_waited_for(tmp_path):
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "busy"))
        busy.listen()
        child = forked(tmp_path / "busy", tmp_path, "")
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(0.1)
        child.kill()
        assert child.wait() == -signal.SIGKILL


def started_by_ray(folder: Path, path: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What Ray starts a worker with: its script, whose sibling is the one by which it starts workers otherwise."""
    (folder / "setup_worker.py").write_text("import sys; print('by Ray', *sys.argv[2:])")
    (folder / "default_worker.py").write_text("import sys; print('forked', *sys.argv[1:])")
    command = [sys.executable, str(STAND_IN), str(folder / "default_worker.py"), *words]
    there = {**os.environ, "ORCHESTRATOR_FORK_SERVER": path}
    return subprocess.run(command, env=there, capture_output=True, text=True, timeout=SECONDS)


def test_a_worker_is_a_fork_where_there_is_a_server(server, tmp_path):
    assert (
        started_by_ray(tmp_path, str(server), "--language=PYTHON", "--a").stdout == "forked --a\n"
    )


@pytest.mark.parametrize(
    "word", ['--serialized-runtime-env-context={"a":1}', "--worker-type=SPILL"]
)
def test_a_worker_of_another_kind_is_started_by_ray(server, tmp_path, word):
    assert started_by_ray(tmp_path, str(server), word).stdout == f"by Ray {word}\n"


def test_without_a_server_workers_are_started_by_ray(tmp_path):
    assert started_by_ray(tmp_path, str(tmp_path / "gone"), "--a").stdout == "by Ray --a\n"
