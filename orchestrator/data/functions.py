"""What a user's data function may return, and which split each piece of it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.data.arrays import Given, by_name
from orchestrator.data.dataset import PARTS
from orchestrator.data.messages import refused, several
from orchestrator.errors import DataError, near_miss

_EXPECTED = (
    "(x, y), (x, y, sample weights), ((x_train, y_train), (x_test, y_test)), a dict of arrays (x_train, y_train, ...) "
    "or tf.data.Datasets as {'train': ..., 'validation': ...} were expected"
)


def call(reference: CallableReference, where: str) -> Given | dict[str, Any]:
    """Return what the function gives, by split: pairs of arrays, or tf.data.Datasets."""
    function = reference.load()
    with UsersCode(where, reference.runs_in, DataError):
        value = function()
    return sort_result(value, where)


def sort_result(value: Any, where: str) -> Given | dict[str, Any]:
    """Return the pieces of a function's result by split: ``train``, ``validation``, ``test``.

    Two pairs of arrays are (train, test), as Keras' own data sets; two streams are (train,
    validation), since a stream cannot be cut; three are train, validation and test. A frame by
    itself, or in place of a pair, holds its labels in the column ``data.label``.
    """
    if is_stream(value):
        expected = "a train and a validation tf.data.Dataset were expected"
        raise refused(where, expected, "one, which cannot be split (return a dict of two)")
    if is_frame(value):
        return {"train": (value, None)}
    if isinstance(value, Mapping):
        return _from_mapping(value, where)
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        raise refused(where, _EXPECTED, described(value))
    pieces = list(value)
    if all(is_frame(piece) for piece in pieces) and _are_alike(pieces):
        names = PARTS if len(pieces) == 3 else ("train", "test")
        return {name: (piece, None) for name, piece in zip(names, pieces, strict=True)}
    if all(is_stream(piece) for piece in pieces):
        return dict(zip(PARTS, pieces, strict=False))
    if all(_is_pair(piece) for piece in pieces):
        names = PARTS if len(pieces) == 3 else ("train", "test")
        return {name: tuple(piece) for name, piece in zip(names, pieces, strict=True)}
    if all(_has_rows(piece) for piece in pieces) and not _is_pair(pieces[1]):
        return {"train": tuple(pieces)}
    raise refused(where, _EXPECTED, described(value))


def is_stream(value: Any) -> bool:
    """Tell a tf.data.Dataset by its own methods, so that TensorFlow need not be imported here."""
    return hasattr(value, "as_numpy_iterator") and hasattr(value, "element_spec")


def is_frame(value: Any) -> bool:
    """Tell a frame of pandas or polars, or a pyarrow Table, by its methods."""
    pandas = hasattr(value, "iloc") and hasattr(value, "columns")
    return pandas or hasattr(value, "to_arrow") or is_arrow(value)


def are_frames(pieces: Mapping[str, Any]) -> bool:
    """Tell whether the features of every split are a frame."""
    return all(isinstance(piece, tuple) and is_frame(piece[0]) for piece in pieces.values())


def is_arrow(value: Any) -> bool:
    """Tell a pyarrow Table."""
    return hasattr(value, "column_names") and hasattr(value, "schema")


def are_streams(pieces: Mapping[str, Any]) -> bool:
    """Tell whether the sorted result of a function is a set of tf.data.Datasets."""
    return all(is_stream(piece) for piece in pieces.values())


def _from_mapping(value: Mapping[str, Any], where: str) -> Given | dict[str, Any]:
    streams = [name for name, piece in value.items() if is_stream(piece)]
    if set(value) <= set(PARTS):
        value = {part: (one, None) if is_frame(one) else one for part, one in value.items()}
    pairs = [name for name, piece in value.items() if _is_pair(piece)]
    if not streams and not pairs:
        return by_name(value, where)
    unknown = [str(name) for name in value if name not in PARTS]
    if unknown or len(streams) not in (0, len(value)):
        hint = near_miss(unknown[0], PARTS) if unknown else ""
        raise refused(where, _EXPECTED, described(value), hint)
    needed = ("train", "validation") if streams else ("train",)
    absent = [part for part in needed if part not in value]
    if absent:
        raise refused(where, f"a {absent[0]} set was expected", several(list(value)))
    return dict(value)


def _are_alike(frames: list[Any]) -> bool:
    """Tell splits of one table, labels among their columns, from features and labels."""
    names = [list(frame.column_names if is_arrow(frame) else frame.columns) for frame in frames]
    return all(set(one) == set(names[0]) for one in names)


def _is_pair(value: Any) -> TypeGuard[tuple[Any, ...]]:
    """Tell a split: (x, y), or (x, y, sample weights)."""
    return isinstance(value, tuple) and len(value) in (2, 3)


def _has_rows(value: Any) -> bool:
    sized = hasattr(value, "__len__") or hasattr(value, "shape")
    return sized and not is_stream(value) and not isinstance(value, str)


def described(value: Any) -> str:
    """Return the type of a value, and of its pieces where it is a container."""
    if isinstance(value, Mapping):
        inside = [f"{name!r}: {type(piece).__name__}" for name, piece in value.items()]
        return f"a dict of {several(inside)}" if inside else "an empty dict"
    if isinstance(value, tuple | list):
        inside = [type(piece).__name__ for piece in value]
        return f"a {type(value).__name__} of {several(inside)}" if inside else "nothing in it"
    return type(value).__name__
