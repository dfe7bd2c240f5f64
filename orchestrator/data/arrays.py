"""Arrays that a user gives, by file or by function, sorted into the splits they are meant for."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from orchestrator.data.refusal import refused, several
from orchestrator.errors import near_miss

_NAMES = {
    "train": ("x", "x_train"),
    "validation": ("x_val", "x_validation", "x_valid"),
    "test": ("x_test",),
}
_KNOWN = [name for names in _NAMES.values() for x in names for name in (x, "y" + x[1:])]
_EXPECTED = "arrays x and y, or x_train, y_train, x_test, y_test (x_val, y_val), were expected"

Given = dict[str, tuple[Any, ...]]


def read_npz(path: str, where: str) -> Given:
    """Return the arrays of an .npz file by split; a file with pickled objects is refused unread."""
    if not zipfile.is_zipfile(path):
        raise refused(where, "an .npz archive was expected", f"{path}, which is none")
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        if "allow_pickle" in str(error):
            expected = "arrays of numbers or of fixed-width strings (y.astype(str)) were expected"
            raise refused(where, expected, "pickled Python objects, which are not read") from error
        raise refused(where, "an .npz archive was expected", f"{path}: {error}") from error
    return by_name(arrays, where)


def by_name(arrays: Mapping[str, Any], where: str) -> Given:
    """Return the splits of arrays called ``x, y`` or ``x_train, y_train, x_test, ...``."""
    lower = {str(name).lower(): value for name, value in arrays.items()}
    for name in lower:
        if name.startswith(("x", "y")) and name not in _KNOWN:
            raise refused(where, _EXPECTED, f"an array {name!r}", near_miss(name, _KNOWN))
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
        raise refused(where, _EXPECTED, f"arrays called {received}" if arrays else received)
    return given
