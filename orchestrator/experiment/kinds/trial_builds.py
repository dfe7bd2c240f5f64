"""What building a user's model on a few draws, and on the ends of its ranges, shows before anything starts.

A draw whose model cannot be built is a row of the table, since some combinations may fail by right. What fails in every
draw that was tried, or with an end of a range whatever else is drawn, is refused.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestrator.catalog import CallableReference
from orchestrator.domains import Choice, Extreme, Fixed, extremes
from orchestrator.domains.values import same
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.redaction import redacted
from orchestrator.search import Plan, TrialSpec
from orchestrator.training.trial_process import (
    Looked,
    NoAnswer,
    Seen,
    Setup,
    TookTooLong,
    TrialProcess,
)

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset

DRAWS_TRIED = 10
"""How many draws are tried until one can be built, and nothing of the space is left that none of them read."""
DRAWS_BESIDE = 3
"""Beside how many draws an end of a range has to fail."""
SECONDS = 3.0
"""After which no further build begins, but for those without which nothing would be known."""
TAKES_ANY_SHAPE = ("mlp",)
SHOWN = 8


@dataclass(frozen=True)
class Learned:
    """What building a user's model showed.

    ``spec`` is the first draw that could be built, ``looked`` what was to be known of its model, ``all_looked`` of each
    model. ``reads`` are the hyperparameters that the builder read in any draw; ``compiled`` says that it compiled the
    model in each, ``plain_rate`` that α of the optimizer it chose can be set.
    """

    spec: TrialSpec
    reads: frozenset[str]
    compiled: bool
    plain_rate: bool
    looked: Looked | None = None
    all_looked: tuple[Looked, ...] = ()


Enough = Callable[[Learned], bool]


@dataclass
class _Tries:
    """What was tried so far: draws that could be built, each with what its builder read, and draws that could not."""

    process: TrialProcess
    setup: Setup
    began: float | None = None
    built: list[tuple[TrialSpec, frozenset[str]]] = field(default_factory=list)
    failed: list[tuple[TrialSpec, TrialError]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    @property
    def late(self) -> bool:
        """Whether time is up, counted from the first answer: before that, Keras was imported."""
        return self.began is not None and time.monotonic() - self.began > SECONDS

    @property
    def learned(self) -> Learned:
        return Learned(
            self.built[0][0],
            frozenset().union(*(seen.reads for seen in self.seen)),
            all(seen.compiled for seen in self.seen),
            all(seen.plain_rate for seen in self.seen),
            self.seen[0].looked,
            tuple(seen.looked for seen in self.seen if seen.looked),
        )

    def draw(self, spec: TrialSpec) -> frozenset[str]:
        """Build the model of one of the plan's draws, once; return what its builder read, nothing where it failed."""
        if not any(spec.trial == tried.trial for tried, _ in (*self.built, *self.failed)):
            try:
                self.built.append((spec, self.build(spec, spec.hyperparameters)))
            except TrialError as error:
                self.failed.append((spec, error))
        return next(
            (reads for tried, reads in self.built if tried.trial == spec.trial), frozenset()
        )

    def build(self, spec: TrialSpec, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        """Build a model; return what its builder read. Raises TrialError as its trial would."""
        try:
            self.seen.append(self.process.build(self.setup, hyperparameters, spec.seed))
        finally:
            self.began = self.began or time.monotonic()
        return self.seen[-1].reads


def must_be_tried(model: CallableReference, dataset: Dataset | StreamedDataset) -> bool:
    """Return whether only building a model tells if it can be: a user's, or a bundled one on data of another shape."""
    shape = dataset.input_shape
    pictures = isinstance(shape, tuple | list) and len(shape) in (2, 3)
    return model.kind != "bundled" or not (pictures or model.place in TAKES_ANY_SHAPE)


def try_builds(process: TrialProcess, setup: Setup, plan: Plan, enough: Enough) -> Learned | None:
    """Build a model on some of a plan's draws and on the ends of the ranges that it reads.

    Further draws are built until what was learned is ``enough``. None where nothing could be learned: a model does not
    fit in this machine's memory, or takes minutes. Raises ExperimentFileError for what fails in every draw, and what
    a file that cannot be loaded raises.
    """
    tries = _Tries(process, setup)
    try:
        _try_draws(tries, plan, enough)
        _try_absent_ranges(tries, plan)
        _try_ends(tries, plan)
        _try_schedule(tries, plan)
    except NoAnswer:
        pass
    return tries.learned if tries.built else None


def _try_draws(tries: _Tries, plan: Plan, enough: Enough) -> None:
    """Build draws until one could be built and is enough."""
    for spec in islice(plan.draws(), DRAWS_TRIED):
        if any(spec.hyperparameters == failed.hyperparameters for failed, _ in tries.failed):
            continue
        try:
            tries.draw(spec)
        except TookTooLong:
            raise
        except NoAnswer:
            continue
        if tries.built and (tries.late or enough(tries.learned)):
            break
        if tries.late and len(tries.failed) >= DRAWS_BESIDE:
            break
    if tries.failed and not tries.built:
        raise ExperimentFileError(_fails_always(tries.failed))


def _try_absent_ranges(tries: _Tries, plan: Plan) -> None:
    """Build a draw that has it for each range that exists in none of those that could be built."""
    for name in dict.fromkeys(name for name, _ in _ends(plan)):
        having = (spec for spec in plan.draws() if name in spec.hyperparameters)
        for spec in islice(having, DRAWS_BESIDE):
            if tries.late or any(name in built.hyperparameters for built, _ in tries.built):
                break
            tries.draw(spec)


def _try_ends(tries: _Tries, plan: Plan) -> None:
    """Build a model with each end of each range that its builder reads."""
    for name, extreme in _ends(plan):
        if tries.late:
            return
        drawn = [
            spec.hyperparameters[name]
            for spec, reads in tries.built
            if name in reads and name in spec.hyperparameters
        ]
        if not drawn or any(same(value, extreme.value) for value in drawn):
            continue
        failures = _failures_beside(tries, plan, {name: extreme.value})
        if failures:
            domain = str(plan.space.domains[name])
            raise ExperimentFileError(_fails_at(name, extreme, failures[0], domain))


def _ends(plan: Plan) -> Iterator[tuple[str, Extreme]]:
    """Yield the ends of the ranges that trials are drawn from; what lies between two ends goes with them."""
    for name, domain in plan.drawn_from.domains.items():
        if not isinstance(domain, Fixed | Choice):
            yield from ((name, extreme) for extreme in list(extremes(domain))[:2])


class _Failure(NamedTuple):
    """Hyperparameters that no model can be built with, and why."""

    hyperparameters: Mapping[str, Any]
    error: TrialError


def _failures_beside(tries: _Tries, plan: Plan, end: Mapping[str, Any]) -> list[_Failure]:
    """Return why a model cannot be built with one value, ``end``, in place of the one in each draw.

    Nothing where one can. The draws are such as can be built with what was drawn.
    """
    [name] = end
    failures: list[_Failure] = []
    drawn = [*(spec for spec, _ in tries.built), *islice(plan.draws(), DRAWS_TRIED)]
    for spec in (spec for spec in drawn if name in spec.hyperparameters):
        hyperparameters = plan.space.draw_beside(plan.seed, spec.index, dict(end))
        if hyperparameters is None:  # constraints rule that end out
            continue
        known = any(hyperparameters == tried.hyperparameters for tried in failures)
        if known or len(failures) == DRAWS_BESIDE or name not in tries.draw(spec):
            continue
        try:
            tries.build(spec, hyperparameters)
        except TrialError as error:
            failures.append(_Failure(hyperparameters, error))
        else:
            return []
    return failures


def _try_schedule(tries: _Tries, plan: Plan) -> None:
    """Build a panda's model as each of its planned changes leaves it."""
    if not (tries.built and plan.schedule):
        return
    spec, reads = tries.built[0]
    in_force = dict(spec.hyperparameters)
    for epoch, changes in plan.schedule:
        in_force |= changes
        if not reads & changes.keys():
            continue
        try:
            tries.build(spec, in_force)
        except TrialError as error:
            raise ExperimentFileError(
                f"panda.schedule, epoch {epoch}: expected values that the model can be built with."
                f" Received: {_listed(in_force)}, with which {_why(error)}"
            ) from error


def _fails_always(failed: Sequence[tuple[TrialSpec, TrialError]]) -> str:
    (spec, error), many = failed[0], len(failed)
    if str(error).startswith("data "):
        return str(error)  # whatever is drawn
    drawn = f"each of the {many} draws tried, the first of them " if many > 1 else ""
    return f"{str(error).rstrip('.')}, with {drawn}{_listed(spec.hyperparameters)}."


def _fails_at(name: str, extreme: Extreme, failure: _Failure, domain: str) -> str:
    others = {key: value for key, value in failure.hyperparameters.items() if key != name}
    beside = f" beside {_listed(others)}" if others else ""
    received = f"{redacted(extreme.value)!r}, {extreme.place.partition(' of ')[0]}"
    return (
        f"search_space.{name}: expected {domain} to hold only values that the model can be built with."
        f" Received: {received}, with which{beside} {_why(failure.error)}"
    )


def _why(error: TrialError) -> str:
    """Return what a builder raised, without the name of the model, or the whole sentence where it is ours."""
    before, raised, said = str(error).partition(": its code ")
    return f"its code {said}" if raised else before


def _listed(hyperparameters: Mapping[str, Any]) -> str:
    """Return hyperparameters in a few words."""
    items = [
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {redacted(value)}"
        for name, value in hyperparameters.items()
    ]
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return (", ".join(items[:SHOWN]) or "no hyperparameters") + more
