"""Hyperparameters checked before anything starts: values that no training could use, names that nothing reads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.catalog import CallableReference, may_compile, read_names
from orchestrator.domains import (
    Choice,
    Domain,
    Extreme,
    Fixed,
    LogNormal,
    LogUniform,
    Normal,
    Space,
    Uniform,
    extremes,
)
from orchestrator.domains.values import same
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.kinds.trial_builds import Learned
from orchestrator.search import Plan
from orchestrator.search.strategies import fixed
from orchestrator.training.hyperparameters import (
    COMPANION,
    DEFAULTS,
    OPTIMIZER_READS,
    RATE_NAMES,
    Impossible,
    impossible,
    impossible_decay,
    impossible_in_bundled,
    read_by_training,
    read_while_training,
)

Rule = Callable[[str, Any], Impossible | None]


@dataclass(frozen=True)
class Values:
    """Hyperparameters that a plan takes from one place of the file: ``where`` is what a name there begins with."""

    where: str
    domains: Mapping[str, Domain]


def values_of(plan: Plan) -> tuple[Values, ...]:
    """Return all values that a plan may put in force: what trials begin with, and what is planned to change."""
    schedule = (
        _given(f"panda.schedule, epoch {epoch}, ", changes) for epoch, changes in plan.schedule
    )
    return (Values(f"{plan.where}.", plan.drawn_from.domains), *schedule)


def owned_by_builder(model: CallableReference, learned: Learned | None) -> set[str]:
    """Return the hyperparameters whose values mean what the user's builder makes of them: it compiles the model.

    Before it was built, all those that it mentions may be. The size of a batch is training's in any case.
    """
    if learned is None:
        return read_names(model) - {"batch_size"} if may_compile(model) else set()
    return (read_names(model) | learned.reads) - {"batch_size"} if learned.compiled else set()


def check_values(values: Iterable[Values], model: CallableReference, theirs: set[str]) -> None:
    """Raise ExperimentFileError, a line for each fault, for values that no training could use.

    Of a range both ends are looked at, and one value between them; of a choice every value.
    ``theirs`` are the hyperparameters whose values are the user's own builder's, whatever training calls by that name.
    """
    faults = [
        _impossible_sentence(f"{each.where}{name}", each.domains[name], extreme, fault)
        for each in values
        for name, extreme, fault in _faults(each.domains, model, theirs)
    ]
    if faults:
        raise ExperimentFileError("\n".join(faults))


def _given(where: str, named: Mapping[str, Any]) -> Values:
    return Values(where, {name: fixed(f"{where}{name}", value) for name, value in named.items()})


def _faults(
    domains: Mapping[str, Domain], model: CallableReference, theirs: set[str]
) -> Iterator[tuple[str, Extreme, Impossible]]:
    """Yield the first impossible value of each hyperparameter."""
    rules: list[Rule] = [impossible]
    if model.kind == "bundled":
        rules.append(impossible_in_bundled)
    for name, domain in domains.items():
        if name in theirs:
            continue
        for extreme in extremes(domain):
            found = [fault for rule in rules if (fault := rule(name, extreme.value))]
            found += _decay_faults(name, extreme.value, domains)
            if found:
                yield name, extreme, found[0]
                break


def _decay_faults(name: str, value: Any, domains: Mapping[str, Domain]) -> list[Impossible]:
    """Return why α cannot decay at a rate, under one of the schedules it may be drawn with."""
    if name != "learning_rate_decay":
        return []
    schedules = domains.get("decay_schedule") or Fixed(DEFAULTS["decay_schedule"])
    met = [
        other.value
        for other in extremes(schedules)
        if _may_meet(domains[name], "decay_schedule", other.value)
        and _may_meet(schedules, name, value)
    ]
    return [fault for each in met if (fault := impossible_decay(value, each))]


def _may_meet(domain: Domain, other: str, value: Any) -> bool:
    """Return whether a hyperparameter may exist beside that value of another one."""
    return all(
        any(same(value, allowed) for allowed in condition.values)
        for condition in domain.when
        if condition.name == other
    )


def _impossible_sentence(where: str, domain: Domain, extreme: Extreme, fault: Impossible) -> str:
    said = explain(where, fault.expected, extreme.value, fault.known)
    if not extreme.place:
        return said
    received = f"Received: {extreme.value!r}"
    return said.replace(received, f"{received}, {extreme.place}", 1) + _way_out(extreme, domain)


def _way_out(extreme: Extreme, domain: Domain) -> str:
    """Return what to write for a range of which the ends are right and what lies between them is not."""
    if isinstance(domain, Normal | LogNormal):
        return " Bound what is drawn with min= and max=."
    if isinstance(domain, Uniform | LogUniform) and extreme.value not in domain.ends:
        low, high = domain.ends
        kind = "integer" if isinstance(domain, Uniform) else "log_integer"
        return f" Write {kind}({math.ceil(low)}, {math.floor(high)})."
    return ""


def check_every_hyperparameter_is_read(
    space: Space, model: CallableReference, learned: Learned | None, where: str = "search_space"
) -> None:
    """Raise ExperimentFileError for a hyperparameter that neither training nor the model's builder reads.

    A name that the builder's source mentions counts as read, and so does one that it was seen to read. Of a model that
    its builder compiles, training reads little: loss and optimizer are there.
    """
    if learned is None:
        if model.kind == "bundled":  # of any other model it is not known
            refuse_unread(unmentioned(space, model), space, model, where)
        return
    refuse_unread(_unread_by_anyone(space, model, learned), space, model, where)
    left = _left_to_training(space, model, learned)
    if left:
        raise ExperimentFileError(f"{where}: {_compiled_sentence(left, model)}")


def unread(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    """Return the hyperparameters that nothing reads, as far as is known from what was built."""
    return _unread_by_anyone(space, model, learned) + _left_to_training(space, model, learned)


def _unread_by_anyone(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    return [name for name in unmentioned(space, model) if name not in learned.reads]


def _left_to_training(space: Space, model: CallableReference, learned: Learned) -> list[str]:
    """Return what training would set, of a model that its builder compiles without reading it."""
    if not learned.compiled:
        return []
    read = read_names(model) | learned.reads | read_while_training(None, learned.plain_rate)
    return [name for name in space.names if name not in read]


def unmentioned(space: Space, model: CallableReference) -> list[str]:
    """Return the hyperparameters that neither training nor the source of the model's builder mentions."""
    by_model = read_names(model)
    return [
        name
        for name in space.names
        if name not in by_model and name not in read_by_training(_optimizers_beside(space, name))
    ]


