"""Cutting a stream of chunks into batches, shuffled within a pool of bounded size."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from orchestrator.data.dataset import Batch
from orchestrator.data.trees import Array

POOL_ROWS = 65_536
POOL_BYTES = 64 * 2**20


def rebatch(chunks: Iterable[Batch], batch_size: int, shuffle_seed: int | None) -> Iterator[Batch]:
    """Yield batches of ``batch_size`` rows (the last may be smaller) from chunks of any size.

    With a seed, rows wait in a pool (at most POOL_ROWS rows or about POOL_BYTES, and never less
    than two batches, beside one chunk); each time it is full it is shuffled and half of it leaves.
    None keeps the order.
    """
    rng = None if shuffle_seed is None else np.random.default_rng([shuffle_seed, 1])
    pool: list[Batch] = []
    held = 0
    for chunk in chunks:
        if not len(chunk[1]):
            continue
        pool.append(chunk)
        held += len(chunk[1])
        if held < (batch_size if rng is None else _pool_rows(chunk[0], batch_size)):
            continue
        x, y = _joined(pool, rng)
        leaving = held if rng is None else held // 2
        leaving -= leaving % batch_size
        yield from _batches((x[:leaving], y[:leaving]), batch_size)
        pool = [(x[leaving:].copy(), y[leaving:].copy())]
        held -= leaving
    if held:
        yield from _batches(_joined(pool, rng), batch_size)


def _pool_rows(x: Array, batch_size: int) -> int:
    """Return how many rows like these the pool holds before it is shuffled."""
    row_bytes = max(1, x.nbytes // len(x))
    return max(2 * batch_size, min(POOL_ROWS, POOL_BYTES // row_bytes))


def _joined(pool: Sequence[Batch], rng: np.random.Generator | None) -> Batch:
    x = pool[0][0] if len(pool) == 1 else np.concatenate([chunk[0] for chunk in pool])
    y = pool[0][1] if len(pool) == 1 else np.concatenate([chunk[1] for chunk in pool])
    if rng is None:
        return x, y
    order = rng.permutation(len(y))
    return x[order], y[order]


def _batches(rows: Batch, batch_size: int) -> Iterator[Batch]:
    x, y = rows
    for start in range(0, len(y), batch_size):
        yield x[start : start + batch_size], y[start : start + batch_size]
