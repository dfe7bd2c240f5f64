"""Which cases of a claim `make test` shows; `make test-all` shows them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def in_depth(cases: Iterable[Any], *first: Any) -> list[Any]:
    """Return cases, or their names, those that are not among ``first`` left to `make test-all`."""
    names = list(cases)
    assert all(name in names for name in first)
    return [name if name in first else further(name) for name in names]


def further(*values: Any) -> Any:
    """Return a case of several values that is left to `make test-all`."""
    return pytest.param(*values, marks=pytest.mark.cluster)
