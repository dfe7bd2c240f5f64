"""A real Slurm of two nodes on this machine, each with its own network and host name, started by start.sh."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from orchestrator.records import read_run
from tests import debian
from tests.pages import lay_out
from tests.preloaded import PYTHONPATH

HERE = Path(__file__).parent
PACKAGES = {"slurmctld": "slurm-wlm", "munged": "munge", "ip": "iproute2"}
PATIENCE_SECONDS = 900
TRIALS, EPOCHS = 8, 200
EXPERIMENT = {
    "name": "two-nodes", "model": "mlp", "data": "digits", "epochs": EPOCHS,
    "search_space": {"learning_rate": "loguniform(0.001, 0.1)", "units": "choice([8, 16])"},
    "caviar": {"num_samples": TRIALS, "scheduler": "none"},
    "target": {"slurm": {"nodes": 2, "time": "20"}},
}  # fmt: skip


def why_not() -> str | None:
    """Why this machine cannot have a Slurm."""
    if os.geteuid() != 0:
        return "needs root, for network namespaces and Slurm's daemons"
    probe = subprocess.run(["unshare", "--net", "--mount", "--uts", "true"], capture_output=True)
    if probe.returncode:
        return "needs network namespaces, which unshare may not make"
    return debian.why_not(PACKAGES)


@dataclass(frozen=True)
class Slurm:
    """Slurm, and the commands of ours on its login host."""

    folder: Path
    work: Path

    def on_login(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ, "PYTHONPATH": PYTHONPATH, "SLURM_CONF": str(self.folder / "slurm.conf"),
            "XDG_STATE_HOME": str(self.work / "state"), "TF_CPP_MIN_LOG_LEVEL": "3",
        }  # fmt: skip
        return subprocess.run(
            [str(HERE / "on.sh"), str(self.folder), "1", *command],
            cwd=self.work, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
        )  # fmt: skip

    def orchestrator(self, *arguments: str) -> str:
        done = self.on_login(sys.executable, "-m", "orchestrator", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self, number: str) -> str:
        """What Slurm tells of a job: at once, which `status`, a whole Python, does not."""
        return self.on_login("scontrol", "show", "job", number).stdout

    def wait_for(self, job: str) -> None:
        """Wait until a job is finished, in Slurm's eyes and then in ours."""
        number = job.removeprefix("slurm://")
        wait_until(lambda: "JobState=COMPLETED" in self.told(number))
        assert f"{job}: finished" in self.orchestrator("status", job)

    def epochs(self, run: str) -> int:
        file = self.work / "runs" / run / "epochs.jsonl"
        return file.read_bytes().count(b"\n") if file.exists() else 0

    def left_behind(self, number: str) -> list[Path]:
        """What a job keeps on a node or in its folder only while it runs."""
        tokens = (self.work / "runs" / ".jobs").rglob(f"slurm-{number}.token")
        return [*Path("/tmp").glob(f"orch-{number}-*"), *tokens]  # noqa: S108


@pytest.fixture(scope="module")
def slurm() -> Iterator[Slurm]:
    reason = why_not()
    if reason:
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/var/tmp"))
    folder.chmod(0o755)
    work = folder / "work"
    work.mkdir()
    (work / "two-nodes.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    try:
        started = [str(HERE / "start.sh"), str(folder)]
        subprocess.run(started, check=True, timeout=300, stdin=subprocess.DEVNULL)
        yield Slurm(folder, work)
    finally:
        subprocess.run([str(HERE / "stop.sh"), str(folder)], timeout=300)
        shutil.rmtree(folder, ignore_errors=True)


def wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.5)


def test_a_job_on_two_nodes_is_stopped_goes_on_is_requeued_and_ends_with_its_table(slurm):
    first = slurm.orchestrator("submit", "two-nodes.yaml").strip()
    number = first.removeprefix("slurm://")
    wait_until(lambda: slurm.epochs("two-nodes") > 0)
    assert f"{first}: stopped" in slurm.orchestrator("stop", first)
    after_stop = slurm.epochs("two-nodes")
    assert read_run(slurm.work / "runs" / "two-nodes").status == "interrupted"
    assert slurm.left_behind(number) == []

    second = slurm.orchestrator("submit", "two-nodes.yaml").strip()
    number = second.removeprefix("slurm://")
    wait_until(lambda: "JobState=RUNNING" in slurm.told(number))
    assert f"{second}: running (RUNNING, on orch" in slurm.orchestrator("status", second)
    wait_until(lambda: slurm.epochs("two-nodes") > after_stop)
    # What Slurm itself sends before the time limit (--signal=B:USR1@...), which it rounds to a minute.
    assert slurm.on_login("scancel", "--batch", "--signal=USR1", number).returncode == 0
    wait_until(lambda: "Restarts=1" in slurm.told(number))
    assert "restarted 1 times" in slurm.orchestrator("status", second)
    slurm.wait_for(second)

    check_complete(slurm)
    assert "goes back into the queue" in slurm.orchestrator("logs", second)
    assert slurm.left_behind(number) == []
    for node in ("orch-s2", "orch-s3"):
        logs = slurm.work / "runs" / "two-nodes" / "logs" / f"slurm-{number}" / node
        assert list(logs.glob("worker-*")), f"no trial ran on {node}"


def check_complete(slurm: Slurm) -> None:
    """Every trial trained each of its epochs once, whatever happened in between."""
    records = read_run(slurm.work / "runs" / "two-nodes")
    assert (records.status, len(records.trials)) == ("finished", TRIALS)
    for trial in records.trials:
        counted = Counter(row["epoch"] for row in records.of(trial.trial).epochs)
        wrong = {epoch: counted[epoch] for epoch in range(1, EPOCHS + 1) if counted[epoch] != 1}
        assert (trial.trial, trial.status, wrong) == (trial.trial, "finished", {})
    assert records.winner is not None, records.events
    table = slurm.orchestrator("table", "two-nodes", "--format", "csv")
    assert table.count(",finished,") == TRIALS


def test_two_jobs_on_the_same_two_nodes_do_not_meet(slurm):
    small = ("--set", "epochs=2", "--set", "caviar.num_samples=2")
    jobs = {
        run: slurm.orchestrator("submit", "two-nodes.yaml", "--set", f"name={run}", *small).strip()
        for run in ("left", "right")
    }
    for run, job in jobs.items():
        slurm.wait_for(job)
        records = read_run(slurm.work / "runs" / run)
        assert [trial.status for trial in records.trials] == ["finished"] * 2
        assert slurm.left_behind(job.removeprefix("slurm://")) == []


def test_the_page_does_what_it_says(slurm):
    folder = slurm.folder / "page"
    folder.mkdir()
    done = slurm.on_login("bash", str(lay_out("targets/slurm.md", folder, forked=False)))
    assert done.returncode == 0, done.stderr
    records = read_run(folder / "copies" / "digits")
    assert (records.status, len(records.trials)) == ("finished", 8)


def test_a_job_that_slurm_refuses_is_one_sentence(slurm):
    refused = slurm.on_login(
        sys.executable, "-m", "orchestrator", "submit", "two-nodes.yaml",
        "--set", "name=x", "--set", "target.slurm.partition=nowhere",
    )  # fmt: skip
    assert refused.returncode == 2
    assert "invalid partition specified: nowhere" in " ".join(refused.stderr.split())


def test_a_job_that_slurm_has_never_had_is_unknown(slurm):
    unknown = slurm.on_login(sys.executable, "-m", "orchestrator", "status", "slurm://424242")
    assert (unknown.returncode, "Received: 424242" in unknown.stderr) == (2, True)
