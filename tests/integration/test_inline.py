"""Trials in this process give what one worker gives, to the last bit, and either goes on with the other's run."""

from __future__ import annotations

import pytest

import orchestrator
from tests.experiment.inline import InlineTuner

ASHA = {
    "max_concurrent_trials": 1,
    "scheduler": {"asha": {"promote": False, "grace_period": 1, "reduction_factor": 2}},
}
CAVIAR = {
    "name": "one", "model": "mlp", "data": "digits", "epochs": 4, "seed": 4, "caviar": {"num_samples": 5} | ASHA,
    "search_space": {"learning_rate": "loguniform(0.001, 1)", "momentum": "one_minus_loguniform(0.9, 0.99)"},
}  # fmt: skip
PANDA = {
    "name": "one", "model": "mlp", "data": "digits", "seed": 4, "strategy": "panda", "search_space": {},
    "panda": {
        "start": {"learning_rate": 0.05, "units": 8}, "day": "2 epochs", "days": 2,
        "schedule": [{"epoch": 2, "set": {"learning_rate": 0.01}}],
    },
}  # fmt: skip


def story(run):
    """All that is recorded but times and processes."""
    records = run.reload().records
    timed = ("started", "ended", "seconds", "worker", "rss_mb")
    trials = [
        {key: value for key, value in vars(trial).items() if key not in timed}
        for trial in records.trials
    ]
    rows = [(row["trial"], row["epoch"], row["metrics"]) for row in records.epochs]
    scores = {
        key: value
        for key, value in records.winner.items()
        if key not in ("time", "seconds", "sha256")
    }
    entries = [(entry["kind"], entry.get("action")) for entry in records.journal]
    return trials, rows, scores, entries, [event["event"] for event in records.events]


@pytest.mark.parametrize("asked", [CAVIAR, PANDA], ids=["asha", "panda"])
def test_inline_records_what_one_worker_does(cluster, tmp_path, asked):
    told = {
        executor: orchestrator.run(
            asked | {"storage_path": str(tmp_path / executor)}, progress=False, executor=executor
        )
        for executor in ("tune", "inline")
    }
    assert story(told["inline"]) == story(told["tune"])


def test_a_run_that_was_begun_inline_and_cut_off_goes_on_under_tune_and_is_extended_inline(
    cluster, tmp_path
):
    whole = orchestrator.run(
        CAVIAR | {"storage_path": str(tmp_path / "whole")}, progress=False, executor="inline"
    )
    tuner = InlineTuner()
    tuner.most = 3
    four = CAVIAR | {"storage_path": str(tmp_path), "caviar": {"num_samples": 4} | ASHA}
    cut_off = orchestrator.run(four, progress=False, executor=tuner)
    assert cut_off.status == "interrupted"
    under_tune = orchestrator.resume(cut_off.path, progress=False)
    assert under_tune.status == "finished"
    ended = orchestrator.extend(under_tune.path, num_samples=5, progress=False, executor="inline")
    assert curves(ended) == curves(whole)


def curves(run):
    return {(row["trial"], row["epoch"]): row["metrics"] for row in run.reload().records.epochs}
