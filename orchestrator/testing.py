"""The exams that every scheduler and every searcher passes, ours and yours.

>>> from orchestrator.testing import check_scheduler, check_searcher
>>> from orchestrator.schedulers.asha import AshaOptions
>>> check_scheduler(lambda epochs, mode: AshaOptions().make(epochs, mode))
>>> from orchestrator.searchers import RandomOptions
>>> check_searcher(lambda **about: RandomOptions().make(**about))
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

from orchestrator.domains import Space
from orchestrator.schedulers import Decision, Scheduler
from orchestrator.schedulers.scheduler import UNKNOWN, Ties
from orchestrator.searchers import Observation, Searcher, complete, misfit

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
    _expect(
        live == again, f"the same epochs reported again: expected the stops {live}, got {again}"
    )


def _check_told_twice(factory: SchedulerFactory, mode: str, reports: list[Report]) -> None:
    """Check that an epoch that is told twice, as after a kill, counts once."""
    once, twice = factory(epochs=EPOCHS, mode=mode), factory(epochs=EPOCHS, mode=mode)
    for report in reports:
        first = once.report(*report)
        second = twice.report(*report)
        twice.report(*report)
        _expect(
            first == second,
            f"report({report}): decided {second}, not {first}, when every epoch was reported twice",
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


SPACES = (
    {"learning_rate": "loguniform(1e-4, 1)", "momentum": "one_minus_loguniform(0.9, 0.99)"},
    {"units": "integer(1, 64)", "activation": "choice([relu, tanh])", "layers": 2},
    {
        "optimizer": "choice([sgd, adam])",
        "momentum": {"distribution": "uniform", "min": 0, "max": 1, "when": {"optimizer": "sgd"}},
    },
)
"""Ranges on each scale, words, a single value, and one that exists only beside another's value."""
ASKED = 12
ENDINGS = ("finished", "stopped", "diverged", "failed", "interrupted")


class SearcherFactory(Protocol):
    """What makes a searcher: its class, or a function that calls it with further options."""

    def __call__(self, *, space: Space, seed: int, epochs: int, mode: str) -> Any:
        """Return a new searcher of ``space`` for trials of ``epochs`` epochs; ``mode`` is max or min."""


def check_searcher(factory: SearcherFactory, examples: int = 20, seed: int = 0) -> None:
    """Raise AssertionError, with a sentence that says why, where searchers of ``factory`` break the contract.

    A run is resumed by telling a new searcher what was recorded, so its proposals have to follow from its seed and from
    what it was told. ``examples`` stories of trials are made up from ``seed`` for each space and each claim.
    """
    for document in SPACES:
        space = Space.parse(document)
        for example in range(examples):
            draw = random.Random(f"{seed}/{sorted(document)}/{example}")
            mode = draw.choice(("max", "min"))
            story = list(_story(factory, space, example, mode))
            _check_rebuilt(factory, _Made(space, example, mode), story, draw)


class _Made(NamedTuple):
    """What searchers of one story are made with."""

    space: Space
    seed: int
    mode: str


class _Asked(NamedTuple):
    """A searcher was asked for a trial, and answered."""

    trial: int
    answer: Any


def _story(
    factory: SearcherFactory, space: Space, seed: int, mode: str
) -> Iterator[Observation | _Asked]:
    """Ask a searcher and tell it what became of its trials; yield both in the order in which they happened."""
    draw = random.Random(f"{seed}/{mode}")
    searcher = factory(space=space, seed=seed, epochs=EPOCHS, mode=mode)
    live: list[Observation] = []
    for index in range(ASKED):
        answer = searcher.ask(index)
        fault = misfit(answer, space)
        _expect(fault is None, f"ask({index}): {fault}")
        yield _Asked(index, answer)
        if answer is not None:
            live.append(Observation(f"{index:05d}", complete(answer, space, seed, index)))
            yield _told(searcher, live[-1])
        while live and (answer is None or len(live) > 2 or draw.random() < 0.7):
            seen = _further(live.pop(draw.randrange(len(live))), draw)
            if seen.ending is None:
                live.append(seen)
            yield _told(searcher, seen)


def _told(searcher: Any, seen: Observation) -> Observation:
    searcher.tell(seen)
    return seen


def _further(seen: Observation, draw: random.Random) -> Observation:
    """Return what becomes of a trial next: an epoch more, or its end."""
    over = seen.epoch >= EPOCHS or draw.random() < 0.2
    value = draw.choice(NOT_A_FIGURE[:4]) if draw.random() < 0.1 else draw.random()
    values = (seen.epoch, seen.value) if over else (seen.epoch + 1, value)
    ending = draw.choice(ENDINGS) if over else None
    return Observation(seen.trial, seen.hyperparameters, *values, ending)


def _check_rebuilt(
    factory: SearcherFactory,
    made_with: _Made,
    story: list[Observation | _Asked],
    draw: random.Random,
) -> None:
    """Check that a new searcher, told a story up to any point, proposes what the first one did."""
    space, seed, mode = made_with
    told: list[Observation] = []
    for event in story:
        if isinstance(event, Observation):
            told.append(event)
            continue
        for how, again in (
            ("in its order", told),
            ("twice", [*told, *told]),
            ("trial by trial", _by_trial(told, draw)),
        ):
            searcher: Searcher = factory(space=space, seed=seed, epochs=EPOCHS, mode=mode)
            for seen in again:
                searcher.tell(seen)
            answer = searcher.ask(event.trial)
            _expect(
                answer == event.answer,
                f"ask({event.trial}): expected {event.answer} of a new searcher that was told the same {how},"
                f" got {answer}",
            )


def _by_trial(told: list[Observation], draw: random.Random) -> list[Observation]:
    """Return the same with one trial after another, the trials in some order: records keep no more."""
    trials = sorted({seen.trial for seen in told})
    draw.shuffle(trials)
    return [seen for trial in trials for seen in told if seen.trial == trial]
