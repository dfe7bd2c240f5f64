"""Secrets of the environment never leave it: what is written or shown holds ``${ENV:NAME}`` instead.

Known are the values that an experiment refers to as ``${ENV:NAME}`` and those of environment variables
whose names look secret. Shorter values than six characters would be found in every other word and
are left alone.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

SHORTEST = 6
"""Characters of a value below which it is taken for no secret."""
SHORTEST_LINE = 16
"""The same for one line of a value of several, such as a private key's."""
REFERENCE = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")
_LOOKS_SECRET = re.compile(
    r"(?:^|_)(?:[A-Z]*TOKENS?|[A-Z]*SECRETS?|[A-Z]*PASSWORD|[A-Z]*PASSWD|[A-Z]*PASSPHRASE|PWD|PASS"
    r"|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|ACCOUNT|SSH)_?KEYS?|APIKEYS?"
    r"|DSN|AUTH|CONNECTION_STRING|WEBHOOK_URL)(?:_|$)"
)
_NO_SECRET = re.compile(r"^(?:OLD)?PWD$|_(?:PATH|FILE|DIR|FOLDER|MODE|TYPE|NAME|TTL|TIMEOUT|SOCK)$")
_PLACE = re.compile(r"[a-z_]+")
_OUR_WORDS = ("event", "trial", "status", "kind", "action", "branch", "time", "request", "id")
"""Fields of our own records whose values are names that other lines refer to."""


class _Known:
    """What is looked for, in one pattern, and what stands for each of its finds."""

    def __init__(self) -> None:
        self.referred: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.pattern: re.Pattern[str] | None = None
        self.observed = False

    def observe(self) -> None:
        """Take the environment as it is now."""
        secret = {name: value for name, value in os.environ.items() if looks_secret(name)}
        self.names = {
            form: f"${{ENV:{name}}}"
            for name, value in (secret | self.referred).items()
            for form in _forms(value)
        }
        longest_first = sorted(self.names, key=len, reverse=True)
        found = "|".join(re.escape(form) for form in longest_first)
        self.pattern = re.compile(found) if found else None
        self.observed = True


_KNOWN = _Known()


def looks_secret(name: str) -> bool:
    """Return whether a variable of that name is taken for a secret."""
    upper = name.upper()
    return bool(_LOOKS_SECRET.search(upper)) and not _NO_SECRET.search(upper)


def conceal(values: Mapping[str, str]) -> None:
    """Look for these values (by the names of their variables) too, in the environment as it is now."""
    _KNOWN.referred |= values
    _KNOWN.observe()


def conceal_those_in(texts: Iterable[str]) -> None:
    """Look for the secrets that these texts hold from now on as for those that are referred to."""
    names = {name for text in texts for name in REFERENCE.findall(redact(text))}
    conceal({name: os.environ[name] for name in names if name in os.environ})


def concealed() -> dict[str, str]:
    """Return the values concealed by name, for a process that has another environment."""
    return dict(_KNOWN.referred)


def redact(text: str) -> str:
    """Return ``text`` with each known secret as its ``${ENV:NAME}``."""
    if not _KNOWN.observed:
        _KNOWN.observe()
    if _KNOWN.pattern is None:
        return text
    return _KNOWN.pattern.sub(lambda found: _KNOWN.names[found[0]], text)


def redacted(value: Any) -> Any:
    """Return plain values with every text in them redacted; what is no text stays as it is."""
    if isinstance(value, str):
        return redact(value)
    if _KNOWN.observed and _KNOWN.pattern is None:
        return value
    if isinstance(value, Mapping):
        return {
            _key(key): item if key in _OUR_WORDS and isinstance(item, str) else redacted(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return type(value)([redacted(item) for item in value])
    return value


def restored(value: Any) -> Any:
    """Return plain values with each ``${ENV:NAME}`` as the value it stands for, where that is known."""
    if isinstance(value, str):
        return REFERENCE.sub(_value_of, value) if "${ENV:" in value else value
    if isinstance(value, Mapping):
        return {key: restored(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [restored(item) for item in value]
    return value


def _value_of(reference: re.Match[str]) -> str:
    name = reference[1]
    value = _KNOWN.referred.get(name, os.environ.get(name))
    if value is None:
        return reference[0]
    if name not in _KNOWN.referred:
        conceal({name: value})
    return value


def _key(key: Any) -> Any:
    """Return a mapping's key; names such as learning_rate and val_loss are looked up and hide nothing."""
    return key if not isinstance(key, str) or _PLACE.fullmatch(key) else redact(key)


def _forms(value: str) -> set[str]:
    """Return the ways in which a value may stand in a text: as it is, quoted, escaped, line by line."""
    lines = [line.strip() for line in value.splitlines()]
    parts = {value, value.strip(), *(line for line in lines if len(line) >= SHORTEST_LINE)}
    forms = {
        form
        for part in parts
        for form in (
            part,
            repr(part)[1:-1],
            json.dumps(part)[1:-1],
            json.dumps(part, ensure_ascii=False)[1:-1],
            quote(part, safe=""),
            quote(part),
            quote_plus(part),
        )
    }
    return {form for form in forms if len(form) >= SHORTEST}
