"""What building a user's model on a few draws, and on the ends of its ranges, shows before anything starts.

A draw whose model cannot be built is a row of the table, since some combinations may fail by right. What fails in every
draw that was tried, or with an end of a range whatever else is drawn, is refused.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference
from orchestrator.domains import Extreme, Fixed, Space, extremes
from orchestrator.domains.conditions import same
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.redaction import redacted
from orchestrator.strategies import Plan, TrialSpec

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.compiling import Built
    from orchestrator.training.trial_builds import TrialBuilder

DRAWS_BUILT = 3
"""How many draws are built, where they can be: an end of a range is refused that fails beside each of them."""
DRAWS_TRIED = 10
"""How many draws are tried until one can be built."""
SECONDS = 3.0
"""After which no further build begins, but for the first ones, without which nothing would be known."""
TAKES_ANY_SHAPE = ("mlp",)
SHOWN = 8


@dataclass(frozen=True)
class Learned:
    """What building a user's model showed.

    ``built`` is the model of the first draw that could be built, ``spec`` that draw. ``reads`` are the hyperparameters
    that the builder read in any draw; ``compiled`` says that it compiled the model in each, ``plain_rate`` that α
    of the optimizer it chose can be set.
    """

    built: Built
    spec: TrialSpec
    reads: frozenset[str]
    compiled: bool
    plain_rate: bool


@dataclass
class _Tries:
    """What was tried so far: draws that could be built, each with what its builder read, and draws that could not."""

    builder: TrialBuilder
    began: float
    first: Built | None = None
    built: list[tuple[TrialSpec, frozenset[str]]] = field(default_factory=list)
    failed: list[tuple[TrialSpec, TrialError]] = field(default_factory=list)
    reads: frozenset[str] = frozenset()
    compiled: bool = True
    plain_rate: bool = True

    @property
    def late(self) -> bool:
        return time.monotonic() - self.began > SECONDS

    def draw(self, spec: TrialSpec) -> None:
        """Build the model of one of the plan's draws."""
        try:
            self.built.append((spec, self.build(spec, spec.hyperparameters)))
        except TrialError as error:
            self.failed.append((spec, error))

    def build(self, spec: TrialSpec, hyperparameters: Mapping[str, Any]) -> frozenset[str]:
        """Build a model; return what its builder read. Raises TrialError as its trial would."""
        from orchestrator.training.trial_builds import has_plain_rate, read_by

        built = self.builder.build(hyperparameters, spec.seed)
        self.first = self.first or built
        self.compiled = self.compiled and built.compiled_by_user
        self.plain_rate = self.plain_rate and has_plain_rate(built)
        self.reads |= read_by(built)
        return read_by(built)


def must_be_tried(model: CallableReference, dataset: Dataset | StreamedDataset) -> bool:
    """Return whether only building a model tells if it can be: a user's, or a bundled one on data of another shape."""
    shape = dataset.input_shape
    pictures = isinstance(shape, tuple | list) and len(shape) in (2, 3)
    return model.kind != "bundled" or not (pictures or model.place in TAKES_ANY_SHAPE)


def try_builds(
    model: CallableReference, plan: Plan, seed: int, dataset: Dataset | StreamedDataset
) -> Learned | None:
    """Build a model on some of a plan's draws, drawn by ``seed``, and on the ends of the ranges that it reads.

    None where nothing could be learned, since a model does not fit in this machine's memory. Raises TrialError for a
    file that cannot be loaded, ExperimentFileError for what fails in every draw.
    """
    from orchestrator.training.worker_process import quiet_tensorflow

    quiet_tensorflow()
    from orchestrator.training.trial_builds import NoRoom, TrialBuilder

    builder = TrialBuilder(model, (dataset.input_shape, dataset.num_classes))
    tries = _Tries(builder, time.monotonic())
    try:
        _try_draws(tries, plan)
        if tries.first is not None and plan.nursery is None:
            _try_ends(tries, plan.space, seed)
        elif tries.first is not None:
            _try_schedule(tries, plan)
    except NoRoom:
        pass
    if tries.first is None:
        return None
    return Learned(tries.first, tries.built[0][0], tries.reads, tries.compiled, tries.plain_rate)


