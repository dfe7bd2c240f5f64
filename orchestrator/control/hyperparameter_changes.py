"""New values for hyperparameters in force: known names, right types, inside the search space."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Mapping
from numbers import Real
from typing import Any, Literal

from orchestrator.catalog import find_model, read_names
from orchestrator.domains import Choice, Domain, Fixed, Integer, LogInteger
from orchestrator.domains.numeric import one_minus
from orchestrator.domains.space import companion
from orchestrator.errors import OrchestratorError, RequestError, UnknownNameError, explain
from orchestrator.records import RunRecords
from orchestrator.records.run import sources_of
from orchestrator.training.hyperparameters import (
    DEFAULTS,
    NUMBERS,
    OPTIMIZER_READS,
    OWN_DEFAULTS,
    check_possible,
    read_while_training,
)

Kind = Literal["whole number", "number", "true or false", "text"]


class OutOfRangeWarning(UserWarning):
    """A value outside its domain was asked for, by force."""


def in_force(records: RunRecords, trial: str) -> dict[str, Any]:
    """Return every hyperparameter in force that is known by name, training's own defaults included.

    Those of the optimizer are left out where the model's builder made it: they are its own, whatever they are.
    """
    return {
        **(OWN_DEFAULTS if _is_own(records) else DEFAULTS),
        **records.of(trial).current_hyperparameters,
    }


def _is_own(records: RunRecords) -> bool:
    """Return whether the model's builder compiles it."""
    return bool((records.manifest.get("task") or {}).get("compiled_by_user"))


def checked_changes(
    records: RunRecords, trial: str, changes: Mapping[str, Any], force: bool = False
) -> dict[str, Any]:
    """Return the changes as they will be put in force; a momentum brings its 1-β along.

    Raises UnknownNameError for a hyperparameter that nothing reads, RequestError for a value of the
    wrong type or, without ``force``, outside the search space or against one of its constraints; with it, warns
    (OutOfRangeWarning).
    """
    now = in_force(records, trial)
    domains: Mapping[str, Domain] = records.space.domains if records.space else {}
    checked: dict[str, Any] = {}
    for name, value in changes.items():
        _check_known(records, name, {**now, **changes}, now)
        checked[name] = _typed(name, value, now.get(name), domains.get(name))
        check_possible(name, checked[name])
        _check_in_range(name, checked[name], domains.get(name), force)
        if companion(name) in now:
            checked[companion(name)] = one_minus(checked[name])
    _check_constraints(records, {**now, **checked}, checked, force)
    return checked


def check_expected(records: RunRecords, trial: str, expect: Mapping[str, Any]) -> None:
    """Raise RequestError where a value in force is not the one that the asker believed in."""
    now = in_force(records, trial)
    for name, believed in expect.items():
        if name not in now:
            expected = "expected a hyperparameter in force"
            raise UnknownNameError(explain("--expect", expected, name, now))
        if now[name] != believed:
            raise RequestError(
                f"{name}: expected {believed!r} in force, as asked. Received: {now[name]!r}, since it"
                " was changed meanwhile. Look at the journal, then ask again."
            )


def _check_known(
    records: RunRecords, name: str, wanted: Mapping[str, Any], now: Mapping[str, Any]
) -> None:
    space = records.space.names if records.space else ()
    chosen = [known for known in now if known not in DEFAULTS]
    known = {
        *read_while_training(None if _is_own(records) else str(wanted["optimizer"])),
        *chosen,
        *space,
        *_read_by_model(records),
    }
    known -= {companion(other) for other in known}
    if any(companion(other) == name for other in now):
        other = name.removeprefix(companion(""))
        raise RequestError(f"{name}: expected {other} to be set instead; {name} follows from it.")
    if name in known:
        return
    readers = sorted(kind for kind, reads in OPTIMIZER_READS.items() if name in reads)
    if readers and not _is_own(records):
        raise RequestError(
            f"{name}: nothing reads it, since the optimizer is {wanted['optimizer']}."
            f" It is read by {', '.join(readers)}."
        )
    expected = "expected a hyperparameter in force, or one that the model or training reads"
    raise UnknownNameError(explain(f"set {name}", expected, name, known))


