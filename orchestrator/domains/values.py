"""Plain values of hyperparameters as a file writes them, conditions on them, and why a domain cannot be."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from orchestrator.redaction import redacted

LONGEST_SHOWN = 120
Scalar = str | int | float | bool | None
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
BARE = re.compile(r"[A-Za-z_][^\s,()\[\]{}=\"'#:]*")
CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
LONGEST_NUMBER = 40


class InvalidDomain(ValueError):
    """A domain that makes no sense; the parser adds where it stands."""

    def __init__(self, expected: str, received: Any, known: Iterable[str] = ()) -> None:
        super().__init__(f"{expected}. Received: {shown(received)!r}.")
        self.expected = expected
        self.received = shown(received)
        self.known = tuple(known)


def shown(value: Any) -> Any:
    """Return ``value``, or the beginning of its text where that is too long for a message."""
    value = redacted(value)  # before a part of a secret is all that is left
    text = repr(value)
    return value if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"


def read_word(word: str) -> Scalar:
    """Return the value that an unquoted word stands for, as YAML 1.2 would read it."""
    if word in CONSTANTS:
        return CONSTANTS[word]
    if len(word) <= LONGEST_NUMBER:
        if INTEGER.fullmatch(word):
            return int(word)
        if FLOAT.fullmatch(word):
            return float(word)
    return word


def write_word(value: Scalar) -> str:
    """Return the shortest text that ``read_word`` (or a quoted word) turns back into ``value``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_text(value) if value != int(value) else repr(value)
    if BARE.fullmatch(value) and read_word(value) == value:
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def number_text(value: float) -> str:
    """Return ``value`` as one writes it by hand: ``1``, ``0.5``, ``1e-4``; reads back equal."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    plain = repr(value)
    sign, digits, exponent = Decimal(plain).normalize().as_tuple()
    first, *rest = (str(digit) for digit in digits)
    mantissa = f"{'-' if sign else ''}{first}{'.' if rest else ''}{''.join(rest)}"
    short = f"{mantissa}e{int(exponent) + len(rest)}"
    return short if "e" in plain or (abs(value) < 1 and len(short) < len(plain)) else plain


def real(value: Any, what: str) -> float:
    """Return ``value`` if it is a finite number; raise ``InvalidDomain`` if not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidDomain(f"expected a number for {what}", value)
    if not abs(value) < 1e300:
        raise InvalidDomain(f"expected a finite number below 1e300 for {what}", value)
    return value


def whole(value: Any, what: str) -> int:
    """Return ``value`` as an integer if it is one (``1e3`` is); raise ``InvalidDomain`` if not."""
    number = real(value, what)
    if number != int(number) or abs(number) > 2**53:
        raise InvalidDomain(f"expected a whole number for {what}", value)
    return int(number)


Hard = bool | Literal["min", "max"]
"""Which ends of a range never move outwards in later rounds: none, one of them, or (``True``) both."""


def check_hard(value: Any) -> None:
    """Raise ``InvalidDomain`` for what does not say which ends of a range are hard."""
    if not (isinstance(value, bool) or value in ("min", "max")):
        raise InvalidDomain("expected true, false, min or max for hard", value)


@dataclass(frozen=True)
class Condition:
    """The hyperparameter ``name`` has one of ``values``."""

    name: str
    values: tuple[Scalar, ...]

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether it holds for these; an absent hyperparameter fulfils nothing."""
        if self.name not in hyperparameters:
            return False
        return any(same(hyperparameters[self.name], value) for value in self.values)


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal, ``True`` and ``1`` being different."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def parse_when(written: Any) -> tuple[Condition, ...]:
    """Return the conditions of ``{optimizer: [adam, adamw], …}``, all of which must hold."""
    if not isinstance(written, Mapping) or not written:
        raise InvalidDomain("expected when: {another hyperparameter: its value or values}", written)
    return tuple(_condition(name, values) for name, values in written.items())


def _condition(name: Any, values: Any) -> Condition:
    listed = tuple(values) if isinstance(values, list | tuple) else (values,)
    if not isinstance(name, str):
        raise InvalidDomain("expected the name of a hyperparameter under when", name)
    if not listed:
        raise InvalidDomain(f"expected at least one value of {name} under when", values)
    for value in listed:
        if not (value is None or isinstance(value, str | int | float | bool)):
            raise InvalidDomain(f"expected plain values of {name} under when", value)
    return Condition(name, listed)


def write_when(conditions: tuple[Condition, ...]) -> dict[str, Any]:
    """Return the mapping that ``parse_when`` reads back equal."""
    return {
        condition.name: condition.values[0]
        if len(condition.values) == 1
        else list(condition.values)
        for condition in conditions
    }
