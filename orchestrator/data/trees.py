"""Arrays by themselves, or several of them: a dictionary by name, or a tuple in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


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
