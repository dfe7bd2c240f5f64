"""What a run's records say when its driver ends."""

from __future__ import annotations

import pytest

import orchestrator
import orchestrator.tuning.run
from orchestrator.records import read_run, run_status

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
def test_a_driver_that_crashed_says_why_in_the_runs_status(tmp_path, monkeypatch, error, why):
    def crash(*_):
        raise error

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(orchestrator.tuning.run, "run_plan", crash)
    try:
        orchestrator.run(FILE | {"storage_path": str(tmp_path)}, progress=False)
    except (ValueError, RuntimeError) as raised:
        assert raised is error
    records = read_run(tmp_path / "one")
    assert (records.status, run_status(records.folder).why) == ("interrupted", why)