def _read_by_model(records: RunRecords) -> set[str]:
    """Return what the model's builder may read; nothing where its source is not here."""
    of_python = (records.manifest.get("model") or {}).get("reads")
    if of_python is not None:
        return set(of_python)
    try:
        model = str(records.experiment.get("model"))
        return read_names(find_model(model, str(sources_of(records))))
    except OrchestratorError:
        return set()


def _typed(name: str, value: Any, old: Any, domain: Domain | None) -> Any:
    """Return a value as the kind that belongs in its place: 64.0 as 64 where 64 would stand."""
    if value is None and (old is None or name == "weight_decay"):
        return None
    kind = _kind(name, old, domain)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    match kind:
        case "number" if is_number and math.isfinite(value):
            return float(value)
        case "whole number" if is_number and math.isfinite(value) and value == int(value):
            return int(value)
        case "true or false" if isinstance(value, bool):
            return value
        case "text" if isinstance(value, str):
            return value
        case None if isinstance(value, bool | str) or (is_number and math.isfinite(value)):
            return value
    instead = "" if old is None else f", like {old!r}, which is in force"
    raise RequestError(explain(name, f"expected {_article(kind)}{instead}", value))


def _article(kind: Kind | None) -> str:
    if kind is None:
        return "a finite number, text, true or false"
    return kind if kind in ("true or false", "text") else f"a finite {kind}"


def _kind(name: str, old: Any, domain: Domain | None) -> Kind | None:
    """Return what kind of value a hyperparameter takes, None where nothing tells."""
    example = DEFAULTS.get(name)
    if example is not None or name in NUMBERS:
        return "number" if example is None else _kind_of(example)
    match domain:
        case Integer() | LogInteger():
            return "whole number"
        case Choice() | Fixed():
            return _kind_of_all([*_values(domain), old])
        case None:
            # 0 and 1 stand for shares as well: a dropout of 0 may become 0.2
            return None if old is None or old in (0, 1) else _kind_of(old)
    return "number"


def _values(domain: Choice | Fixed) -> Iterable[Any]:
    return domain.values if isinstance(domain, Choice) else (domain.value,)


def _kind_of_all(values: Iterable[Any]) -> Kind | None:
    kinds = {_kind_of(value) for value in values if value is not None}
    if kinds == {"number", "whole number"}:
        return "number"
    return kinds.pop() if len(kinds) == 1 else None


def _kind_of(value: Any) -> Kind | None:
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, float):
        return "number"
    return "text" if isinstance(value, str) else None


def _check_in_range(name: str, value: Any, domain: Domain | None, force: bool) -> None:
    if domain is None or isinstance(domain, Fixed) or value is None or domain.contains(value):
        return
    expected = (
        f"{name}: expected a value of its domain in search_space, {domain}. Received: {value!r}."
    )
    _refuse(expected, force)


def _check_constraints(
    records: RunRecords, wanted: Mapping[str, Any], changes: Mapping[str, Any], force: bool
) -> None:
    """Refuse changes with which a constraint would not hold that they have to do with."""
    for constraint in records.space.constraints if records.space else ():
        if changes.keys() & set(constraint.names) and not constraint.holds(wanted):
            named = ", ".join(f"{name}={wanted[name]!r}" for name in constraint.names)
            _refuse(f"set: expected values that fulfil {constraint}. Received: {named}.", force)


def _refuse(sentence: str, force: bool) -> None:
    """Refuse what is outside of the search space; by force, only warn of it."""
    if not force:
        raise RequestError(f"{sentence} It can be set nevertheless with --force.")
    warnings.warn(f"{sentence} Set nevertheless.", OutOfRangeWarning, stacklevel=5)
