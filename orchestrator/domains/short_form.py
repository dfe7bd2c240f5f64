"""The short form, ``loguniform(1e-4, 1)``, read by hand: nothing of it is ever evaluated."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from orchestrator.domains.refusal import Refused
from orchestrator.domains.words import Scalar, read_word

_TOKEN = re.compile(
    r"""\s*(?:(?P<mark>[()\[\],=])|"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^']|'')*)'"""
    r"""|(?P<word>[^\s()\[\]{},="']+))""",
    re.DOTALL,
)
LONGEST_TEXT = 10_000


@dataclass(frozen=True)
class Call:
    """``name(positional, …, keyword=value, …)``, every value plain or a list of plain values."""

    name: str
    positional: tuple[Any, ...] = ()
    keywords: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class _Token:
    text: str
    kind: str  # "mark", "word", "quoted" or "end"

    def is_mark(self, text: str) -> bool:
        return self.kind == "mark" and self.text == text

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


_END = _Token("", "end")


def read_call(text: str) -> Call:
    """Return what ``name(…)`` says; raise ``Refused`` for anything that is not of this form."""
    return _Reader(text).call()


class _Reader:
    """Reads the tokens of one text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = _tokens(text)
        self._next = 0

    def call(self) -> Call:
        name = self._take()
        if name.kind != "word" or not name.text.isidentifier():
            raise self._refusal("a distribution's name")
        self._expect("(")
        positional: list[Any] = []
        keywords: dict[str, Any] = {}
        while not self._peek().is_mark(")"):
            keyword = self._keyword()
            if keyword is None and keywords:
                raise self._refusal("only key=value after the first key=value")
            if keyword in keywords:
                raise Refused(f"expected {keyword}= once", self._text)
            value = self._value()
            if keyword is None:
                positional.append(value)
            else:
                keywords[keyword] = value
            if not self._peek().is_mark(")"):
                self._expect(",")
        self._expect(")")
        if self._peek() is not _END:
            raise self._refusal("nothing after the closing bracket")
        return Call(name.text, tuple(positional), keywords)

    def _keyword(self) -> str | None:
        following = self._tokens[self._next + 1 : self._next + 2]
        if self._peek().kind == "word" and following and following[0].is_mark("="):
            keyword = self._take().text
            self._expect("=")
            return keyword
        return None

    def _value(self) -> Any:
        if not self._peek().is_mark("["):
            return self._scalar()
        self._expect("[")
        values: list[Scalar] = []
        while not self._peek().is_mark("]"):
            values.append(self._scalar())
            if not self._peek().is_mark("]"):
                self._expect(",")
        self._expect("]")
        return values

    def _scalar(self) -> Scalar:
        token = self._take()
        if token.kind == "quoted":
            return token.text
        if token.kind != "word":
            raise self._refusal(f"a value before {token}")
        return read_word(token.text)

    def _peek(self) -> _Token:
        return self._tokens[self._next] if self._next < len(self._tokens) else _END

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _expect(self, mark: str) -> None:
        token = self._take()
        if not token.is_mark(mark):
            raise self._refusal(f"{mark!r} before {token}")

    def _refusal(self, expected: str) -> Refused:
        hint = "a short form looks like loguniform(1e-4, 1)"
        if self._next > len(self._tokens):
            hint = "inside {…} put quotes around a short form"
        return Refused(f"expected {expected}; {hint}", self._text)


def _tokens(text: str) -> list[_Token]:
    if len(text) > LONGEST_TEXT:
        raise Refused(f"expected a short form of at most {LONGEST_TEXT} characters", text)
    tokens: list[_Token] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise Refused(f"expected a short form, and cannot read on at {text[position:]!r}", text)
        tokens.append(_token(match))
        position = match.end()
    return tokens


def _token(match: re.Match[str]) -> _Token:
    if match["mark"]:
        return _Token(match["mark"], "mark")
    if match["word"]:
        return _Token(match["word"], "word")
    if match["double"] is not None:
        return _Token(re.sub(r"\\(.)", r"\1", match["double"], flags=re.DOTALL), "quoted")
    return _Token(match["single"].replace("''", "'"), "quoted")
