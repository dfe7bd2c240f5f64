"""Why a domain cannot be: what was expected, what came instead, what would have been right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from orchestrator.redaction import redacted

LONGEST_SHOWN = 120


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
