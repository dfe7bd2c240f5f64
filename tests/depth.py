"""Which cases of a claim `make test` shows; `make test-all` shows them all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def in_depth(cases: Iterable[str], *first: str) -> list[Any]:
    """Return the names of cases, those that are not among ``first`` left to `make test-all`."""
    names = list(cases)
    assert {*first} <= {*names}
    deep = pytest.mark.cluster
    return [name if name in first else pytest.param(name, marks=deep) for name in names]
