"""From what a file says of one hyperparameter to its domain: short form, mapping, plain value."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.domains.conditions import Condition, parse_when, write_when
from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.numeric import Integer, LogInteger, LogUniform, Uniform
from orchestrator.domains.one_minus import OneMinusLogUniform
from orchestrator.domains.refusal import Refused, shown
from orchestrator.domains.short_form import read_call
from orchestrator.errors import ExperimentFileError, explain

Domain = Uniform | LogUniform | OneMinusLogUniform | Integer | LogInteger | Choice | Fixed
Where = str | Callable[[tuple[str, ...]], str]

_KEYS: dict[str, tuple[str, ...]] = {
    "uniform": ("min", "max", "step"),
    "loguniform": ("min", "max", "step"),
    "one_minus_loguniform": ("min", "max"),
    "integer": ("min", "max", "step"),
    "log_integer": ("min", "max", "step"),
    "choice": ("values",),
    "fixed": ("value",),
}
DISTRIBUTIONS = tuple(_KEYS)
_BUILDERS: dict[str, Callable[..., Domain]] = {
    kind.distribution: kind
    for kind in (Uniform, LogUniform, OneMinusLogUniform, Integer, LogInteger, Choice, Fixed)
}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_BOOLEAN_LOOK_ALIKES = ("on", "off", "yes", "no")
_MAY_BE_OFF = ("recalibrate_batch_norm",)
_BRACKETS = re.compile(r"[()\[\]{}]")


def parse_domain(name: str, value: Any, where: Where = "search_space") -> Domain:
    """Return the domain that ``value`` writes down for the hyperparameter ``name``.

    Raises ``ExperimentFileError``, and nothing else, for whatever is not a domain.
    """
    try:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refused("expected a hyperparameter's name of letters, digits and '_'", name)
        domain = _from_mapping(value) if isinstance(value, Mapping) else _from_plain(value)
        if name not in _MAY_BE_OFF:
            _check_unmistakable(domain)
        return domain
    except Refused as refusal:
        raise refused_at(where, name, refusal) from None


def refused_at(where: Where, name: str, refusal: Refused) -> ExperimentFileError:
    """Return the error for a refusal at the place of the hyperparameter ``name``."""
    place = f"{where}.{name}" if isinstance(where, str) else where((str(name),))
    return ExperimentFileError(
        explain(place, refusal.expected, shown(refusal.received), refusal.known)
    )


def write_domain(domain: Domain) -> Any:
    """Return the plain value that ``parse_domain`` reads back equal."""
    if isinstance(domain, Fixed):
        if domain.when:
            return {"when": write_when(domain.when), "value": domain.value}
        return domain.value if _reads_as_itself(domain.value) else _fixed_mapping(domain)
    if domain.when:
        return {"when": write_when(domain.when), "domain": str(domain)}
    return str(domain)


def _fixed_mapping(domain: Fixed) -> dict[str, Any]:
    return {"distribution": "fixed", "value": domain.value}


def _reads_as_itself(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    return not _BRACKETS.search(value) and not _names_a_distribution(value)


def _names_a_distribution(text: str) -> bool:
    return text.split()[:1] != [] and text.split()[0] in _KEYS


def _from_plain(value: Any) -> Domain:
    if isinstance(value, str) and (_BRACKETS.search(value) or _names_a_distribution(value)):
        return _from_short_form(value)
    return Fixed(value)


def _check_unmistakable(domain: Domain) -> None:
    """Refuse ``off`` and its like, which a model would take for a text, and so for true."""
    values = domain.values if isinstance(domain, Choice) else (getattr(domain, "value", None),)
    for value in values:
        if isinstance(value, str) and value.lower() in _BOOLEAN_LOOK_ALIKES:
            raise Refused("expected true or false", value)


def _from_short_form(text: str) -> Domain:
    call = read_call(text)
    keys = _keys_of(call.name)
    if len(call.positional) > len(keys):
        raise Refused(f"expected {call.name}({', '.join(keys)})", text)
    given = dict(zip(keys, call.positional, strict=False))
    for keyword, value in call.keywords.items():
        if keyword in given:
            raise Refused(f"expected {keyword} once", text)
        given[keyword] = value
    return _build(call.name, given, ())


def _from_mapping(written: Mapping[Any, Any]) -> Domain:
    given = dict(written)
    when = parse_when(given.pop("when")) if "when" in given else ()
    if "domain" in given:
        inner = given.pop("domain")
        if given or isinstance(inner, Mapping):
            raise Refused("expected domain: with a short form, and only when: beside it", written)
        return replace(_from_plain(inner), when=when)
    if set(given) == {"value"}:
        return Fixed(given["value"], when)
    if "distribution" not in given:
        raise Refused(
            "expected distribution:, domain: or value: in a domain's mapping",
            ", ".join(str(key) for key in given) or "nothing",
            ("distribution", "domain", "max", "min", "step", "value", "values", "when"),
        )
    return _build(given.pop("distribution"), given, when)


def _keys_of(distribution: Any) -> tuple[str, ...]:
    keys = _KEYS.get(distribution) if isinstance(distribution, str) else None
    if keys is None:
        raise Refused("unknown distribution", distribution, _KEYS)
    return keys


def _build(distribution: Any, given: dict[Any, Any], when: tuple[Condition, ...]) -> Domain:
    keys = _keys_of(distribution)
    for key in given:
        if key not in keys:
            raise Refused(f"unknown key for {distribution}", key, keys)
    for key in keys:
        if key != "step" and key not in given:
            raise Refused(f"expected {distribution}({', '.join(keys)})", f"no {key}")
    if distribution == "choice" and not isinstance(given["values"], list | tuple):
        raise Refused("expected a list, such as choice([sgd, adam])", given["values"])
    return _BUILDERS[distribution](**given, when=when)
