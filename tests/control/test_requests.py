"""How long an answer may take, and what it is."""

from __future__ import annotations

import pytest

from orchestrator.control.requests import (
    FIRST_EPOCH_SECONDS,
    LONGEST_SECONDS,
    ON_THE_WAY_SECONDS,
    due_seconds,
)
from orchestrator.errors import RequestError
from orchestrator.experiment import open_run
from orchestrator.records import Request, RunWriter, acquire, read_run
from tests.fortnight import MAIN, make_folder, row, write_fortnight


@pytest.fixture
def folder(tmp_path):
    folder = make_folder(tmp_path / "runs")
    lock = acquire(folder.driver_file)
    yield folder
    lock.release()


def due(folder, **facts):
    return due_seconds(read_run(folder.path), Request("set", MAIN, {"changes": {}}, **facts))


def test_an_answer_is_due_after_an_epoch(folder):
    write_fortnight(folder)
    assert due(folder) == 1.5 * 0.5 + ON_THE_WAY_SECONDS
    with RunWriter(folder) as writer:
        writer.epochs([row(6, 0.8, 1) | {"seconds": 40.0}])
    assert due(folder) == 60 + ON_THE_WAY_SECONDS
    with RunWriter(folder) as writer:
        writer.epochs([row(7, 0.8, 1) | {"seconds": 4000.0}])
    assert due(folder) == LONGEST_SECONDS + ON_THE_WAY_SECONDS


def test_before_the_first_epoch_nobody_knows_how_long_one_takes(folder):
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started(MAIN, 0, 7, {})
    assert due(folder) == FIRST_EPOCH_SECONDS + ON_THE_WAY_SECONDS


def test_no_answer_is_due_for_a_day_to_come_nor_where_nobody_drives(folder):
    write_fortnight(folder)
    assert due(folder, at_day=4) == 0
    assert due(folder, at_day=3) > 0
    folder.driver_file.unlink()
    assert due(folder) == 0


def test_an_answer_is_the_journals_entry(folder):
    write_fortnight(folder)
    run = open_run(folder.path)
    asked = run.set(learning_rate=0.01)
    assert run.answer(asked, 0.0) is None
    done = {"kind": "applied", "trial": MAIN, "epoch": 5, "day": 2, "request": asked.id}
    with RunWriter(folder) as writer:
        writer.journal([done | {"action": "set", "changes": {}, "stretch": 1}])
    assert run.answer(asked, 0.0)["action"] == "set"


def test_a_refusal_is_raised(folder):
    write_fortnight(folder)
    run = open_run(folder.path)
    asked = run.set(learning_rate=0.01)
    with RunWriter(folder) as writer:
        common = {"trial": MAIN, "epoch": 5, "day": 2, "request": asked.id, "stretch": 1}
        writer.journal([{"kind": "refused", "reason": "since the sky is blue", **common}])
    with pytest.raises(RequestError, match="since the sky is blue"):
        run.answer(asked, 0.0)
