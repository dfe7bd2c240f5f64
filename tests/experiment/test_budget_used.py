"""What earlier drivers spent, told by the records alone."""

from __future__ import annotations

import json

import pytest

from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunWriter, TrialEnd

NONE = {"scheduler": "none", "num_samples": 4}


def spent(run):
    return prepare_to_resume(run.folder).sitting(bool).spent


def write(run, *told):
    """Append events {event, ...} and endings of trials."""
    with RunWriter(run.folder) as writer:
        for each in told:
            writer.trial_ended(each) if isinstance(each, TrialEnd) else writer.event(**each)


def retried(trial, failure="worker_died", error="worker died: x"):
    facts = {"trial": trial, "failure": failure, "error": error, "attempt": 2, "wait_seconds": 5.0}
    return {"event": "retried", **facts}


@pytest.fixture
def cut_off(written):
    """Of four trials one finished, one was cut off in order, one was killed, one has not begun."""
    told = [(0, [0.1] * 3, "finished"), (1, [0.1], "interrupted"), (2, [0.1, 0.2], None)]
    return written(caviar=NONE).writes(*told, event=None)


def test_a_trial_spent_what_was_written_down_when_it_was_cut_off_or_its_epochs(cut_off):
    assert {trial: on.seconds for trial, on in spent(cut_off).on.items()} == {
        "00001": 1.5,
        "00002": 1.0,
    }
    write(cut_off, TrialEnd("00001", "interrupted", 0.1))
    assert spent(cut_off).on["00001"].seconds == 0.5, "its one epoch took longer"


def test_the_run_spent_its_trials_and_epochs(cut_off):
    assert (spent(cut_off).trials, spent(cut_off).epochs, spent(cut_off).failed) == (1, 6, 0)


def test_tries_count_but_for_those_after_a_lack_of_memory(cut_off):
    write(cut_off, retried("00001"), retried("00001", "out_of_memory"), retried("00002", "error"))
    write(cut_off, retried("00000"))
    kinds = {trial: [f.kind for f in on.failures] for trial, on in spent(cut_off).on.items()}
    assert kinds == {"00001": ["worker_died"], "00002": ["error"]}


def test_a_trial_that_is_trained_again_from_its_start_has_all_of_its_time(cut_off):
    rows = cut_off.folder.epochs_file.read_text().splitlines(keepends=True)
    cut_off.folder.epochs_file.write_text("".join(row for row in rows[:4] + rows[5:]))
    assert spent(cut_off).on["00002"].seconds == 0.0


def test_waits_for_a_disk_do_not_count_towards_the_time_of_the_run(cut_off):
    at = "2026-11-22T08:{:02}:00.000+00:00".format
    times = [("run_started", 0), ("paused", 40), ("run_interrupted", 50), ("run_started", 55)]
    lines = [{"event": event, "time": at(minute)} for event, minute in times]
    lines[1] |= {"reason": "disk full", "seconds": 1800.0}
    lines.append({"event": "run_interrupted", "time": at(58)})
    cut_off.folder.events_file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert spent(cut_off).seconds == 53 * 60 - 1800
