"""What a user gives as data, by file, by function or in Python: sorted into splits, made dense, and checked."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.data.dataset import PARTS
from orchestrator.data.messages import notice, refused, several
from orchestrator.data.trees import Array, bytes_for_data, chunks, leaves
from orchestrator.errors import DataError, near_miss

_NAMES = {
    "train": ("x", "x_train"),
    "validation": ("x_val", "x_validation", "x_valid"),
    "test": ("x_test",),
}
_KNOWN = [name for names in _NAMES.values() for x in names for name in (x, "y" + x[1:])]
_EXPECTED_ARRAYS = (
    "arrays x and y, or x_train, y_train, x_test, y_test (x_val, y_val), were expected"
)
Given = dict[str, tuple[Any, ...]]
_EXPECTED_RESULT = (
    "(x, y), (x, y, sample weights), ((x_train, y_train), (x_test, y_test)), a dict of arrays (x_train, y_train, ...) "
    "or tf.data.Datasets as {'train': ..., 'validation': ...} were expected"
)


def read_npz(path: str, where: str) -> dict[str, Array]:
    """Return the arrays of an .npz file by name; a file with pickled objects is refused unread."""
    if not zipfile.is_zipfile(path):
        raise refused(where, "an .npz archive was expected", f"{path}, which is none")
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        if "allow_pickle" in str(error):
            expected = "arrays of numbers or of fixed-width strings (y.astype(str)) were expected"
            raise refused(where, expected, "pickled Python objects, which are not read") from error
        raise refused(where, "an .npz archive was expected", f"{path}: {error}") from error


def endings(arrays: Any) -> dict[str, str]:
    """Return by split what follows x and y in the names of its arrays: ``{"train": "_train"}``; nothing of others."""
    names = {str(name).lower() for name in arrays} if isinstance(arrays, Mapping) else set()
    found = {part: [x[1:] for x in known if x in names] for part, known in _NAMES.items()}
    return {part: own[0] for part, own in found.items() if own}


def by_name(arrays: Mapping[str, Any], where: str, beside: str = "") -> Given:
    """Return the splits of arrays called ``x, y`` or ``x_train, y_train, x_test, ...``.

    Names that begin with ``beside`` are of another array.
    """
    lower = {
        str(name).lower(): value
        for name, value in arrays.items()
        if not (beside and str(name).startswith(beside))
    }
    for name in lower:
        if name.startswith(("x", "y")) and name not in _KNOWN:
            raise refused(where, _EXPECTED_ARRAYS, f"an array {name!r}", near_miss(name, _KNOWN))
    given: Given = {}
    for part, names in _NAMES.items():
        found = [name for name in names if name in lower or "y" + name[1:] in lower]
        if len(found) > 1:
            raise refused(where, f"one array of {part} features was expected", " and ".join(found))
        for name in found:
            pair = (name, "y" + name[1:])
            absent = [one for one in pair if one not in lower]
            if absent:
                received = f"{pair[0] if absent == [pair[1]] else pair[1]} without {absent[0]}"
                raise refused(where, "features and labels were expected", received)
            weight = lower.get("sample_weight" + name[1:])
            given[part] = (*(lower[one] for one in pair), *(() if weight is None else (weight,)))
    if "train" not in given:
        received = several([repr(name) for name in arrays]) or "nothing"
        raise refused(where, _EXPECTED_ARRAYS, f"arrays called {received}" if arrays else received)
    return given


def dense(pieces: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the pieces with SciPy's sparse matrices as arrays, where those fit in memory."""
    return {
        part: tuple(dense_array(value, where) for value in piece)
        if isinstance(piece, tuple)
        else piece
        for part, piece in pieces.items()
    }


def dense_array(value: Any, where: str) -> Any:
    """Return a sparse matrix as an array where it fits in memory, anything else as it is."""
    if not (hasattr(value, "toarray") and hasattr(value, "nnz") and hasattr(value, "dtype")):
        return value
    size = int(np.prod(value.shape)) * value.dtype.itemsize
    if size > (most := bytes_for_data()):
        expected = f"features of at most {most / 2**30:.1f} GiB were expected"
        received = f"a sparse matrix of shape {value.shape}, which takes {size / 2**30:.1f} GiB as an array"
        hint = (
            "Reduce the features (max_features=..., TruncatedSVD), or return .toarray() of fewer"
            " rows or of a smaller type."
        )
        raise refused(where, expected, received, hint)
    notice(f"{where}: a sparse matrix of shape {value.shape} was made an array ({size:,} bytes)")
    return value.toarray()


