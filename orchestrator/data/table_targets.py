"""The first pass over a table: the label of every row, and its weight."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from orchestrator.data.labels import Labels, PlainLabels, find_classes, plain_labels
from orchestrator.data.refusal import refused
from orchestrator.data.table_columns import numbers, raw_labels
from orchestrator.data.table_file import TableFile
from orchestrator.data.table_fit import Batches
from orchestrator.data.table_kinds import Column

Weights: TypeAlias = npt.NDArray[np.float32]


def scan_targets(
    table: TableFile, batches: Batches
) -> tuple[Labels, npt.NDArray[np.int32], Weights | None]:
    """Return the classes, the class number of every row and its weight, if any.

    This is the first pass over a table; it keeps four bytes a row, or eight.
    """
    label = table.label
    if label is None:
        raise refused(table.where, "a label column was expected", "none")
    where = f"{table.where}, column {label.name!r}"
    known: dict[Any, int] = {}
    codes: list[npt.NDArray[np.int32]] = []
    weights: list[Weights] = []
    missing = 0
    for _, batch in batches:
        raw, absent = raw_labels(batch.column(label.name), label.kind)
        missing += absent
        plain = plain_labels(raw, where).values
        values, positions = np.unique(plain, return_inverse=True)
        numbered = [known.setdefault(value, len(known)) for value in values.tolist()]
        if table.weight is not None:
            weights.append(check_table_weights(weights_of(batch, table.weight), table))
        codes.append(np.array(numbered, dtype=np.int32)[positions])
    if missing:
        raise refused(where, "a label in every row was expected", f"{missing} that are missing")
    if not known:
        raise refused(where, "rows were expected", "none")
    labels = find_classes([PlainLabels(np.array(list(known)))], where)
    order = labels.codes(PlainLabels(np.array(list(known))))
    return labels, order[np.concatenate(codes)], np.concatenate(weights) if weights else None


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
