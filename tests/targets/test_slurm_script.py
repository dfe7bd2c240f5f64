"""The batch script, run by bash as Slurm would: a signal to the script alone, at the worst moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.catalog import bundled_file
from orchestrator.targets import slurm
from orchestrator.targets.target import Submission
from tests.targets.places import Place

PATIENCE_SECONDS = 300
_HEAD_THAT_NEVER_ANSWERS = """
import os, pathlib, time
pathlib.Path("pid").write_text(str(os.getpid()))
os.rename("pid", "step")
time.sleep(60)
"""
_KILL_THE_STEP = "import os, pathlib\nos.kill(int(pathlib.Path('step').read_text()), 9)"


class Node(Place):
    """A node's commands: no queue is known, and no step ever gets to run."""

    name = "slurm"
    unknown = ""

    def open(self) -> None:
        self.number = f"99{os.getpid()}"
        self.executable("squeue", "raise SystemExit(1)")
        self.executable("scancel", "")
        self.executable("scontrol", "print('n1\\nn2 NodeAddr=127.0.0.1')")
        self.executable("srun", "")
        self.script: subprocess.Popen[str] | None = None

    def start(self, submission: Submission) -> subprocess.Popen[str]:
        submission.folder.mkdir(parents=True)
        environment = {**os.environ, "SLURM_JOB_ID": self.number, "SLURM_JOB_NODELIST": "n[1-2]"}
        self.script = subprocess.Popen(
            ["bash", "-c", slurm.prepare(submission)],
            stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True,
        )  # fmt: skip
        return self.script

    def close(self) -> None:
        if self.script is not None and self.script.poll() is None:
            os.killpg(self.script.pid, signal.SIGKILL)
        if self.script is not None and self.script.stdout is not None:
            self.script.stdout.close()
            self.script.wait()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    place = Node(tmp_path, monkeypatch)
    yield place
    place.close()


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not file.exists():
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.02)


def left(submission: Submission, number: str) -> list[str]:
    folders = Path("/tmp").glob(f"orch-{number}*")  # noqa: S108 (the script's own place)
    tokens = submission.folder.glob("*.token")
    return [str(path) for path in (*folders, *tokens)]


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_during_setup_ends_the_job_as_stopped(node, submission, here, sent):
    wait = "target.slurm.setup=['touch begun', 'sleep 0.5', 'touch later']"
    made = submission("slurm", wait)
    script = node.start(made)
    wait_for(here / "begun")
    script.send_signal(sent)
    assert script.wait(PATIENCE_SECONDS) == 143
    assert (made.folder / f"slurm-{node.number}.exit").read_text() == "143\n"
    assert not (here / "later").exists()
    assert left(made, node.number) == []


def test_a_stop_before_ray_s_head_answers_ends_the_job_and_its_steps(node, submission, here):
    node.executable("srun", _HEAD_THAT_NEVER_ANSWERS)
    node.executable("scancel", _KILL_THE_STEP)
    made = submission("slurm", "target.slurm.nodes=2", f"target.slurm.python={sys.executable}")
    script = node.start(made)
    wait_for(here / "step")
    script.send_signal(signal.SIGTERM)
    assert script.wait(PATIENCE_SECONDS) == 143
    assert left(made, node.number) == []


def test_a_stop_reaches_a_run_that_has_begun(node, submission, here):
    block = "import pathlib, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
    waits = "pathlib.Path('runs.now').touch()\nsignal.sigwait([15])\nsys.exit(130)"
    python = node.executable("stand-in-python", block + waits)
    made = submission("slurm", f"target.slurm.python={python}")
    script = node.start(made)
    wait_for(here / "runs.now")
    script.send_signal(signal.SIGTERM)
    assert script.wait(PATIENCE_SECONDS) == 130
    assert left(made, node.number) == []


def test_an_image_shows_what_the_run_reads_where_the_node_has_it(node, submission, here):
    data = here / "far data"
    data.mkdir()
    (data / "d.npz").touch()
    image = ("target.slurm.image=/i.sif", "target.slurm.setup=['rm -r gone']")
    (here / "gone").mkdir()
    made = submission("slurm", f"data={data}/d.npz", *image)
    made = replace(made, reads=(*made.reads, here / "gone"))
    node.executable("apptainer", "import sys\nprint(*sys.argv[1:], sep='|')")
    script = node.start(made)
    script.wait(PATIENCE_SECONDS)
    assert script.stdout is not None
    said = script.stdout.read()
    assert said.startswith(
        f"exec|--bind|{made.storage}|--bind|/tmp|--bind|{here}|--bind|{data}|/i.sif"
    )


@pytest.mark.parametrize(
    ("queued", "gone"),
    [("421\n7\n", {"orch-8", "orch-8-node1"}), ("7\n", set()), (None, set())],
)
def test_what_killed_jobs_left_is_removed_where_slurm_no_longer_has_them(node, here, queued, gone):
    """Nothing is removed where the queue is not had, or lacks this very job."""
    node.executable("squeue", f"print({queued!r}, end='')" if queued else "raise SystemExit(1)")
    place = here / "left"
    names = ("orch-421", "orch-7-node1", "orch-8", "orch-8-node1", "orch-81", "orch-x1y", "orch-9")
    for name in names:
        (place / name / "session").mkdir(parents=True)
    (place / "orch-9" / "owner.json").touch()  # a driver's own, whose name looks like a job's
    before = {path.name for path in place.iterdir()}
    lives = [sys.executable, "-c", "input()", f"--temp-dir={place / 'orch-81'}"]
    raylet = subprocess.Popen(lives, stdin=subprocess.PIPE)  # of another Slurm's job
    start = bundled_file("slurm", "start").read_text()
    sweep = start[start.index("sweep() {") : start.index("\n}\n") + 3]
    done = subprocess.run(
        ["bash", "-uc", f'{sweep}\nsweep "$@"', "bash", *map(str, place.iterdir())],
        env={**os.environ, "SLURM_JOB_ID": "421"}, check=False,
    )  # fmt: skip
    raylet.communicate(b"\n")
    assert done.returncode <= 1
    assert before - {path.name for path in place.iterdir()} == gone
