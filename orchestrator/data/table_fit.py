"""The two passes over a table: its labels, then what is fitted on the training rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.fingerprint import ContentHash
from orchestrator.data.labels import Labels, PlainLabels, describe, given_labels, of_task
from orchestrator.data.refusal import refused, several
from orchestrator.data.scaling import Moments
from orchestrator.data.table_columns import Encoder, numbers, raw_labels, texts
from orchestrator.data.table_file import TableFile
from orchestrator.data.trees import Array

MOST_TEXTS = 256

Batches = Iterable[tuple[int, Any]]


def scan_labels(table: TableFile, batches: Batches, task: str) -> tuple[Labels, Array]:
    """Return what the labels are and every row's as a number: the first pass, four or eight bytes a row."""
    where = f"{table.where}, column {table.label.name!r}"
    known: dict[Any, int] = {}
    read: list[Array] = []
    missing = 0
    for _, batch in batches:
        raw, absent = raw_labels(batch.column(table.label.name), table.label.kind)
        missing += absent
        if raw.dtype.kind not in "bU":
            read.append(raw)
            continue
        values, positions = np.unique(raw, return_inverse=True)
        numbered = [known.setdefault(value, len(known)) for value in values.tolist()]
        read.append(np.array(numbered, dtype=np.int32)[positions])
    if missing:
        raise refused(where, "a label in every row was expected", f"{missing} that are missing")
    whole = np.concatenate(read) if read else np.zeros(0)
    if not len(whole):
        raise refused(where, "rows were expected", "none")
    if not known:
        given = given_labels(whole, where)
        labels = of_task(describe([given], where), {"train": given}, task, where)
        return labels, labels.numbers(given)
    names = np.array(list(known))
    labels = of_task(describe([names[whole[:1]], names], where), {"train": names}, task, where)
    return labels, labels.codes(PlainLabels(names))[whole]


class TableFit:
    """What the second pass over a table collects, batch after batch."""

    def __init__(self, table: TableFile) -> None:
        self._table = table
        self._numeric = [column.name for column in table.columns if column.kind != "text"]
        self._textual = [column.name for column in table.columns if column.kind == "text"]
        self._moments: Moments | None = None
        self._texts: dict[str, Counter[str]] = {name: Counter() for name in self._textual}
        self._missing: Counter[str] = Counter()
        self._infinite: Counter[str] = Counter()
        self._content = ContentHash()

    def add(self, batch: Any, codes: Array, training: npt.NDArray[np.bool_]) -> None:
        """Take in a batch, the labels of its rows as numbers and which of them are for training."""
        self._content.add("y", codes)
        if self._numeric:
            self._add_numbers(batch, training)
        for name in self._textual:
            values = texts(batch.column(name))
            self._missing[name] += int((values == "").sum())
            self._content.add(f"x/{name}", values)
            self._texts[name].update(values[training].tolist())
            if len(self._texts[name]) > MOST_TEXTS:
                expected = f"at most {MOST_TEXTS} different texts in a feature were expected"
                received = f"more in column {name!r} (an identifier? leave it out of the file)"
                raise refused(self._table.where, expected, received)

    def check(self) -> None:
        """Return when no value was missing or infinite; DataError names columns and counts."""
        for counts, expected in (
            (self._missing, "a value in every row was expected"),
            (self._infinite, "finite numbers were expected"),
        ):
            found = [f"{count} in column {name!r}" for name, count in counts.items() if count]
            what = "missing" if counts is self._missing else "infinite"
            if found:
                raise refused(self._table.where, expected, f"{what}: {several(found)}")

    def encoder(self) -> Encoder:
        """Return how columns become features, text by the categories of the training rows."""
        categories = {name: tuple(sorted(self._texts[name])) for name in self._textual}
        return Encoder(self._table.columns, categories)

    def moments(self) -> Moments:
        """Return the moments of the encoded training rows, without having encoded them."""
        pieces: list[Moments] = []
        for column in self._table.columns:
            if column.kind == "text":
                pieces.append(_of_categories(self._texts[column.name]))
            elif self._moments is not None:
                pieces.append(_entry(self._moments, self._numeric.index(column.name)))
        fields = ("mean", "squares", "low", "high")
        return Moments(
            pieces[0].count,
            *(np.concatenate([getattr(piece, field) for piece in pieces]) for field in fields),
        )

    def digest(self, labels: Labels) -> str:
        """Return the fingerprint of the table's content, the same streamed or in memory."""
        return self._content.digest(labels.classes)

    def _add_numbers(self, batch: Any, training: npt.NDArray[np.bool_]) -> None:
        matrix = np.empty((batch.num_rows, len(self._numeric)))
        for place, name in enumerate(self._numeric):
            matrix[:, place] = numbers(batch.column(name))
            self._content.add(f"x/{name}", matrix[:, place])
        with np.errstate(over="ignore"):
            narrow = matrix.astype(np.float32)
        for place, name in enumerate(self._numeric):
            self._missing[name] += int(np.isnan(narrow[:, place]).sum())
            self._infinite[name] += int(np.isinf(narrow[:, place]).sum())
        rows = matrix[training]
        usable = not self._missing.total() and not self._infinite.total()
        if len(rows) and usable:  # otherwise ``check`` refuses the table
            self._moments = self._moments.plus(rows) if self._moments else Moments.of(rows)


def _of_categories(counts: Counter[str]) -> Moments:
    """Return the moments of one-hot columns from how often each text occurs."""
    ones = np.array([counts[text] for text in sorted(counts)], dtype=np.float64)
    total = int(ones.sum())
    share = ones / total
    return Moments(total, share, total * share * (1 - share), (ones == total) * 1.0, ones * 0 + 1)


def _entry(moments: Moments, place: int) -> Moments:
    one = slice(place, place + 1)
    return Moments(
        moments.count,
        moments.mean[one],
        moments.squares[one],
        moments.low[one],
        moments.high[one],
    )
