"""The short form, ``loguniform(1e-4, 1)``: parsed as a Python expression of which nothing is ever evaluated."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domains.refusal import Refused
from orchestrator.domains.words import Scalar, read_word

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
    """Return what ``name(…)`` says; raise ``Refused`` for anything that is not of this form."""
    values: list[Scalar] = []
    match _parsed(text, values):
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            positional = tuple(_value(node, values, text) for node in args)
            named: dict[str, Any] = {}
            for keyword in keywords:
                if keyword.arg in named:
                    raise Refused(f"expected {keyword.arg}= once", text)
                named[str(keyword.arg)] = _value(keyword.value, values, text)
            return Call(name, positional, named)
    raise Refused(f"expected one distribution's name and its values in brackets; {_HINT}", text)


def _parsed(text: str, values: list[Scalar]) -> ast.expr:
    """Return the syntax tree of a text in which the position in ``values`` stands for each value.

    So a value may be what Python has no literal for: ``3x3``, ``adam-w``, ``null``, a word such as ``global``.
    """
    if len(text) > LONGEST_TEXT:
        raise Refused(f"expected a short form of at most {LONGEST_TEXT} characters", text)
    tokens: list[str] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise Refused(f"expected a short form, and cannot read on at {text[position:]!r}", text)
        tokens.append(match["name"] or match["mark"] or str(len(values)))
        if not match["name"] and not match["mark"]:
            values.append(_scalar(match))
        position = match.end()
    if ")" not in tokens:
        raise Refused("expected ')' at the end; inside {…} put quotes around a short form", text)
    if tokens[-1] != ")":
        raise Refused(f"expected nothing after the closing bracket; {_HINT}", text)
    try:
        return ast.parse(" ".join(tokens), mode="eval").body
    except SyntaxError as error:
        fault = error.msg.replace("invalid syntax", "its syntax is invalid")
        raise Refused(f"expected a short form, but {fault}; {_HINT}", text) from None


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
    raise Refused(f"expected plain values, or one list of them, in the brackets; {_HINT}", text)
