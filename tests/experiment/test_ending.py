"""What a run's records say when its driver ends."""

from __future__ import annotations

from itertools import islice

import pytest

import orchestrator
from orchestrator.records import DamagedLineWarning, read_run, run_status
from orchestrator.tuning.protocol import Outcome

FILE = {
    "name": "one", "model": "mlp", "data": "digits", "epochs": 1,
    "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (ValueError("no such node\nat all"), "its driver ended with ValueError: no such node"),
        (RuntimeError(), "its driver ended with RuntimeError"),
        (KeyboardInterrupt(), None),
    ],
)
def test_a_driver_that_crashed_says_why_in_the_runs_status(tmp_path, error, why):
    def crash(*_):
        raise error

    try:
        orchestrator.run(FILE | {"storage_path": str(tmp_path)}, progress=False, executor=crash)
    except (ValueError, RuntimeError) as raised:
        assert raised is error
    records = read_run(tmp_path / "one")
    assert (records.status, run_status(records.folder).reason) == ("interrupted", why)


def test_a_run_whose_records_were_damaged_meanwhile_ends_with_its_tables(tmp_path):
    def train(plan, job, recorder, sitting):
        for spec in islice(plan.draws(), 2):
            recorder.started(spec)
            metrics = {"val_accuracy": 0.5}
            row = {"trial": spec.trial, "epoch": 1, "metrics": metrics, "seconds": 0.1}
            recorder.epochs([row])
        file = tmp_path / "one" / "epochs.jsonl"
        file.write_bytes(b"\xff" + file.read_bytes())
        return Outcome(ended=True)

    with pytest.warns(DamagedLineWarning, match=r"epochs\.jsonl, line 1: damaged"):
        ended = orchestrator.run(
            FILE | {"storage_path": str(tmp_path)}, progress=False, executor=train
        )
        assert ended.status == "finished"
        assert len(ended.table()) == 2
    assert len((ended.path / "trials.csv").read_text().splitlines()) == 3
    assert len((ended.path / "epochs.csv").read_text().splitlines()) == 2
