"""Values that no training could use, found in a space or a panda's file before anything starts.

Of a range both ends are looked at, and one value between them; of a choice every value.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.catalog import CallableReference, may_compile, read_names
from orchestrator.domains import (
    Domain,
    Extreme,
    Fixed,
    InvalidDomain,
    LogUniform,
    Space,
    Uniform,
    extremes,
)
from orchestrator.domains.values import same
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.trial_builds import Learned
from orchestrator.search import Plan
from orchestrator.training.hyperparameters import (
    DEFAULTS,
    Impossible,
    impossible,
    impossible_decay,
    impossible_in_bundled,
)

Rule = Callable[[str, Any], Impossible | None]


@dataclass(frozen=True)
class Values:
    """Hyperparameters that a plan takes from one place of the file: ``where`` is what a name there begins with."""

    where: str
    domains: Mapping[str, Domain]


def values_of(plan: Plan, space: Space) -> tuple[Values, ...]:
    """Return all values that a plan may put in force: what trials are drawn from, or a panda's start and schedule.

    A panda's space holds only the ranges within which it may be changed.
    """
    if plan.nursery is None:
        return (Values("search_space.", space.domains),)
    start = dict(plan.points[0].hyperparameters)
    schedule = [
        _given(f"panda.schedule, epoch {epoch}, ", changes)
        for epoch, changes in plan.nursery.schedule
    ]
    return (_given("panda.start.", start), *schedule)


def owned_by_builder(model: CallableReference, learned: Learned | None) -> set[str]:
    """Return the hyperparameters whose values mean what the user's builder makes of them: it compiles the model.

    Before it was built, all those that it mentions may be. The size of a batch is training's in any case.
    """
    if learned is None:
        return read_names(model) - {"batch_size"} if may_compile(model) else set()
    return (read_names(model) | learned.reads) - {"batch_size"} if learned.compiled else set()


def check_values(values: Iterable[Values], model: CallableReference, theirs: set[str]) -> None:
    """Raise ExperimentFileError, a line for each fault, for values that no training could use.

    ``theirs`` are the hyperparameters whose values are the user's own builder's, whatever training calls by that name.
    """
    faults = [
        _sentence(f"{each.where}{name}", each.domains[name], extreme, fault)
        for each in values
        for name, extreme, fault in _faults(each.domains, model, theirs)
    ]
    if faults:
        raise ExperimentFileError("\n".join(faults))


def _given(where: str, named: Mapping[str, Any]) -> Values:
    """Return plain values as domains: what is written there is meant as it stands."""
    domains: dict[str, Domain] = {}
    for name, value in named.items():
        try:
            domains[name] = Fixed(value)
        except InvalidDomain as refusal:
            place = f"{where}{name}"
            raise ExperimentFileError(explain(place, refusal.expected, value)) from None
    return Values(where, domains)


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


def _sentence(where: str, domain: Domain, extreme: Extreme, fault: Impossible) -> str:
    said = explain(where, fault.expected, extreme.value, fault.known)
    if not extreme.place:
        return said
    received = f"Received: {extreme.value!r}"
    return said.replace(received, f"{received}, {extreme.place}", 1) + _way_out(extreme, domain)


def _way_out(extreme: Extreme, domain: Domain) -> str:
    """Return what to write for a range of which the ends are right and what lies between them is not."""
    if isinstance(domain, Uniform | LogUniform) and extreme.value not in domain.ends:
        low, high = domain.ends
        kind = "integer" if isinstance(domain, Uniform) else "log_integer"
        return f" Write {kind}({math.ceil(low)}, {math.floor(high)})."
    return ""
