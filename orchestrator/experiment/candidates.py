"""Which configurations are held against a run's winner, and the narrow space around one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.domains import Choice, Space
from orchestrator.domains.space import without_companions
from orchestrator.domains.values import same
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.search.scales import Range, rounded, scale_of

RUNNERS_UP = 3
DEFAULTS = 2
STEP = 0.1
"""How far a small step goes, as a share of a range on its own scale."""
NEAR = 0.25
"""A configuration is near another one that differs by at most this share of each range, and in no choice."""
AROUND = 0.125
"""How far a narrow space reaches to each side, as a share of each range on its own scale."""
STEPS_ALONG = ("learning_rate", "momentum", "batch_size", "units")
"""The hyperparameters that matter most often, first: small steps are along the first that a space has."""
Kind = Literal["incumbent", "runner-up", "step", "default"]


@dataclass(frozen=True)
class Candidate:
    """A configuration to retrain: ``then`` is the score that the run recorded of it, None where it had none.

    ``near``: it lies in the incumbent's neighbourhood.
    """

    name: str
    kind: Kind
    hyperparameters: Mapping[str, Any]
    near: bool = True
    then: float | None = None
    trial: str | None = None


def incumbent_of(records: RunRecords) -> TrialRecord | None:
    """Return a run's winner: the trial that was examined, else the best; None where no trial has a finite value."""
    judged = (records.winner or {}).get("trial")
    best = next(iter(records.contenders), None)
    return records.trial(str(judged)) or best if judged else best


def candidates_of(records: RunRecords, winner: TrialRecord, space: Space) -> tuple[Candidate, ...]:
    """Return the incumbent, the next best, small steps around it, and the space's defaults; each configuration once."""
    start = without_companions(winner.hyperparameters)
    found = [
        Candidate("incumbent", "incumbent", start, True, _score(records, winner), winner.trial)
    ]
    kinds = {
        "runner-up": (_runners_up(records, winner), RUNNERS_UP),
        "step": (_steps(space, start), 2),
        "default": (_defaults(records, winner, space), DEFAULTS),
    }
    for kind, (configurations, most) in kinds.items():
        left = most
        for given, then, trial in configurations:
            values = without_companions(space.existing(space.with_companions(given)))
            known = any(_same(values, other.hyperparameters) for other in found)
            # What the space has lost since, by an extension, could not be drawn from it any more.
            if known or not left or not _is_in(space, values):
                continue
            left -= 1
            near = _is_near(space, start, values)
            name = f"{kind} {most - left}"
            found.append(Candidate(name, kind, values, near, then, trial))  # type: ignore[arg-type]
    return tuple(found)


def narrow_space(space: Space, around: Mapping[str, Any]) -> Space:
    """Return the part of a space around a configuration: of each range a quarter of its width."""
    domains = {}
    for name, domain in space.domains.items():
        scale, value = scale_of(domain), around.get(name)
        place = scale.place(value) if scale is not None and value is not None else None
        if scale is None or place is None or scale.low == scale.high:
            domains[name] = domain
            continue
        reach = AROUND * scale.width
        low, high = max(scale.low, place - reach), min(scale.high, place + reach)
        domains[name] = rounded(scale, low, high)
    return replace(space, domains=domains)


Known = tuple[Mapping[str, Any], float | None, str | None]


def _score(records: RunRecords, trial: TrialRecord) -> float | None:
    best = records.of(trial.trial).best
    return best.value if best else None


def _runners_up(records: RunRecords, winner: TrialRecord) -> Iterator[Known]:
    for trial in records.contenders:
        if trial.trial != winner.trial and trial.status in ("finished", "stopped"):
            yield trial.hyperparameters, _full_score(records, trial, winner), trial.trial


def _full_score(records: RunRecords, trial: TrialRecord, winner: TrialRecord) -> float | None:
    """Return a trial's score where it trained as long as the winner: an earlier one says something else."""
    epochs = {name: len(records.of(name).own_epochs) for name in (trial.trial, winner.trial)}
    return _score(records, trial) if epochs[trial.trial] >= epochs[winner.trial] else None


def _steps(space: Space, start: Mapping[str, Any]) -> Iterator[Known]:
    """Yield a step down and a step up along the first range that has room for it."""
    # One hyperparameter is enough: each further one would cost two more configurations.
    names = sorted(space.domains, key=lambda name: (name not in STEPS_ALONG, _place_of(name)))
    for name in names:
        scale = scale_of(space.domains[name])
        place = scale.place(start[name]) if scale is not None and name in start else None
        if scale is None or place is None or not scale.has_at_least(5):
            continue
        for step in (-STEP, STEP):
            value = _value_at(scale, place + step * scale.width)
            if value is not None and not same(value, start[name]):
                yield {**start, name: value}, None, None
        return


def _place_of(name: str) -> int:
    return STEPS_ALONG.index(name) if name in STEPS_ALONG else len(STEPS_ALONG)


def _value_at(scale: Range, place: float) -> Any:
    """Return the value at a place of a range; None beyond its ends."""
    if not scale.holds(place):
        return None
    domain = scale.domain
    share = domain.to_unit(_from_place(scale, place))
    return domain.from_unit(share)


def _from_place(scale: Range, place: float) -> float:
    from orchestrator.domains import OneMinusLogUniform

    if isinstance(scale.domain, OneMinusLogUniform):
        return 1 - float(10**-place)
    return float(10**place) if scale.domain.logarithmic else place


def _defaults(records: RunRecords, winner: TrialRecord, space: Space) -> Iterator[Known]:
    """Yield the points that the run began with, of a bundled list too, then the beliefs or the middle of the space."""
    points = (records.caviar or {}).get("points")
    listed = points if isinstance(points, list | tuple) else ()
    middle = _middle(space)
    for point in listed:
        values = {**middle, **without_companions(point)}
        found = (t for t in records.trials if _same(without_companions(t.hyperparameters), values))
        trial = next(found, None)
        then = _full_score(records, trial, winner) if trial else None
        yield values, then, trial.trial if trial else None
    yield middle, None, None


def _middle(space: Space) -> dict[str, Any]:
    """Return what is believed to be good of each hyperparameter, else the middle of its range on its own scale."""
    chosen: dict[str, Any] = {}
    for name, domain in space.domains.items():
        prior = getattr(domain, "prior", None)
        if prior is not None:
            chosen[name] = prior.value
        elif isinstance(domain, Choice):
            chosen[name] = domain.values[len(domain.values) // 2]
        else:
            chosen[name] = domain.from_unit(0.5)
    return space.existing(chosen)


def _is_in(space: Space, values: Mapping[str, Any]) -> bool:
    there = set(space.existing({**_middle(space), **values}))
    return (
        there == set(values)
        and all(space.domains[name].contains(value) for name, value in values.items())
        and space.broken(space.with_companions(values)) is None
    )


def _same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)


def _is_near(space: Space, left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    if left.keys() != right.keys():
        return False
    for name, domain in space.domains.items():
        if name not in left or same(left[name], right[name]):
            continue
        scale = scale_of(domain)
        places = [scale.place(each[name]) if scale else None for each in (left, right)]
        if scale is None or None in places or scale.low == scale.high:
            return False
        if abs(places[0] - places[1]) > NEAR * scale.width:  # type: ignore[operator]
            return False
    return True
