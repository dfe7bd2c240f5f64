"""Cutting a stream of chunks into batches, shuffled within a pool of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.data.dataset import Array

POOL_ROWS = 65_536
POOL_BYTES = 64 * 2**20


def rebatch(chunks: Iterable[Any], batch_size: int, shuffle_seed: int | None) -> Iterator[Any]:
    """Yield batches of ``batch_size`` rows (the last may be smaller) from chunks of any size.

    A chunk is ``(x, y)``, or more arrays of as many rows. With a seed, rows wait in a pool (at most
    POOL_ROWS rows or about POOL_BYTES, and never less than two batches, beside one chunk); each
    time it is full it is shuffled and half of it leaves. None keeps the order.
    """
    rng = None if shuffle_seed is None else np.random.default_rng([shuffle_seed, 1])
    pool: list[Any] = []
    held = 0
    for chunk in chunks:
        if not len(chunk[1]):
            continue
        pool.append(chunk)
        held += len(chunk[1])
        if held < (batch_size if rng is None else _pool_rows(chunk[0], batch_size)):
            continue
        rows = _joined(pool, rng)
        leaving = held if rng is None else held // 2
        leaving -= leaving % batch_size
        yield from _batches(tuple(part[:leaving] for part in rows), batch_size)
        pool = [tuple(part[leaving:].copy() for part in rows)]
        held -= leaving
    if held:
        yield from _batches(_joined(pool, rng), batch_size)


def _pool_rows(x: Array, batch_size: int) -> int:
    """Return how many rows like these the pool holds before it is shuffled."""
    row_bytes = max(1, x.nbytes // len(x))
    return max(2 * batch_size, min(POOL_ROWS, POOL_BYTES // row_bytes))


def _joined(pool: Sequence[Any], rng: np.random.Generator | None) -> Any:
    parts = [
        part[0] if len(part) == 1 else np.concatenate(part) for part in zip(*pool, strict=True)
    ]
    if rng is None:
        return tuple(parts)
    order = rng.permutation(len(parts[1]))
    return tuple(part[order] for part in parts)


def _batches(rows: Any, batch_size: int) -> Iterator[Any]:
    for start in range(0, len(rows[1]), batch_size):
        yield tuple(part[start : start + batch_size] for part in rows)
