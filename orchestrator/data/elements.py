"""The elements of a tf.data pipeline, batches of rows whatever they were, as far as they go."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.catalog import UsersCode
from orchestrator.data.messages import notice, refused
from orchestrator.data.trees import leaves
from orchestrator.errors import DataError

CHUNK_ROWS = 1_024
MOST_SECONDS = 300.0
SPEAK_SECONDS = 5.0

_INFINITE, _UNKNOWN = -1, -2
_MOST_REMEMBERED = 1_000_000
_AGAIN_ROWS = 50_000
_AGAIN_TIMES = 20


def elements(pipeline: Any, where: str) -> Iterator[tuple[Any, ...]]:
    """Yield (x, y), or (x, y, weights), with rows first, until the pipeline ends; single rows are batched."""
    if not batched(pipeline, where):
        pipeline = pipeline.batch(CHUNK_ROWS)
    with UsersCode(where, None, DataError):
        yield from pipeline.as_numpy_iterator()


def in_chunks(pipeline: Any, where: str) -> Any:
    """Return a pipeline of the same rows in larger batches, which take less time to read than many small ones."""
    return pipeline.rebatch(CHUNK_ROWS) if batched(pipeline, where) else pipeline.batch(CHUNK_ROWS)


def specs(pipeline: Any, where: str) -> tuple[Any, ...]:
    """Return what an element is made of: features, labels and, where there are any, weights.

    DataError for anything else.
    """
    spec: tuple[Any, ...] = pipeline.element_spec
    parts = [part for _, part in leaves(spec)] if isinstance(spec, tuple) else []
    if not parts or len(spec) not in (2, 3) or not all(hasattr(part, "shape") for part in parts):
        expected = "elements (x, y), or (x, y, weights), were expected in the tf.data.Dataset"
        raise refused(where, expected, f"{spec}")
    return spec


def batched(pipeline: Any, where: str) -> bool:
    """Return whether a pipeline's elements are batches."""
    x, *others = specs(pipeline, where)
    return is_batched([part for _, part in leaves(x)], [part for _, part in leaves(tuple(others))])


def is_batched(x: Sequence[Any], y: Sequence[Any]) -> bool:
    """Return whether an element with these specs of features and labels is a batch, as Keras takes it.

    A batch has a first dimension that is open in all of them, or the same in all (as
    ``drop_remainder`` makes it). A label without dimensions is one row's; so are features of one
    known dimension, beside which a label of as many entries is one-hot.
    """
    shapes = [spec.shape for spec in (*x, *y)]
    if any(shape.rank is None for shape in shapes):
        return all(shape.rank != 0 for shape in shapes)
    if any(shape.rank == 0 for shape in shapes):
        return False
    first = {shape[0] for shape in shapes}
    if first == {None}:
        return True
    return len(first) == 1 and any(spec.shape.rank > 1 for spec in x)


def endless(pipeline: Any) -> bool:
    """Return whether a pipeline is known to have no end."""
    return int(pipeline.cardinality()) == _INFINITE


def check_steps(pipeline: Any, where: str, key: str) -> None:
    """Return when ``steps`` batches can be counted. DataError for a pipeline of single rows."""
    if not batched(pipeline, where):
        received = "one of single rows"
        expected = f"a tf.data.Dataset of batches was expected with {key}"
        raise refused(where, expected, received, "Add .batch(32) to it.")


class Watch:
    """Says how many rows were read of a pipeline of unknown length, and refuses one without end.

    A generator is taken for endless when it has given rows that it gave before, and no other, for
    ``_AGAIN_ROWS`` rows and for twenty times as many as there are different ones; or when it has
    not ended after ``MOST_SECONDS``.
    """

    def __init__(self, pipeline: Any, where: str, key: str) -> None:
        self._unknown = int(pipeline.cardinality()) == _UNKNOWN
        self._where = where
        self._key = key
        self._seen: set[int] = set()
        self._since_new = 0
        self._rows = 0
        self._began = self._spoke = time.monotonic()

    def __call__(self, x: Any) -> None:
        """Take note of the features of a batch."""
        first = leaves(x)[0][1]
        self._rows += len(first)
        if not self._unknown:
            return
        now = time.monotonic()
        if now - self._spoke >= SPEAK_SECONDS:
            self._spoke = now
            notice(f"{self._where}: read {self._rows:,} rows so far")
        self._remember(np.ascontiguousarray(first))
        if self._since_new >= max(_AGAIN_ROWS, _AGAIN_TIMES * len(self._seen)):
            what = f"the same {len(self._seen):,} rows again and again"
            raise self._without_end(f"{self._rows:,} rows read so far, {what}")
        if now - self._began > MOST_SECONDS:
            seconds = f"{now - self._began:.0f} seconds"
            raise self._without_end(f"{self._rows:,} rows read so far, in {seconds}, and no end")

    def _remember(self, x: Any) -> None:
        if len(self._seen) >= _MOST_REMEMBERED:
            self._since_new = 0
            return
        before = len(self._seen)
        self._seen.update(hash(row.tobytes()) for row in x)
        self._since_new = self._since_new + len(x) if len(self._seen) == before else 0

    def _without_end(self, received: str) -> DataError:
        hint = (
            f"Write {self._key}: 100 (batches an epoch) where it has none; where it has, say how"
            " long it is with tf.data.experimental.assert_cardinality."
        )
        return refused(self._where, "a tf.data.Dataset that ends was expected", received, hint)
