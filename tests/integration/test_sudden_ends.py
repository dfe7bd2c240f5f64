"""Signals to the driver's whole group, a terminal that goes away, and a driver that is killed: really sent."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
from pathlib import Path

import psutil
import pytest
import yaml

from orchestrator.experiment import open_run
from orchestrator.tuning.scratch import scratch_folder
from tests.integration.conftest import SPACE
from tests.integration.people import until
from tests.preloaded import PYTHONPATH

PATIENCE_SECONDS = 900
EXPERIMENT = {
    "name": "one", "model": "mlp", "data": "digits", "search_space": SPACE, "epochs": 100_000, "seed": 4,
    "checkpoint_every": "1 hour", "caviar": {"num_samples": 1, "scheduler": "none"}, "storage_path": "runs",
}  # fmt: skip
ASKED = """
import pathlib, sys
from orchestrator.experiment.run_lease import asked_to_stop
with asked_to_stop() as asked:
    print("here", flush=True)
    asked.wait(float(sys.argv[1]))
    print("shown", flush=True)
    print("shown", file=sys.stderr, flush=True)
    pathlib.Path("told").write_text("asked" if asked.is_set() else "not asked")
"""
HAS_RAY = """
import os
os.environ["RAY_enable_metrics_collection"] = "1"  # with all of Ray's processes
from orchestrator.tuning.cluster import running_ray
from orchestrator.tuning.ray_internals import core_processes, gcs_address
with running_ray(1):
    print(gcs_address(), *sorted(core_processes()), flush=True)
    input()
"""


@pytest.fixture
def temporary():
    """A folder for what is temporary: its path is short, since Ray's sockets lie below it."""
    folder = Path(tempfile.mkdtemp(prefix="se-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def begin(tmp_path, temporary):
    """`begin(*words)`: a process in a session of its own; what is left of the session at the end is killed."""
    begun = []

    def start(*words, **options):
        own = {"RAY_ADDRESS": "", "TMPDIR": str(temporary), "TF_CPP_MIN_LOG_LEVEL": "3"}
        # A Ray that this process started before has left the word there that it asks for a token.
        inherited = {name: value for name, value in os.environ.items() if "RAY_AUTH_" not in name}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        begun.append(
            subprocess.Popen(
                words, cwd=tmp_path, start_new_session=True, text=True,
                env=inherited | own | {"PYTHONPATH": PYTHONPATH}, **(pipes | options),
            )
        )  # fmt: skip
        return begun[-1]

    yield start
    for process in begun:
        for left in [process, *others(process)]:
            left.kill()
        process.communicate()


def others(leader):
    """The processes of a session that live, its leader left out."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            same = os.getsid(process.pid) == leader.pid != process.pid
            found += [process] if same and process.status() != psutil.STATUS_ZOMBIE else []
    return found


def test_timeout_which_signals_the_whole_group_interrupts_a_run_in_order(begin, tmp_path, temporary):  # fmt: skip
    (tmp_path / "e.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    epochs = tmp_path / "runs" / "one" / "epochs.jsonl"
    process = begin("timeout", "3600", sys.executable, "-m", "orchestrator", "run", "e.yaml")
    trains = lambda: epochs.exists() and epochs.stat().st_size > 0  # noqa: E731
    until(lambda: trains() or process.poll() is not None, PATIENCE_SECONDS)
    process.send_signal(signal.SIGTERM)  # as when its time is over
    told = process.communicate(timeout=PATIENCE_SECONDS)[0]
    assert process.returncode == 130, told
    run = open_run(epochs.parent)
    assert run.status == "interrupted"
    assert run.records.events[-1]["event"] == "run_interrupted"
    assert (run.folder.checkpoints / "00000.last.npz").exists()
    assert list(temporary.iterdir()) == []
    assert others(process) == []


def test_a_terminal_that_goes_away_is_a_request_to_stop_and_output_to_it_is_dropped(begin, tmp_path):  # fmt: skip
    ours, its = pty.openpty()

    def take() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever began the tests may have ignored it
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    terminal = {"stdin": its, "stdout": its, "stderr": its}
    process = begin(sys.executable, "-c", ASKED, "300", preexec_fn=take, **terminal)
    os.close(its)
    assert os.read(ours, 100).startswith(b"here")
    os.close(ours)
    assert process.wait(PATIENCE_SECONDS) == 0
    assert (tmp_path / "told").read_text() == "asked"


def test_nohup_is_respected(begin, tmp_path):
    process = begin("nohup", sys.executable, "-c", ASKED, "1")
    assert process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGHUP)
    assert process.communicate(timeout=PATIENCE_SECONDS)[0] == "shown\nshown\n"
    assert (tmp_path / "told").read_text() == "not asked"


def test_what_a_killed_driver_left_running_ends_at_the_next_start_and_makes_nothing_anew(begin, temporary):  # fmt: skip
    process = begin(sys.executable, "-c", HAS_RAY)
    address, *watched = process.stdout.readline().split()
    assert watched == ["gcs_server", "raylet"], "whose end would not be noticed?"
    asks = f"from orchestrator.tuning.ray_limits import check_answers; check_answers({address!r})"
    said = begin(sys.executable, "-c", asks).communicate(timeout=PATIENCE_SECONDS)[0]
    assert re.search(f"PlaceError.*{address}: .*[Tt]oken", said), said
    process.kill()
    process.wait()
    assert others(process), "Ray's agents outlive their driver by up to a minute"
    [left] = temporary.glob("orch-*")
    with scratch_folder("orch-", str(temporary)):
        assert others(process) == []
        assert not left.exists()
