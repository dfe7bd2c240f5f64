"""From what a file says of one hyperparameter to its domain: short form, mapping, plain value.

The short form, ``loguniform(1e-4, 1)``, is parsed as a Python expression of which nothing is ever evaluated.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.domains.finite import Choice, Fixed
from orchestrator.domains.normal import LogNormal, Normal
from orchestrator.domains.numeric import (
    Integer,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
)
from orchestrator.domains.prior import Prior
from orchestrator.domains.values import (
    Condition,
    InvalidDomain,
    Scalar,
    parse_when,
    read_word,
    shown,
    write_when,
    write_word,
)
from orchestrator.errors import ExperimentFileError, explain

Domain = (
    Uniform
    | LogUniform
    | OneMinusLogUniform
    | Integer
    | LogInteger
    | Normal
    | LogNormal
    | Choice
    | Fixed
)
Where = str | Callable[[tuple[str, ...]], str]

_KEYS: dict[str, tuple[str, ...]] = {
    "uniform": ("min", "max", "step"),
    "loguniform": ("min", "max", "step"),
    "one_minus_loguniform": ("min", "max"),
    "integer": ("min", "max", "step"),
    "log_integer": ("min", "max", "step"),
    "normal": ("mean", "sd", "min", "max"),
    "lognormal": ("median", "factor", "min", "max"),
    "choice": ("values",),
    "fixed": ("value",),
}
_OPTIONAL = {"normal": ("min", "max"), "lognormal": ("min", "max")}
_OF_A_PRIOR = ("prior", "confidence")
_HARD = "hard"
DISTRIBUTIONS = tuple(_KEYS)
_BUILDERS: dict[str, Callable[..., Domain]] = {
    kind.distribution: kind
    for kind in (
        *(Uniform, LogUniform, OneMinusLogUniform, Integer, LogInteger, Normal, LogNormal, Choice),
        Fixed,
    )
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
            raise InvalidDomain("expected a hyperparameter's name of letters, digits and '_'", name)
        domain = _from_mapping(value) if isinstance(value, Mapping) else _from_plain(value)
        if name not in _MAY_BE_OFF:
            _check_unmistakable(domain)
        return domain
    except InvalidDomain as refusal:
        raise refused_at(where, name, refusal) from None


def refused_at(where: Where, name: str, refusal: InvalidDomain) -> ExperimentFileError:
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
    text = _short_form(domain)
    return {"when": write_when(domain.when), "domain": text} if domain.when else text


def _short_form(domain: Domain) -> str:
    """Return a domain as its short form, its prior and hard ends included."""
    prior, hard = domain.prior, getattr(domain, "hard", False)
    more = f", prior={write_word(prior.value)}, confidence={prior.confidence}" if prior else ""
    more += f", hard={write_word(hard)}" if hard else ""
    return f"{str(domain)[:-1]}{more})" if more else str(domain)


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
            raise InvalidDomain("expected true or false", value)


def _from_short_form(text: str) -> Domain:
    call = read_call(text)
    keys = _keys_of(call.name)
    if len(call.positional) > len(keys):
        raise InvalidDomain(f"expected {call.name}({', '.join(keys)})", text)
    given = dict(zip(keys, call.positional, strict=False))
    for keyword, value in call.keywords.items():
        if keyword in given:
            raise InvalidDomain(f"expected {keyword} once", text)
        given[keyword] = value
    return _build(call.name, given, ())


def _from_mapping(written: Mapping[Any, Any]) -> Domain:
    given = dict(written)
    when = parse_when(given.pop("when")) if "when" in given else ()
    if "domain" in given:
        inner = given.pop("domain")
        if given or isinstance(inner, Mapping):
            raise InvalidDomain(
                "expected domain: with a short form, and only when: beside it", written
            )
        return replace(_from_plain(inner), when=when)
    if set(given) == {"value"}:
        return Fixed(given["value"], when)
    if "distribution" not in given:
        raise InvalidDomain(
            "expected distribution:, domain: or value: in a domain's mapping",
            ", ".join(str(key) for key in given) or "nothing",
            (
                "distribution",
                "domain",
                "max",
                "min",
                "step",
                "value",
                "values",
                "when",
                *_OF_A_PRIOR,
                _HARD,
            ),
        )
    return _build(given.pop("distribution"), given, when)


def _keys_of(distribution: Any) -> tuple[str, ...]:
    keys = _KEYS.get(distribution) if isinstance(distribution, str) else None
    if keys is None:
        raise InvalidDomain("unknown distribution", distribution, _KEYS)
    return keys


def _build(distribution: Any, given: dict[Any, Any], when: tuple[Condition, ...]) -> Domain:
    keys = _keys_of(distribution)
    known = keys if distribution == "fixed" else (*keys, *_OF_A_PRIOR)
    known = (*known, _HARD) if "min" in keys else known
    for key in given:
        if distribution == "lognormal" and key in ("mu", "sigma", "mean", "sd"):
            raise InvalidDomain("expected median, which is e**mu, and factor, e**sigma", key)
        if key not in known:
            raise InvalidDomain(f"unknown key for {distribution}", key, known)
    for key in keys:
        if key not in ("step", *_OPTIONAL.get(distribution, ()), *given):
            raise InvalidDomain(f"expected {distribution}({', '.join(keys)})", f"no {key}")
    if distribution == "choice" and not isinstance(given["values"], list | tuple):
        raise InvalidDomain("expected a list, such as choice([sgd, adam])", given["values"])
    believed = _prior_of(given)
    own = {key: value for key, value in given.items() if key in (*keys, _HARD)}
    return _BUILDERS[distribution](**own, when=when, **believed)


def _prior_of(given: Mapping[Any, Any]) -> dict[str, Prior]:
    if "prior" in given:
        prior = given["prior"]
        if not (prior is None or isinstance(prior, str | int | float | bool)):
            raise InvalidDomain("expected one value of the domain for prior", prior)
        confidence = {key: given[key] for key in ("confidence",) if key in given}
        return {"prior": Prior(prior, **confidence)}
    if "confidence" in given:
        raise InvalidDomain("expected a prior beside confidence", given["confidence"])
    return {}


_TOKEN = re.compile(
    r"""\s*(?:(?P<name>[A-Za-z_]\w*(?=\s*[(=]))|(?P<mark>[()\[\],=])|(?P<word>[^\s()\[\]{},="']+)"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^']|'')*)')""",
    re.DOTALL | re.ASCII,
)
LONGEST_TEXT = 10_000
_HINT = "a short form looks like loguniform(1e-4, 1)"


@dataclass(frozen=True)
class Call:
    """``name(positional, …, keyword=value, …)``, every value plain or a list of plain values."""

    name: str
    positional: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


def read_call(text: str) -> Call:
    """Return what ``name(…)`` says; raise ``InvalidDomain`` for anything that is not of this form."""
    values: list[Scalar] = []
    match _parsed(text, values):
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            positional = tuple(_value(node, values, text) for node in args)
            named: dict[str, Any] = {}
            for keyword in keywords:
                if keyword.arg in named:
                    raise InvalidDomain(f"expected {keyword.arg}= once", text)
                named[str(keyword.arg)] = _value(keyword.value, values, text)
            return Call(name, positional, named)
    raise InvalidDomain(
        f"expected one distribution's name and its values in brackets; {_HINT}", text
    )


def _parsed(text: str, values: list[Scalar]) -> ast.expr:
    """Return the syntax tree of a text in which the position in ``values`` stands for each value.

    So a value may be what Python has no literal for: ``3x3``, ``adam-w``, ``null``, a word such as ``global``.
    """
    if len(text) > LONGEST_TEXT:
        raise InvalidDomain(f"expected a short form of at most {LONGEST_TEXT} characters", text)
    tokens: list[str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidDomain(
                f"expected a short form, and cannot read on at {text[position:]!r}", text
            )
        tokens.append(match["name"] or match["mark"] or str(len(values)))
        if not match["name"] and not match["mark"]:
            values.append(_scalar(match))
        position = match.end()
    if ")" not in tokens:
        raise InvalidDomain(
            "expected ')' at the end; inside {…} put quotes around a short form", text
        )
    if tokens[-1] != ")":
        raise InvalidDomain(f"expected nothing after the closing bracket; {_HINT}", text)
    try:
        return ast.parse(" ".join(tokens), mode="eval").body
    except SyntaxError as error:
        fault = error.msg.replace("invalid syntax", "its syntax is invalid")
        raise InvalidDomain(f"expected a short form, but {fault}; {_HINT}", text) from None


def _scalar(token: re.Match[str]) -> Scalar:
    if token["word"]:
        return read_word(token["word"])
    if token["double"] is not None:
        return re.sub(r"\\(.)", r"\1", token["double"], flags=re.DOTALL)
    return token["single"].replace("''", "'")


def _value(node: ast.expr, values: list[Scalar], text: str) -> Any:
    match node:
        case ast.Constant(value=int(index)):
            return values[index]
        case ast.List(elts=items) if all(isinstance(item, ast.Constant) for item in items):
            return [_value(item, values, text) for item in items]
    raise InvalidDomain(
        f"expected plain values, or one list of them, in the brackets; {_HINT}", text
    )
