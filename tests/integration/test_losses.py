"""What a run survives: workers that die or hang, a disk that is full, limits that are met."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time

import pytest

from orchestrator.experiment import Run
from orchestrator.records import RunFolder
from tests.integration.nets import FAILS

HAZARD = """
    import ctypes
    import signal
    import time
    from pathlib import Path

    import ray

    def build(hp, input_shape, num_classes):
        mark = Path(__file__).with_name("happened-" + hp["what"])
        in_a_trial = ray.is_initialized()  # not where it is built once before anything starts
        if in_a_trial and (hp["what"] == "hangs" or not mark.exists()):
            mark.touch()
            if hp["what"] == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            if hp["what"] == "hangs":
                ctypes.PyDLL(None).sleep(3600)  # holds the interpreter: no Python runs any more
            if hp["what"] == "breaks":
                raise ConnectionResetError("the file server went away")
            if hp["what"] == "eats":
                raise MemoryError("no room for the weights")
        return keras.Sequential([
            keras.Input(input_shape),
            keras.layers.Flatten(),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""
SPACE = {"learning_rate": 0.05, "what": "choice([dies, hangs, breaks, eats, nothing])"}


@pytest.fixture(scope="module")
def survived(cluster, tmp_path_factory):
    """One run in which a worker dies, one hangs in native code, one loses its server, one its memory."""
    import textwrap

    import orchestrator

    folder = tmp_path_factory.mktemp("hazards")
    (folder / "net.py").write_text("import keras\nimport os\n" + textwrap.dedent(HAZARD))
    experiment = {
        "model": str(folder / "net.py"), "data": "digits", "search_space": SPACE, "epochs": 2,
        "seed": 3, "retries": {"wait": "1 second"}, "limits": {"max_trial_time": "60 seconds"},
        "caviar": {"num_samples": 7, "scheduler": "none"}, "storage_path": str(folder / "runs"),
    }  # fmt: skip
    return orchestrator.run(experiment, progress=False)


def those(run, what):
    found = [trial for trial in run.records.trials if trial.hyperparameters["what"] == what]
    assert found, "the draw has one of each"
    return found


@pytest.mark.parametrize("what", ["dies", "breaks", "eats"])
def test_what_is_worth_trying_again_gets_through(survived, what):
    trials = those(survived, what)
    assert {trial.status for trial in trials} == {"finished"}
    assert sorted(trial.attempts for trial in trials)[-1] == 2
    for trial in trials:
        assert [row["epoch"] for row in survived.records.of(trial.trial).epochs] == [1, 2]


def test_a_trial_stuck_in_native_code_is_ended_as_a_timeout(survived):
    for trial in those(survived, "hangs"):
        assert (trial.status, trial.failure, trial.attempts) == ("failed", "timeout", 1)
        assert "max_trial_time of 60 seconds" in trial.error


def test_the_others_finish_and_fewer_train_at_once_after_a_lack_of_memory(survived):
    assert {trial.status for trial in those(survived, "nothing")} == {"finished"}
    [fewer] = [event for event in survived.records.events if event["event"] == "fewer_at_once"]
    assert fewer["trials"] == 1
    assert survived.status == "finished" and survived.best is not None


def test_the_table_tells_the_kinds_of_failure_and_the_attempts(survived):
    table = survived.table()
    assert set(table["failure"].dropna()) == {"timeout"}
    assert table["attempts"].max() == 2


def test_too_many_failed_trials_end_the_run_with_the_reason(tune):
    run = tune(
        9,
        FAILS,
        search_space={"learning_rate": "uniform(0.1, 0.2)"},
        limits={"max_failed_trials": 2},
        executor="inline",
    )
    assert run.status == "finished"
    failed = [trial for trial in run.records.trials if trial.status == "failed"]
    assert len(failed) == len(run.records.trials) == 3
    assert "max_failed_trials is 2" in run.records.events[-1]["reason"]
    assert run.given_up


@pytest.fixture
def small_disk(tmp_path):
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(place)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_run_on_a_full_disk_pauses_and_goes_on_when_there_is_room(tune, small_disk):
    ballast = small_disk / "ballast"

    def fill_and_free():
        epochs = RunFolder(small_disk / "one").epochs_file
        while not epochs.exists() or epochs.stat().st_size == 0:
            time.sleep(0.02)
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        time.sleep(4)
        ballast.unlink()

    other = threading.Thread(target=fill_and_free)
    other.start()
    scheduler = {"scheduler": "none", "max_concurrent_trials": 1}
    run: Run = tune(6, storage_path=str(small_disk), epochs=30, caviar=scheduler)
    other.join()
    assert {trial.status for trial in run.records.trials} == {"finished"}
    for trial in run.records.trials:
        epochs = [row["epoch"] for row in run.records.of(trial.trial).epochs]
        assert epochs == list(range(1, 31))
    paused = [event for event in run.records.events if event["event"] == "paused"]
    assert paused and "disk full" in paused[0]["reason"]
    assert run.best.test is not None