def check_features(x: object, where: str) -> Any:
    """Return ``x`` as an array (rows, ...) of finite booleans, integers or floats, or a tree of those by input.

    Several inputs come as a dictionary by name, where one may be a single number a row, (rows,), or as a list or
    tuple of arrays of as many rows. Not copied.
    """
    if isinstance(x, Mapping):
        return {
            str(name): _array(value, f"{where}, input {name!r}", 1) for name, value in x.items()
        }
    if isinstance(x, list | tuple) and _are_inputs(x):
        return tuple(_array(value, f"{where}, input {at}") for at, value in enumerate(x))
    return _array(x, where)


def _are_inputs(pieces: Sequence[Any]) -> bool:
    """Tell a list of arrays, one an input, from a list of rows: arrays of one length, which is not that of the list."""
    arrays = all(hasattr(piece, "ndim") and piece.ndim > 1 for piece in pieces)
    return arrays and len(pieces) > 1 and len({len(piece) for piece in pieces}) == 1


def _array(x: object, where: str, dimensions: int = 2) -> Array:
    try:
        features = np.asarray(x)
    except ValueError as error:
        raise refused(where, "rows of one shape were expected", str(error).rstrip(".")) from error
    if features.dtype.kind not in "biuf":
        hint = "Make numbers of them in load(), or return a frame: its texts become one column a category."
        raise refused(where, "numbers were expected in x", f"values of type {features.dtype}", hint)
    if features.ndim < dimensions:
        raise refused(where, "x of shape (rows, features...) was expected", f"{features.shape}")
    if 0 in features.shape:
        raise refused(where, "x with rows and features was expected", f"shape {features.shape}")
    if features.dtype.kind == "f":
        _check_finite(features, where)
    return features


def check_lengths(x: Any, y: Any, where: str) -> None:
    """Return when there are as many labels as rows of features, in each array of several."""
    rows = {len(array) if np.ndim(array) else 0 for _, array in (*leaves(x), *leaves(y))}
    if len(rows) > 1:
        shapes = [
            f"{name} of shape {np.shape(array)}"
            for name, array in (*leaves(x, "x"), *leaves(y, "y"))
        ]
        received = " and ".join(shapes)
        raise refused(where, "as many labels as rows were expected", received)


def _check_finite(x: Array, where: str) -> None:
    """Refuse NaN and infinities, also those that float32 would make."""
    count, first = 0, ""
    for rows in chunks(x):
        with np.errstate(over="ignore"):
            bad = ~np.isfinite(x[rows].astype(np.float32))
        if not bad.any():
            continue
        if not count:
            row, *place = (int(index) for index in np.argwhere(bad)[0])
            column = place[0] if len(place) == 1 else tuple(place)
            first = f"row {row + rows.start}, column {column}"
        count += int(bad.sum())
    if count:
        received = f"{count} that are NaN or infinite, the first in {first}"
        hint = "Fill or drop them in load(); gaps of a frame are filled by data.missing."
        raise refused(where, "finite numbers were expected in x", received, hint)


def called(reference: CallableReference, where: str) -> Any:
    """Return what the function returns."""
    function = reference.load()
    with UsersCode(where, reference.runs_in, DataError):
        return function()


def call(reference: CallableReference, where: str) -> Given | dict[str, Any]:
    """Return what the function gives, by split: pairs of arrays, or tf.data.Datasets."""
    return sort_result(called(reference, where), where)


def sort_result(value: Any, where: str, beside: str = "") -> Given | dict[str, Any]:
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
        return _from_mapping(value, where, beside)
    if not isinstance(value, tuple | list) or len(value) not in (2, 3):
        raise refused(where, _EXPECTED_RESULT, described(value))
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
    raise refused(where, _EXPECTED_RESULT, described(value))


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


def _from_mapping(value: Mapping[str, Any], where: str, beside: str) -> Given | dict[str, Any]:
    streams = [name for name, piece in value.items() if is_stream(piece)]
    if set(value) <= set(PARTS):
        value = {part: (one, None) if is_frame(one) else one for part, one in value.items()}
    pairs = [name for name, piece in value.items() if _is_pair(piece)]
    if not streams and not pairs:
        return by_name(value, where, beside)
    unknown = [str(name) for name in value if name not in PARTS]
    if unknown or len(streams) not in (0, len(value)):
        hint = near_miss(unknown[0], PARTS) if unknown else ""
        raise refused(where, _EXPECTED_RESULT, described(value), hint)
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
