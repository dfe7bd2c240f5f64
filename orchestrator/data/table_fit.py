"""The second pass over a table: what is learnt of the training rows, and what stands for each column's gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from orchestrator.data.labels import Labels
from orchestrator.data.messages import refused, several
from orchestrator.data.scaling import ColumnMoments, Moments
from orchestrator.data.table_columns import ColumnRecipe, TableRecipe, numbers, texts
from orchestrator.data.table_file import TableFile
from orchestrator.data.table_kinds import Column
from orchestrator.data.trees import Array, ContentHash
from orchestrator.errors import DataError

MOST_BYTES = 2**30
MOST_TEXTS = 256
Batches = Iterable[tuple[int, Any]]


class Fills:
    """Collects training values, and gives what fills a column's gaps by ``how``.

    The median and the most frequent value need all values of a column: eight bytes each, at most
    ``MOST_BYTES`` together. They are collected of true/false, and of numbers that have gaps: other
    numbers get no such fill.
    """

    def __init__(self, how: str, where: str) -> None:
        self.how = how
        self._where = where
        self._values: dict[str, list[Array]] = {}
        self._bytes = 0

    def wanted(self, columns: Sequence[Column], missing: Counter[str]) -> list[str]:
        """Return the columns whose values are to be collected, once all gaps are counted."""
        if self.how == "refuse":
            return []
        numbers = self.how != "mean"
        return [
            column.name
            for column in columns
            if column.kind == "flag" or (numbers and column.kind != "text" and missing[column.name])
        ]

    def add(self, name: str, values: Array) -> None:
        """Take in training values of a column, NaN where one is missing."""
        self._values.setdefault(name, []).append(values[~np.isnan(values)])
        self._bytes += values.nbytes
        if self._bytes > MOST_BYTES:
            expected = f"columns with gaps of at most {MOST_BYTES >> 20} MiB were expected"
            hint = "Write data.missing: mean, which needs no memory."
            raise refused(self._where, expected, f"data.missing: {self.how}", hint)

    def number(self, column: Column, mean: float) -> float | None:
        """Return what fills a column of numbers or true/false; None where nothing does."""
        if self.how == "mean" and column.kind != "flag":
            if np.isnan(mean):
                raise self._nothing_there(column.name)
            return mean
        if column.name not in self._values:
            return None
        values = np.concatenate(self._values[column.name])
        if not len(values):
            raise self._nothing_there(column.name)
        if column.kind == "flag" or self.how == "most_frequent":
            different, counts = np.unique(values, return_counts=True)
            return float(different[counts.argmax()])
        return float(np.median(values))

    def text(self, column: Column, there: Mapping[str, int]) -> str | None:
        """Return the most frequent text, of equally frequent ones the first by alphabet."""
        if self.how == "refuse":
            return None
        if not there:
            raise self._nothing_there(column.name)
        return min(there, key=lambda text: (-there[text], text))

    def notes(self, columns: Sequence[ColumnRecipe], missing: Counter[str]) -> list[str]:
        """Return a sentence about what was filled with what."""
        filled = [
            f"{missing[column.name]} in column {column.name!r} with {_shown(column.fill)}"
            for column in columns
            if missing[column.name]
        ]
        return [f"gaps were filled by data.missing: {several(filled)}"] if filled else []

    def _nothing_there(self, name: str) -> DataError:
        expected = f"a value to fill gaps with was expected in column {name!r}"
        hint = f"Leave it out with data.drop: [{name}]."
        return refused(self._where, expected, "no value in any training row", hint)


def _shown(fill: float | str | None) -> str:
    return repr(fill) if isinstance(fill, str) else f"{fill or 0:g}"


class TableFit:
    """What the second pass over a table collects, batch after batch.

    ``missing`` is how gaps are filled: refuse, mean, median or most_frequent.
    """

    def __init__(self, table: TableFile, missing: str) -> None:
        self._table = table
        self._numeric = [column.name for column in table.columns if column.kind != "text"]
        self._textual = [column.name for column in table.columns if column.kind == "text"]
        self._moments = ColumnMoments(len(self._numeric))
        self._texts: dict[str, Counter[str]] = {name: Counter() for name in self._textual}
        self._missing: Counter[str] = Counter()
        self._infinite: Counter[str] = Counter()
        self._fills = Fills(missing, table.where)
        self._trained = 0
        self._content = ContentHash()

    def add(self, batch: Any, codes: Array, training: npt.NDArray[np.bool_]) -> None:
        """Take in a batch, the class numbers of its rows and which of them are for training."""
        self._content.add("y", codes)
        self._trained += int(training.sum())
        if self._numeric:
            self._add_numbers(batch, training)
        for name in self._textual:
            values = texts(batch.column(name))
            self._missing[name] += int((values == "").sum())
            self._content.add(f"x/{name}", values)
            self._texts[name].update(values[training].tolist())
            if len(self._texts[name]) > MOST_TEXTS:
                raise self._too_many(name)

    def add_division(self, numbers: Array) -> None:
        """Have the fingerprint tell how rows are divided along groups or times, or into folds."""
        self._content.add("division", numbers)

    def check(self) -> list[str]:
        """Return the columns of which ``collect`` is to be called: their fill needs all values.

        DataError where a value is infinite, or missing and not to be filled, by column and count.
        """
        self._check_counts()
        return self._fills.wanted(self._table.columns, self._missing)

    def collect(self, batch: Any, training: npt.NDArray[np.bool_]) -> None:
        """Take in once more the batches, for the columns that ``check`` named."""
        for name in self._fills.wanted(self._table.columns, self._missing):
            self._fills.add(name, numbers(batch.column(name))[training])

    def recipe(self) -> TableRecipe:
        """Return how columns become features, by the training rows alone."""
        means = dict(zip(self._numeric, self._moments.means.tolist(), strict=True))
        columns = tuple(
            self._learnt(column, means.get(column.name, 0.0)) for column in self._table.columns
        )
        weight = self._table.weight
        return TableRecipe(
            columns,
            self._table.label.name if self._table.label else None,
            weight.name if weight else None,
            self._fills.how,
            (*self._fills.notes(columns, self._missing), *self._noticed(columns)),
        )

    def moments(self, recipe: TableRecipe) -> Moments:
        """Return the moments of the encoded training rows, without having encoded them."""
        fills = {column.name: column.fill for column in recipe.columns}
        given = np.array([float(fills[name] or 0) for name in self._numeric])
        numeric = self._moments.filled(given, self._trained)
        places = {name: place for place, name in enumerate(self._numeric)}
        pieces: list[tuple[Array, ...]] = []
        for column in recipe.columns:
            if column.kind == "text":
                pieces.append(_of_categories(column, self._texts[column.name], self._trained))
            else:
                place = slice(places[column.name], places[column.name] + 1)
                pieces.append(tuple(values[place] for values in numeric))
        return Moments(self._trained, *(np.concatenate(one) for one in zip(*pieces, strict=True)))

    def digest(self, labels: Labels) -> str:
        """Return the fingerprint of the table's content, the same streamed or in memory."""
        return self._content.digest(labels.classes)

    def _learnt(self, column: Column, mean: float) -> ColumnRecipe:
        if column.kind != "text":
            kind: Literal["flag", "number"] = "flag" if column.kind == "flag" else "number"
            fill = self._fills.number(column, mean)
            return ColumnRecipe(column.name, kind, fill, decimal=column.decimal, gaps=column.gaps)
        counts = self._texts[column.name]
        there = Counter({text: count for text, count in counts.items() if text})
        text = self._fills.text(column, there)
        return ColumnRecipe(column.name, "text", text, tuple(sorted(there)))

    def _check_counts(self) -> None:
        """Return when no value was infinite, or missing and not to be filled."""
        refusing = self._fills.how == "refuse"
        for counts, expected, what in (
            (self._missing, "a value in every row was expected", "missing"),
            (self._infinite, "finite numbers were expected", "infinite"),
        ):
            found = [
                f"{count} in column {name!r}{self._written(name) if what == 'missing' else ''}"
                for name, count in counts.items()
                if count
            ]
            if found and (what == "infinite" or refusing):
                hint = FILL_GAPS if what == "missing" else ""
                raise refused(self._table.where, expected, f"{what}: {several(found)}", hint)

    def _written(self, name: str) -> str:
        """Return in parentheses how a column's gaps are written, where they are not empty."""
        gaps = next(column.gaps for column in self._table.columns if column.name == name)
        return f" ({several([repr(text) for text in gaps], 3)})" if gaps else ""

    def _too_many(self, name: str) -> Exception:
        expected = f"at most {MOST_TEXTS} different texts in a feature were expected"
        received = f"more in column {name!r} (an identifier?)"
        hint = f"Leave it out with data.drop: [{name}]."
        return refused(self._table.where, expected, received, hint)

    def _noticed(self, columns: tuple[ColumnRecipe, ...]) -> list[str]:
        """Return a sentence for each column of texts that differ in nearly all rows."""
        return [
            f"column {column.name!r} has {len(column.categories)} different texts in"
            f" {self._trained} training rows: an identifier is left out with data.drop:"
            f" [{column.name}]"
            for column in columns
            if self._trained >= 20 and len(column.categories) > 0.9 * self._trained
        ]

    def _add_numbers(self, batch: Any, training: npt.NDArray[np.bool_]) -> None:
        matrix = np.empty((len(self._numeric), batch.num_rows))
        for place, name in enumerate(self._numeric):
            matrix[place] = numbers(batch.column(name))
            self._content.add(f"x/{name}", matrix[place])
        with np.errstate(over="ignore"):
            infinite = np.isinf(matrix.astype(np.float32)).sum(axis=1)
        missing = np.isnan(matrix).sum(axis=1)
        for counts, found in ((self._missing, missing), (self._infinite, infinite)):
            for place in np.flatnonzero(found).tolist():
                counts[self._numeric[place]] += int(found[place])
        rows = np.ascontiguousarray(matrix.T[training])
        if not infinite.any():  # otherwise the table is refused
            self._moments.add(rows)


FILL_GAPS = (
    "Write data.missing: median (or mean, most_frequent) to fill gaps from the training rows, or"
    " leave a column out with data.drop."
)


def _of_categories(column: ColumnRecipe, counts: Counter[str], total: int) -> tuple[Array, ...]:
    """Return the moments of one-hot columns from how often each text occurs."""
    ones = np.array([counts[text] for text in column.categories], dtype=np.float64)
    if isinstance(column.fill, str):
        ones[column.categories.index(column.fill)] += counts[""]
    share = ones / total
    return share, total * share * (1 - share), (ones == total) * 1.0, (ones > 0) * 1.0
