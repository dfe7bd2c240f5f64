"""Cutting a stream of chunks into batches, shuffled within a pool of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.data.trees import between, joined, leaves, map_tree, row_count

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
        rows_of_chunk = row_count(chunk)
        if not rows_of_chunk:
            continue
        pool.append(chunk)
        held += rows_of_chunk
        if held < (batch_size if rng is None else _pool_rows(chunk[0], batch_size)):
            continue
        rows = _joined(pool, rng)
        leaving = held if rng is None else held // 2
        leaving -= leaving % batch_size
        yield from _batches(between(rows, 0, leaving), batch_size)
        pool = [map_tree(np.copy, between(rows, leaving, None))]
        held -= leaving
    if held:
        yield from _batches(_joined(pool, rng), batch_size)


def _pool_rows(x: Any, batch_size: int) -> int:
    """Return how many rows like these the pool holds before it is shuffled."""
    row_bytes = max(1, sum(int(array.nbytes) for _, array in leaves(x)) // row_count(x))
    return max(2 * batch_size, min(POOL_ROWS, POOL_BYTES // row_bytes))


def _joined(pool: Sequence[Any], rng: np.random.Generator | None) -> Any:
    rows = pool[0] if len(pool) == 1 else joined(pool)
    if rng is None:
        return rows
    order = rng.permutation(row_count(rows))
    return map_tree(lambda part: part[order], rows)


def _batches(rows: Any, batch_size: int) -> Iterator[Any]:
    for start in range(0, row_count(rows), batch_size):
        yield between(rows, start, start + batch_size)
