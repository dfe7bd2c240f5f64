"""A fingerprint of content: the same on every machine, whatever the chunks it arrives in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from orchestrator.data.scaling import chunks
from orchestrator.data.trees import Array, leaves


class ContentHash:
    """Collects named columns or arrays; each is hashed by itself, row after row."""

    def __init__(self) -> None:
        self._hashes: dict[str, hashlib._Hash] = {}
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
        whole = hashlib.sha256("\0".join(classes).encode())
        for name in sorted(self._hashes):
            head = f"\n{name} {self._rows[name]} {self._hashes[name].hexdigest()}"
            whole.update(head.encode())
        return whole.hexdigest()


def row_sum(x: Any, y: Any) -> int:
    """Return a sum of one hash a row, which does not depend on the order of the rows."""
    features = [np.ascontiguousarray(array) for _, array in leaves(x)]
    labels = [np.ascontiguousarray(array) for _, array in leaves(y)]
    total = 0
    for at in range(len(features[0])):
        row = b"".join(_bytes(array[at]) for array in features)
        label = "".join(str(array[at].tolist()) for array in labels)
        total += int.from_bytes(hashlib.sha256(row + label.encode()).digest(), "little")
    return total % 2**256


def _type_name(values: Array) -> str:
    return "text" if values.dtype.kind in "OU" else values.dtype.newbyteorder("<").str


def _bytes(values: Array) -> bytes:
    if values.dtype.kind in "OU":
        return "".join(f"{text}\0" for text in values.tolist()).encode()
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<")).tobytes()