def refuse_unread(
    names: Sequence[str], space: Space, model: CallableReference, where: str = "search_space"
) -> None:
    """Raise ExperimentFileError for the first of ``names``, which nothing reads."""
    for name in names[:1]:
        raise ExperimentFileError(_unread_sentence(f"{where}.{name}", name, space, model))


def optimizers_of(space: Space) -> set[str]:
    """Return the optimizers a space can draw."""
    return {str(value).lower() for value in _optimizers_in(space.domains.get("optimizer"))}


def _optimizers_in(domain: Domain | None) -> Iterable[object]:
    match domain:
        case None:
            return (DEFAULTS["optimizer"],)
        case Choice():
            return domain.values
        case Fixed():
            return (domain.value,)
    return OPTIMIZER_READS


def _optimizers_beside(space: Space, name: str) -> set[str]:
    """Return the optimizers beside which a hyperparameter can be drawn."""
    optimizers = optimizers_of(space)
    for condition in space.domains[name].when:
        if condition.name == "optimizer":
            optimizers &= {str(value).lower() for value in condition.values}
    return optimizers


def _compiled_sentence(names: Sequence[str], model: CallableReference) -> str:
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    schedule = " and its optimizer follows a schedule" if RATE_NAMES & set(names) else ""
    return (
        f"nothing reads {listed}: the builder of model {model.text} compiles the model itself{schedule}, so read"
        f" hp[{names[0]!r}] there, leave compile() out, or take {listed} out of the file."
    )


def check_schedule_is_read(
    start: Mapping[str, object],
    schedule: Sequence[tuple[int, Mapping[str, object]]],
    model: CallableReference,
    learned: Learned | None,
) -> None:
    """Raise ExperimentFileError for a planned change of a panda's that nothing reads by then."""
    in_force = {**DEFAULTS, **start}
    by_model = read_names(model) | (learned.reads if learned is not None else frozenset())
    compiled = learned is not None and learned.compiled
    for epoch, changes in schedule:
        in_force |= changes
        optimizer = None if compiled else str(in_force["optimizer"])
        plain_rate = learned is not None and learned.plain_rate
        known = by_model | read_while_training(optimizer, plain_rate)
        for name in changes:
            if name.removeprefix(COMPANION) not in known:
                expected = f"expected a hyperparameter that model {model.text} or training reads"
                place = f"panda.schedule, epoch {epoch}, {name}"
                raise ExperimentFileError(explain(place, expected, name, known))


def _unread_sentence(where: str, name: str, space: Space, model: CallableReference) -> str:
    readers = sorted(optimizer for optimizer, names in OPTIMIZER_READS.items() if name in names)
    optimizers = _optimizers_beside(space, name)
    if readers:
        return (
            f"{where}: nothing reads it, since the optimizer is always {' or '.join(sorted(optimizers))}."
            f" It is read by {', '.join(readers)}."
        )
    known = read_by_training(optimizers) | read_names(model)
    return explain(
        where, f"expected a hyperparameter that model {model.text} or training reads", name, known
    )