def _try_draws(tries: _Tries, plan: Plan) -> None:
    """Build the first draws, and one more for each hyperparameter that exists in none of them."""
    enough = min(DRAWS_BUILT, len(plan.trials))
    for spec in plan.trials[:DRAWS_TRIED]:
        tries.draw(spec)
        tried = len(tries.failed) + len(tries.built)
        if len(tries.built) >= enough or (tries.late and (tries.built or tried >= enough)):
            break
    if tries.failed and not tries.built:
        raise ExperimentFileError(_fails_always(tries.failed))
    for name in plan.space.names if plan.nursery is None else ():
        covered = any(name in spec.hyperparameters for spec, _ in tries.built)
        further = next((spec for spec in plan.trials if name in spec.hyperparameters), None)
        if not covered and further is not None and not tries.late:
            tries.draw(further)


def _try_ends(tries: _Tries, space: Space, seed: int) -> None:
    """Build a model with each end of each range that its builder reads, and with each value of a choice."""
    for name, extreme in _ends(space):
        beside = [
            spec for spec, reads in tries.built if name in reads and name in spec.hyperparameters
        ]
        if tries.late or any(same(spec.hyperparameters[name], extreme.value) for spec in beside):
            continue
        errors = _errors_beside(tries, beside[:DRAWS_BUILT], space, (seed, name, extreme.value))
        if errors:
            domain = space.domains[name]
            raise ExperimentFileError(_fails_at(name, extreme, errors[0], str(domain)))


def _ends(space: Space) -> Iterator[tuple[str, Extreme]]:
    """Yield the ends of ranges and the values of choices; what lies between two ends goes with them."""
    for name, domain in space.domains.items():
        inside = f"a value of {domain}"
        if not isinstance(domain, Fixed):
            yield from ((name, each) for each in extremes(domain) if each.place != inside)


def _errors_beside(
    tries: _Tries, beside: Sequence[TrialSpec], space: Space, end: tuple[int, str, Any]
) -> list[tuple[Mapping[str, Any], TrialError]]:
    """Return why a model cannot be built with one value in place of the one in each draw; nothing where one can."""
    seed, name, value = end
    errors: list[tuple[Mapping[str, Any], TrialError]] = []
    for spec in beside:
        hyperparameters = space.draw(seed, spec.index, {name: value})
        try:
            tries.build(spec, hyperparameters)
        except TrialError as error:
            errors.append((hyperparameters, error))
        else:
            return []
    return errors


def _try_schedule(tries: _Tries, plan: Plan) -> None:
    """Build a panda's model as each of its planned changes leaves it."""
    spec, reads = tries.built[0]
    in_force = dict(spec.hyperparameters)
    for epoch, changes in plan.nursery.schedule if plan.nursery else ():
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
    if many == 1:
        return f"{str(error).rstrip('.')}, with {_listed(spec.hyperparameters)}."
    drawn = f"each of the {many} draws tried, the first of them {_listed(spec.hyperparameters)}"
    return f"{str(error).rstrip('.')}, with {drawn}."


def _fails_at(
    name: str, extreme: Extreme, failed: tuple[Mapping[str, Any], TrialError], domain: str
) -> str:
    hyperparameters, error = failed
    others = {key: value for key, value in hyperparameters.items() if key != name}
    beside = f" beside {_listed(others)}" if others else ""
    received = f"{redacted(extreme.value)!r}, {extreme.place.partition(' of ')[0]}"
    return (
        f"search_space.{name}: expected {domain} to hold only values that the model can be built with."
        f" Received: {received}, with which{beside} {_why(error)}"
    )


def _why(error: TrialError) -> str:
    """Return what a builder raised, without the name of the model, or the whole sentence where it is ours."""
    before, raised, said = str(error).partition(": its code raised ")
    return f"its code raised {said}" if raised else before


def _listed(hyperparameters: Mapping[str, Any]) -> str:
    """Return hyperparameters in a few words."""
    items = [
        f"{name} {redacted(value):.4g}" if isinstance(value, float) else f"{name} {redacted(value)}"
        for name, value in hyperparameters.items()
    ]
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return (", ".join(items[:SHOWN]) or "no hyperparameters") + more
