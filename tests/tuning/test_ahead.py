"""Reports that a worker has ready before the driver has heard the ones before, where nothing depends on that."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.search import TrialSpec
from orchestrator.tuning.trial_runner import ReportsAhead, TrialRunner

LAST = 4


@dataclass
class Job:
    """Trials of four epochs, one a report; ``kept`` are the rows that a state would hold."""

    home: Path = Path()
    kept: dict[str, list[int]] = field(default_factory=dict)

    def open(self):
        return SimpleNamespace(session=lambda spec: Session(self, spec), about=dict)


class Session:
    def __init__(self, job, spec):
        self._job, self._spec, self._epoch = job, spec, 0

    def advance(self, progress, seconds):
        self._epoch += 1
        if self._spec.trial == "fails":
            raise ValueError(self._spec.trial)
        progress.rows.append({"trial": self._spec.trial, "epoch": self._epoch})
        progress.done = self._epoch == LAST
        self._rows = progress.rows

    def keep(self):
        self._job.kept[self._spec.trial] = [row["epoch"] for row in self._rows]


def spec(trial):
    return TrialSpec(trial, 0, 0, {})


@pytest.fixture
def job():
    return Job()


def made(job, ask):
    reports = ReportsAhead(TrialRunner(job), ask)
    reports.take(spec("a"))
    assert reports.next().opened
    return reports


def told(report):
    return report.trial, [row["epoch"] for row in report.progress.rows]


def test_without_leave_to_go_ahead_nothing_is_asked_for(job):
    asked = []
    reports = made(job, None)
    assert [told(reports.next()) for _ in range(2)] == [("a", [1]), ("a", [2])]
    assert not asked


def test_each_row_is_told_once_and_in_order_whether_prepared_or_not(job):
    asked = []
    reports = made(job, lambda: asked.append(0))
    found = []
    for prepares in (1, 0, 2, 1):
        found.append(told(reports.next()))
        for _ in range(prepares):
            reports.prepare()
    assert found == [("a", [epoch]) for epoch in (1, 2, 3, 4)]
    assert reports.next() is None


def test_the_next_trial_begins_as_soon_as_the_one_before_is_over(job):
    reports = made(job, lambda: None)
    reports.take(spec("b"), next_one=True)
    for _ in range(LAST):
        last = reports.next()
    assert last.is_over
    reports.prepare()
    assert reports.runner.trials == ["b"]
    assert told(reports.next()) == ("b", [1])


def test_one_that_fails_makes_place_for_the_next_too(job):
    reports = made(job, lambda: None)
    reports.take(spec("fails"))
    reports.take(spec("b"), next_one=True)
    assert reports.next().failure.kind == "error"
    assert told(reports.next()) == ("b", [1])


def test_a_state_holds_the_rows_that_the_driver_may_not_have_heard(job):
    reports = made(job, lambda: None)
    reports.next()
    reports.next()  # so that the driver has heard epoch 1
    reports.prepare()
    reports.runner.keep()
    assert job.kept == {"a": [2, 3]}
    assert told(reports.next()) == ("a", [3])
    reports.prepare()
    reports.runner.keep()
    assert job.kept == {"a": [3, 4]}


def test_what_was_trained_of_a_skipped_trial_is_not_told(job):
    reports = made(job, lambda: None)
    reports.next()
    reports.take(spec("b"), next_one=True)
    reports.prepare()
    reports.skip("a")
    assert told(reports.next()) == ("b", [1])


def test_a_trial_that_is_taken_now_has_the_place_alone(job):
    reports = made(job, lambda: None)
    reports.take(spec("b"), next_one=True)
    reports.next()
    reports.prepare()
    reports.take(spec("c"))
    assert [told(reports.next()) for _ in range(LAST)] == [("c", [n]) for n in (1, 2, 3, 4)]
    assert reports.next() is None
