"""The exam that every scheduler passes, ours and yours.

>>> from orchestrator.testing import check_scheduler
>>> from orchestrator.schedulers.asha import AshaOptions
>>> check_scheduler(lambda epochs, mode: AshaOptions().make(epochs, mode))
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from orchestrator.schedulers import Decision, Scheduler
from orchestrator.schedulers.scheduler import UNKNOWN, Ties

EPOCHS = 9
NOT_A_FIGURE = (math.nan, math.inf, -math.inf, None, "a word")
"""What a metric may be beside a number."""


class SchedulerFactory(Protocol):
    """What makes a scheduler: its class, or a function that calls it with further options."""

    def __call__(self, *, epochs: int, mode: str) -> Any:
        """Return a new scheduler for trials of ``epochs`` epochs; ``mode`` is max or min."""


class Report(NamedTuple):
    """A trial's metric after an epoch, and what decides between equal values."""

    trial: str
    epoch: int
    value: Any
    ties: Ties


Stops = dict[str, tuple[int, Decision]]


def check_scheduler(factory: SchedulerFactory, examples: int = 50, seed: int = 0) -> None:
    """Raise AssertionError, with a sentence that says why, where schedulers of ``factory`` break the contract.

    A run is resumed by telling a new scheduler the recorded epochs again, so its decisions have to follow from what it
    was told and from nothing else. ``examples`` sets of curves are drawn from ``seed`` for each claim.
    """
    for mode in ("max", "min"):
        _check_form(factory, mode)
        for example in range(examples):
            draw = random.Random(f"{seed}/{mode}/{example}")
            reports = list(_interleaved(_curves(draw), draw))
            _check_answers(factory, mode, reports)
            _check_repeats(factory, mode, reports)
            _check_told_twice(factory, mode, reports)
            _check_review(factory, mode, reports)


def _check_form(factory: SchedulerFactory, mode: str) -> None:
    made = factory(epochs=EPOCHS, mode=mode)
    _expect(isinstance(getattr(made, "name", None), str), "name: expected a text")
    milestones = list(made.milestones)
    inside = all(isinstance(epoch, int) and 1 <= epoch < EPOCHS for epoch in milestones)
    _expect(
        inside and milestones == sorted(set(milestones)),
        f"milestones: expected whole numbers, ascending, from 1 to below epochs. Received: {milestones}",
    )


def _check_answers(factory: SchedulerFactory, mode: str, reports: list[Report]) -> None:
    """Check that whatever trials report, the answer is a Decision whose cutoff is a number or None."""
    made = factory(epochs=EPOCHS, mode=mode)
    for report in reports:
        answer = made.report(*report)
        _expect(
            isinstance(answer, Decision), f"report({report}): expected a Decision, got {answer!r}"
        )
        cutoff = answer.cutoff
        finite = cutoff is None or math.isfinite(cutoff)
        _expect(finite, f"report({report}): expected a finite cutoff or None, got {cutoff!r}")
        between = answer.stop and report.epoch not in made.milestones
        _expect(not between, f"report({report}): stopped between milestones {made.milestones}")


def _check_repeats(factory: SchedulerFactory, mode: str, reports: list[Report]) -> None:
    """Check that a new scheduler, told the records again, decides the same."""
    live, recorded = _run(factory(epochs=EPOCHS, mode=mode), reports)
    again, _ = _run(factory(epochs=EPOCHS, mode=mode), recorded)
    _expect(live == again, f"told the same epochs again: expected the stops {live}, got {again}")


def _check_told_twice(factory: SchedulerFactory, mode: str, reports: list[Report]) -> None:
    """Check that an epoch that is told twice, as after a kill, counts once."""
    once, twice = factory(epochs=EPOCHS, mode=mode), factory(epochs=EPOCHS, mode=mode)
    for report in reports:
        first = once.report(*report)
        second = twice.report(*report)
        twice.report(*report)
        _expect(
            first == second,
            f"report({report}): decided {second}, not {first}, where all was told twice",
        )


def _check_review(factory: SchedulerFactory, mode: str, reports: list[Report]) -> None:
    """Check that a review decides about trials that reported the epoch, and about no others."""
    made = factory(epochs=EPOCHS, mode=mode)
    for report in reports:
        made.report(*report)
    for epoch in made.milestones:
        reached = {report.trial for report in reports if report.epoch == epoch}
        decided = dict(made.review(epoch))
        unknown = sorted(decided.keys() - reached)
        _expect(not unknown, f"review({epoch}): decided about {unknown}, which did not report it")
        right = all(isinstance(each, Decision) for each in decided.values())
        _expect(right, f"review({epoch}): expected {{trial: Decision}}, got {decided}")


def _run(scheduler: Scheduler, reports: list[Report]) -> tuple[Stops, list[Report]]:
    """Return what was stopped, and what a run records: a trial that is stopped reports no more."""
    stops: Stops = {}
    recorded: list[Report] = []
    for report in reports:
        if report.trial in stops:
            continue
        recorded.append(report)
        decision = scheduler.report(*report)
        if decision.stop:
            stops[report.trial] = (report.epoch, decision)
    return stops, recorded


def _curves(draw: random.Random) -> dict[str, list[Any]]:
    def value() -> Any:
        if draw.random() < 0.1:
            return draw.choice(NOT_A_FIGURE)
        return draw.choice([draw.random(), 0.1])  # equal values too

    return {
        f"{index:05d}": [value() for _ in range(draw.randint(1, EPOCHS))]
        for index in range(draw.randint(1, 12))
    }


def _interleaved(curves: dict[str, list[Any]], draw: random.Random) -> Iterator[Report]:
    """Yield each trial's epochs in order, the trials in some order."""
    told = dict.fromkeys(curves, 0)
    while told:
        trial = draw.choice(sorted(told))
        told[trial] += 1
        ties = UNKNOWN if draw.random() < 0.5 else (draw.random(), float(told[trial]))
        yield Report(trial, told[trial], curves[trial][told[trial] - 1], ties)
        if told[trial] == len(curves[trial]):
            del told[trial]


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)
