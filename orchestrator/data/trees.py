"""Arrays by themselves, or several of them by name or in order: their rows, batches and fingerprint."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
_CHUNK_VALUES = 2_000_000
SHARE_OF_MEMORY = 0.25
POOL_ROWS = 65_536
POOL_BYTES = 64 * 2**20


def bytes_for_data() -> float:
    """Return how much of the memory that is free data may take: a quarter."""
    import psutil

    free: int = psutil.virtual_memory().available
    return SHARE_OF_MEMORY * free


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return the tree with ``function`` applied to each of its arrays; None stays None."""
    if tree is None:
        return None
    if isinstance(tree, Mapping):
        return {name: map_tree(function, value) for name, value in tree.items()}
    if isinstance(tree, tuple):
        return tuple(map_tree(function, value) for value in tree)
    return function(tree)


def leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """Return each array with its name: ``x``, ``x/age``, ``y/0``."""
    if tree is None:
        return []
    if isinstance(tree, Mapping):
        pairs = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, tuple):
        pairs = [(str(at), value) for at, value in enumerate(tree)]
    else:
        return [(name, tree)]
    return [leaf for key, value in pairs for leaf in leaves(value, f"{name}/{key}".strip("/"))]


def joined(trees: Sequence[Any]) -> Any:
    """Return trees of one form, one after another in each array."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, Mapping):
        return {name: joined([tree[name] for tree in trees]) for name in first}
    if isinstance(first, tuple):
        return tuple(joined([tree[at] for tree in trees]) for at in range(len(first)))
    return np.concatenate(trees)


def row_count(tree: Any) -> int:
    """Return the rows of a tree's arrays, which are the same in all of them."""
    return len(leaves(tree)[0][1])


def take(tree: Any, rows: Any) -> Any:
    """Return the chosen rows of every array, contiguous."""
    return map_tree(lambda array: np.ascontiguousarray(array[rows]), tree)


def between(tree: Any, start: int, end: int | None) -> Any:
    """Return the rows from ``start`` up to ``end`` of every array."""
    rows = slice(start, end)

    def cut(array: Any) -> Any:
        return array[rows]

    return map_tree(cut, tree)


def shapes_of(tree: Any) -> Any:
    """Return the shape of one row: a tuple, or a dictionary or tuple of those."""
    return map_tree(lambda array: tuple(array.shape[1:]), tree)


def as_keras_takes(array: Any) -> Any:
    """Return an array of the type that Keras's ``fit`` makes of it: wider floats become float32, the rest stays."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        return array.astype(np.float32)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))


def chunks(x: Array, rows: int | None = None) -> Iterator[slice]:
    """Yield slices of an array's rows, or of so many ``rows`` like its, that hold a bounded number of values each."""
    size = max(1, _CHUNK_VALUES // max(1, int(np.prod(x.shape[1:]))))
    for start in range(0, len(x) if rows is None else rows, size):
        yield slice(start, start + size)


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


class ContentHash:
    """Collects named columns or arrays; each is hashed by itself, row after row."""

    def __init__(self) -> None:
        self._hashes: dict[str, Any] = {}
        self._rows: dict[str, int] = {}

    def add(self, name: str, values: Array) -> None:
        """Add rows to the array ``name``: its type, the shape of a row and the bytes count."""
        if name not in self._hashes:
            self._hashes[name] = hashlib.sha256(repr(values.shape[1:]).encode())
            self._hashes[name].update(_type_name(values).encode())
            self._rows[name] = 0
        self._rows[name] += len(values)
        for rows in chunks(values):
            self._hashes[name].update(_bytes(values[rows]))

    def digest(self, classes: Sequence[str]) -> str:
        """Return the sha256, as hexadecimal, of all arrays in the order of their names."""
        whole = hashlib.sha256("\0".join(classes).encode("utf-8", "surrogatepass"))
        for name in sorted(self._hashes):
            head = f"\n{name} {self._rows[name]} {self._hashes[name].hexdigest()}"
            whole.update(head.encode("utf-8", "surrogatepass"))
        return whole.hexdigest()


def row_sum(x: Any, y: Any) -> int:
    """Return a sum of one hash a row, which does not depend on the order of the rows."""
    features = [np.ascontiguousarray(array) for _, array in leaves(x)]
    labels = [np.ascontiguousarray(array) for _, array in leaves(y)]
    total = 0
    for at in range(len(features[0])):
        row = b"".join(_bytes(array[at]) for array in features)
        label = "".join(str(array[at].tolist()) for array in labels)
        total += int.from_bytes(
            hashlib.sha256(row + label.encode("utf-8", "surrogatepass")).digest(), "little"
        )
    return total % 2**256


def _type_name(values: Array) -> str:
    return "text" if values.dtype.kind in "OU" else values.dtype.newbyteorder("<").str


def _bytes(values: Array) -> bytes:
    if values.dtype.kind in "OU":
        return "".join(f"{text}\0" for text in values.tolist()).encode("utf-8", "surrogatepass")
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
