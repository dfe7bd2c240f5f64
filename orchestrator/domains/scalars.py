"""Plain values in a short form: ``1e-4``, ``sgd``, ``"two words"``, ``true``, ``null``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from orchestrator.domains.invalid import InvalidDomain

Scalar = str | int | float | bool | None

INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
BARE = re.compile(r"[A-Za-z_][^\s,()\[\]{}=\"'#:]*")
CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
LONGEST_NUMBER = 40


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
