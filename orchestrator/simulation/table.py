"""A table of learning curves: one row a configuration and epoch, from CSV or Parquet of any origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Real
from pathlib import Path
from typing import Any, Literal

import numpy as np

from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.space import companion
from orchestrator.errors import DataError, UnknownNameError, explain, near_miss
from orchestrator.records import Mode

CONFIG, EPOCH, SECONDS, PARAMETERS = "config", "epoch", "seconds", "parameters"
ENDINGS = (".csv", ".parquet")
_SHOWN = 3
"""How many configurations a message names."""


@dataclass(frozen=True)
class Curve:
    """One configuration's epochs: the metrics and the seconds of each, the first being epoch 1.

    ``ending`` is diverged or failed where no epoch could follow. Where it is None and a trial is longer, what would
    have come is not known.
    """

    config: str
    hyperparameters: Mapping[str, Any]
    metrics: Mapping[str, np.ndarray]
    seconds: np.ndarray
    parameters: int | None = None
    ending: Literal["diverged", "failed"] | None = None

    @property
    def epochs(self) -> int:
        """How many epochs are known."""
        return len(self.seconds)

    def row(self, trial: str, epoch: int) -> dict[str, Any]:
        """Return an epoch as a line of ``epochs.jsonl`` has it."""
        row: dict[str, Any] = {
            "trial": trial,
            "epoch": epoch,
            "metrics": {name: float(values[epoch - 1]) for name, values in self.metrics.items()},
            "seconds": float(self.seconds[epoch - 1]),
        }
        return row if self.parameters is None else row | {"parameters": self.parameters}

    def best(self, metric: str, mode: Mode, epochs: int) -> float | None:
        """Return the best finite value of the first ``epochs`` epochs; None where there is none."""
        values = self.metrics[metric][:epochs]
        finite = values[np.isfinite(values)]
        if not len(finite):
            return None
        return float(finite.max() if mode == "max" else finite.min())


@dataclass(frozen=True)
class CurveTable:
    """Curves of configurations of one space; ``name`` says where they come from."""

    name: str
    curves: tuple[Curve, ...]

    def __len__(self) -> int:
        return len(self.curves)

    @cached_property
    def longest(self) -> int:
        """The epochs of the longest curve."""
        return max(curve.epochs for curve in self.curves)

    def bests(self, metric: str, mode: Mode, epochs: int) -> np.ndarray:
        """Return the best value of each configuration, the best first; without those that have none."""
        found = [curve.best(metric, mode, epochs) for curve in self.curves]
        ascending = np.sort(np.array([value for value in found if value is not None], dtype=float))
        return ascending[::-1] if mode == "max" else ascending

    def target(self, share: float, metric: str, mode: Mode, epochs: int) -> float:
        """Return the value that the best ``1 - share`` of all configurations reach, and no others.

        >>> curve = Curve("a", {}, {"loss": np.array([2.0, 1.0])}, np.ones(2))
        >>> CurveTable("one", (curve,)).target(0.99, "loss", "min", 2)
        1.0
        """
        bests = self.bests(metric, mode, epochs)
        if not len(bests):
            raise DataError(explain(self.name, f"expected a finite {metric}", "none"))
        within = max(1, int(np.floor((1 - share) * len(self) + 1e-9)))
        return float(bests[min(within, len(bests)) - 1])

    def check_epochs(self, epochs: int) -> None:
        """Raise DataError where a curve is neither ``epochs`` long nor diverges before."""
        short = [each for each in self.curves if each.epochs < epochs and each.ending is None]
        if short:
            named = ", ".join(f"{curve.config} ({curve.epochs})" for curve in short[:_SHOWN])
            expected = f"expected {epochs} epochs of each configuration, as the experiment trains"
            raise DataError(
                explain(self.name, expected, f"fewer for {len(short)} of {len(self)}: {named}")
            )


def read_columns(path: str | Path) -> dict[str, list[Any]]:
    """Return the columns of a CSV or Parquet file. Raises DataError where it is none."""
    file = Path(path)
    if file.suffix.lower() not in ENDINGS:
        raise DataError(
            explain("--table", f"expected a file that ends in {' or '.join(ENDINGS)}", str(path))
        )
    if not file.is_file():
        raise UnknownNameError(explain("--table", "expected a file", str(path)))
    import pyarrow as pa

    try:
        return _columns(file)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(explain(str(path), f"expected {file.suffix[1:].upper()}", reason)) from None


def _columns(file: Path) -> dict[str, list[Any]]:
    if file.suffix.lower() == ".csv":
        import pyarrow.csv as arrow_csv

        return dict(arrow_csv.read_csv(file).to_pydict())
    import pyarrow.parquet as pq

    return dict(pq.read_table(file).to_pydict())


def curves_of(
    columns: Mapping[str, Sequence[Any]], name: str, space: Space, metric: str
) -> CurveTable:
    """Return the curves in a table's columns; what is neither hyperparameter nor metric is left out."""
    needed = [each for each, domain in space.domains.items() if not isinstance(domain, Fixed)]
    for column in (*needed, EPOCH, SECONDS, metric):
        if column not in columns and column != SECONDS:
            near = near_miss(column, columns)
            raise DataError(
                f"{name}: expected a column {column!r}. Received: {', '.join(columns)}.{near}"
            )
    rows: dict[str, list[int]] = {}
    for number, config in enumerate(_configs(columns, needed)):
        rows.setdefault(config, []).append(number)
    if not rows:
        raise DataError(explain(name, "expected at least one row", "none"))
    numbers = _metrics(columns, space, name, metric)
    reader = _Reader(name, columns, space, numbers, metric)
    return CurveTable(name, tuple(reader.curve(config, rows[config]) for config in rows))


