"""The first pass over a table: the label of every row, and its weight."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from orchestrator.data.labels import Labels, PlainLabels, describe, given_labels, of_task
from orchestrator.data.refusal import refused
from orchestrator.data.table_columns import numbers, raw_labels
from orchestrator.data.table_file import TableFile
from orchestrator.data.table_fit import Batches
from orchestrator.data.table_kinds import Column
from orchestrator.data.trees import Array

Weights: TypeAlias = npt.NDArray[np.float32]


def scan_targets(
    table: TableFile, batches: Batches, task: str
) -> tuple[Labels, Array, Weights | None]:
    """Return what the labels are, every row's as a number, and its weight, if any.

    This is the first pass over a table; it keeps four or eight bytes a row, and four for a weight.
    """
    label = table.label
    if label is None:
        raise refused(table.where, "a label column was expected", "none")
    where = f"{table.where}, column {label.name!r}"
    known: dict[Any, int] = {}
    read: list[Array] = []
    weights: list[Weights] = []
    missing = 0
    for _, batch in batches:
        raw, absent = raw_labels(batch.column(label.name), label.kind)
        missing += absent
        read.append(raw if raw.dtype.kind not in "bU" else _numbered(raw, known))
        if table.weight is not None:
            weights.append(check_table_weights(weights_of(batch, table.weight), table))
    if missing:
        raise refused(where, "a label in every row was expected", f"{missing} that are missing")
    whole = np.concatenate(read) if read else np.zeros(0)
    if not len(whole):
        raise refused(where, "rows were expected", "none")
    labels, numbers = _described(whole, np.array(list(known)), task, where)
    return labels, numbers, np.concatenate(weights) if weights else None


def _numbered(raw: Array, known: dict[Any, int]) -> Array:
    """Return texts or booleans as numbers, in the order in which they were first seen."""
    values, positions = np.unique(raw, return_inverse=True)
    numbered = [known.setdefault(value, len(known)) for value in values.tolist()]
    return np.array(numbered, dtype=np.int32)[positions]


def _described(whole: Array, names: Array, task: str, where: str) -> tuple[Labels, Array]:
    """Return the labels and each row's number; ``names`` are the texts that numbers stand for, if any do."""
    if not len(names):
        given = given_labels(whole, where)
        labels = of_task(describe([given], where), {"train": given}, task, where)
        return labels, labels.numbers(given)
    labels = of_task(describe([names], where), {"train": names}, task, where)
    return labels, labels.codes(PlainLabels(names))[whole]


def weights_of(batch: Any, weight: Column) -> Weights:
    """Return the weights of a batch's rows."""
    return numbers(batch.column(weight.name)).astype(np.float32)


def check_table_weights(weights: Weights, table: TableFile) -> Weights:
    """Return the weights once they are numbers of at least 0, and some above."""
    bad = int((~(np.isfinite(weights) & (weights >= 0))).sum())
    if bad and table.weight is not None:
        where = f"{table.where}, column {table.weight.name!r}"
        expected = "a weight of at least 0 in every row was expected"
        raise refused(where, expected, f"{bad} that are missing, negative or infinite")
    return weights
