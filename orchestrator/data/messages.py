"""The sentence with which data are refused, and what is said while they are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from orchestrator.errors import DataError


def refused(where: str, expected: str, received: str, hint: str = "") -> DataError:
    """Return the error of the house's sentence shape; ``received`` is words, not a value.

    ``hint`` is what ``near_miss`` returns, or a further sentence.
    """
    end = f" {hint.strip()}" if hint.strip() else ""
    return DataError(f"{where}: {expected}. Received: {received}.{end}")


def several(items: Sequence[str], most: int = 5) -> str:
    """Return the items as a list in words, cut after ``most`` of them."""
    rest = len(items) - most
    return ", ".join(items[:most]) + (f" and {rest} more" if rest > 0 else "")


def notice(sentence: str) -> None:
    """Say something that was done with the data, or how far reading is."""
    sys.stderr.write(f"{sentence.rstrip('.')}.\n")
    sys.stderr.flush()