def _configs(columns: Mapping[str, Sequence[Any]], needed: Sequence[str]) -> Iterable[str]:
    """Return each row's configuration: what its column says, or its hyperparameters."""
    if CONFIG in columns:
        return map(str, columns[CONFIG])
    return map(str, zip(*(columns[name] for name in needed), strict=True))


def _metrics(
    columns: Mapping[str, Sequence[Any]], space: Space, name: str, metric: str
) -> dict[str, np.ndarray]:
    """Return the columns of numbers that are nothing else."""
    taken = {CONFIG, EPOCH, SECONDS, PARAMETERS, *space.domains, *map(companion, space.domains)}
    taken |= {f"1-{each}" for each in space.domains}  # as our own tables call 1-β
    found = {}
    for column, values in columns.items():
        if column in taken and column != metric:
            continue
        if all(value is None or _is_number(value) for value in values):
            found[column] = np.array(
                [np.nan if value is None else value for value in values], dtype=float
            )
    if metric not in found:
        received = next(value for value in columns[metric] if not _is_number(value))
        raise DataError(explain(f"{name}, {metric}", "expected numbers", received))
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


@dataclass(frozen=True)
class _Reader:
    """Reads one configuration after another."""

    name: str
    columns: Mapping[str, Sequence[Any]]
    space: Space
    metrics: Mapping[str, np.ndarray]
    metric: str

    def curve(self, config: str, rows: list[int]) -> Curve:
        """Return the curve in these rows, in whatever order they stand."""
        where = f"{self.name}, config {config}"
        ordered = sorted(rows, key=lambda row: self._epoch(where, row))
        epochs = [self.columns[EPOCH][row] for row in ordered]
        wanted = list(range(1, len(ordered) + 1))
        if epochs != wanted:
            odd = next(got for got, due in zip(epochs, wanted, strict=True) if got != due)
            expected = f"expected each epoch from 1 to {max(epochs)} once"
            raise DataError(
                explain(where, expected, f"epoch {odd} as number {epochs.index(odd) + 1}")
            )
        metrics = {name: values[ordered] for name, values in self.metrics.items()}
        judged = [
            metrics[name][-1] for name in (self.metric, "loss", "val_loss") if name in metrics
        ]
        return Curve(
            config,
            self._hyperparameters(where, ordered),
            metrics,
            self._seconds(where, ordered),
            self._parameters(ordered[0]),
            None if np.isfinite(judged).all() else "diverged",
        )

    def _epoch(self, where: str, row: int) -> int:
        epoch = self.columns[EPOCH][row]
        if not _is_number(epoch) or epoch != int(epoch) or epoch < 1:
            raise DataError(explain(f"{where}, epoch", "expected a whole number from 1 on", epoch))
        return int(epoch)

    def _seconds(self, where: str, rows: list[int]) -> np.ndarray:
        if SECONDS not in self.columns:
            return np.ones(len(rows))
        values = [self.columns[SECONDS][row] for row in rows]
        for value in values:
            if not _is_number(value) or not np.isfinite(value) or value < 0:
                raise DataError(
                    explain(f"{where}, seconds", "expected a number of at least 0", value)
                )
        return np.array(values, dtype=float)

    def _parameters(self, row: int) -> int | None:
        value = self.columns[PARAMETERS][row] if PARAMETERS in self.columns else None
        known = _is_number(value) and np.isfinite(float(value or 0))
        return int(value or 0) if known else None

    def _hyperparameters(self, where: str, rows: list[int]) -> dict[str, Any]:
        """Return a configuration's values as the space has them, 1-β beside each β; absent ones left out."""
        given: dict[str, Any] = {}
        for name, domain in self.space.domains.items():
            if name not in self.columns:
                given[name] = domain.from_unit(0.5)  # a fixed value: no column is needed
                continue
            written = self.columns[name][rows[0]]
            if any(self.columns[name][row] != written for row in rows[1:]):
                raise DataError(explain(f"{where}, {name}", "expected one value", "several"))
            if written is None and domain.when:
                continue
            given[name] = as_of(domain, written)
            if not domain.contains(given[name]):
                raise DataError(
                    explain(f"{where}, {name}", f"expected a value of {domain}", written)
                )
        broken = self.space.broken_by(given)
        if broken is not None:
            raise DataError(explain(f"{where}, constraints", f"expected {broken.text}", given))
        whole = self.space.draw(0, 0, given)
        absent = [name for name in self.space.domains if name in whole and name not in given]
        if absent:
            raise DataError(explain(f"{where}, {absent[0]}", "expected a value", None))
        return whole


def as_of(domain: Any, written: Any) -> Any:
    """Return a value as its domain has it, where a file made a 32.0 of a 32, or a text of a number or a flag."""
    if isinstance(domain, Choice):
        for value in domain.values:
            if value == written and isinstance(value, bool) == isinstance(written, bool):
                return value
        texts = {str(value).lower(): value for value in domain.values}
        return texts.get(str(written).lower(), written)
    if isinstance(domain, Fixed):
        return domain.value if str(domain.value) == str(written) else written
    if isinstance(written, float) and written.is_integer() and domain.contains(int(written)):
        return int(written) if isinstance(domain.from_unit(0.5), int) else written
    return written
