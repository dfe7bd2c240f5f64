"""Functions that end or hang their worker: their trial is tried again or ended, and the others get through."""

from __future__ import annotations

import pytest

import orchestrator

pytestmark = [pytest.mark.integration, pytest.mark.cluster]

MINE = """
import os, time
from pathlib import Path

def train(hp, report):
    mark = Path(__file__).with_name("happened-" + hp["what"])
    saved = report.checkpoint.load()
    for epoch in range(report.checkpoint.epoch + 1, 5):
        with open(mark, "a") as file:
            print(epoch, file=file)
        with report.checkpoint.save(epoch) as folder:
            (folder / "epoch").write_text(str(epoch))
        report(epoch, val_loss=1 / epoch)
        time.sleep(1.2)
        if hp["what"] == "always_dies" or (hp["what"] == "dies_once" and saved is None):
            os._exit(9) if epoch >= 2 else None
        while hp["what"] == "never_ends" and epoch == 2:
            pass
"""


@pytest.fixture(scope="module")
def done(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("functions")
    (folder / "mine.py").write_text(MINE)
    points = [{"what": what} for what in ("always_dies", "never_ends", "good", "dies_once")]
    run = orchestrator.run(
        {
            "name": "fn", "trial": str(folder / "mine.py"), "metric": "val_loss", "epochs": 4,
            "search_space": {"what": "choice([always_dies, never_ends, good, dies_once])"},
            "storage_path": str(folder / "runs"), "retries": {"times": 1, "wait": "1 second"},
            "limits": {"max_trial_time": "15 seconds"},
            "caviar": {"num_samples": 4, "points": points, "scheduler": "none"},
        },
        progress=False,
    )  # fmt: skip
    return folder, run, {t.hyperparameters["what"]: t for t in run.records.trials}


def test_one_that_ends_its_process_is_tried_again_and_then_failed(done):
    trial = done[2]["always_dies"]
    assert (trial.status, trial.failure, trial.attempts) == ("failed", "worker_died", 2)


def test_one_that_ended_its_process_goes_on_from_its_state(done):
    folder, run, trials = done
    assert (trials["dies_once"].status, trials["dies_once"].attempts) == ("finished", 2)
    epochs = [row["epoch"] for row in run.records.of(trials["dies_once"].trial).epochs]
    assert epochs == [1, 2, 3, 4]
    trained = (folder / "happened-dies_once").read_text().split()
    assert trained[:2] == ["1", "2"] and trained[2:] in (["2", "3", "4"], ["3", "4"])


def test_one_that_never_ends_is_ended_by_its_limit(done):
    trial = done[2]["never_ends"]
    assert (trial.status, trial.failure) == ("failed", "timeout")


def test_no_other_trial_is_touched(done):
    run, trial = done[1], done[2]["good"]
    assert (run.status, trial.status, trial.attempts) == ("finished", "finished", 1)
