"""Trials as people look at them: the rows and columns they asked for, curves in the table, one trial with its chart."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.config.metrics import direction_of
from orchestrator.errors import UnknownNameError, explain
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.report.chart import BESIDE, Line, chart, sparkline
from orchestrator.report.columns import hyperparameter_columns
from orchestrator.report.curve import finite
from orchestrator.report.formatting import assignments, cell, clock, number, printable

if TYPE_CHECKING:
    import pandas as pd

CURVE = "curve"
"""The column of curves, which tables for people have and those for programs have not."""
_CURVE_WIDTH = 10
_OF_ALL = ("parameters", "path", "attempts")
"""Columns that say nothing of a trial where they say the same of all, as hyperparameters do."""
_CHART_ROWS = 12


@dataclass(frozen=True)
class Pick:
    """Which rows and columns of a run's table are wanted: all of them where nothing is said.

    ``sort`` is a column's name, ``-`` before it turns the order; ``columns`` are shown in that order.
    """

    top: int | None = None
    sort: str | None = None
    columns: tuple[str, ...] = ()


def picked(records: RunRecords, frame: pd.DataFrame, pick: Pick) -> pd.DataFrame:
    """Return the rows and columns of a run's table that were asked for.

    Besides the table's own columns there is one for each recorded metric: its value in the trial's best epoch, or in
    the last one where none is the best. Sorted by a metric the best come first, by anything else the smallest; those
    without a value last. Raises UnknownNameError for a column that is not there.
    """
    attrs = dict(frame.attrs)
    plain = (pick.sort or "").removeprefix("-")
    for name in dict.fromkeys((*pick.columns, *((plain,) if plain else ()))):
        if name not in frame.columns and name != CURVE:
            frame = frame.assign(**{name: _metric_column(records, frame, name)})
    if plain:
        frame = _sorted(records, frame, plain, pick.sort != plain)
    frame = frame if pick.top is None else frame.head(pick.top)
    if pick.columns:
        kept = dict.fromkeys(name for name in pick.columns if name != CURVE)
        frame = frame[
            [*kept, *(("trial",) if CURVE in pick.columns and "trial" not in kept else ())]
        ]
        attrs = {"importance": list(pick.columns)}
    frame = frame.reset_index(drop=True)
    frame.attrs = attrs
    return frame


def _metric_column(records: RunRecords, frame: pd.DataFrame, name: str) -> list[Any]:
    known = dict.fromkeys(metric for row in records.epochs for metric in row["metrics"])
    if name not in known:
        columns = [*map(str, frame.columns), *known, CURVE]
        raise UnknownNameError(
            explain("column", "a column of the table, or a metric", name, columns)
        )
    return [_at_best(records, trial).get(name) for trial in frame["trial"]]


def _at_best(records: RunRecords, trial: str) -> Mapping[str, Any]:
    recorded = records.of(trial)
    rows, best = recorded.epochs, recorded.best
    at = [row for row in rows if best and row["epoch"] == best.epoch] or rows[-1:]
    return at[-1]["metrics"] if at else {}


def _sorted(records: RunRecords, frame: pd.DataFrame, column: str, turned: bool) -> pd.DataFrame:
    if column == CURVE:
        expected = "a column whose values can be sorted"
        raise UnknownNameError(explain("--sort", expected, column, list(map(str, frame.columns))))
    metric = column
    for before in ("best_", "last_", "mean_"):
        metric = metric.removeprefix(before)
    mode = records.mode if metric == records.metric else direction_of(metric)
    largest_first = (mode == "max") != turned
    values = frame[column]
    try:
        return frame.sort_values(
            column, ascending=not largest_first, na_position="last", kind="stable"
        )
    except TypeError:  # 64 and "none" in one column
        order = values.map(cell).sort_values(ascending=not largest_first, kind="stable").index
        return frame.loc[order]


def for_people(
    records: RunRecords, frame: pd.DataFrame, columns: Sequence[str] = ()
) -> pd.DataFrame:
    """Return a run's table with each trial's curve in it, and without columns that are the same in all of the run.

    Those stand in ``attrs["same"]``, a sentence. Where ``columns`` were asked for they alone are shown.
    """
    if columns:
        return _with_curve(records, frame, list(columns)) if CURVE in columns else frame
    same = _same_in_all(records)
    attrs = {**frame.attrs, "same": ", ".join(f"{name} {value}" for name, value in same.items())}
    names = [str(name) for name in frame.columns if name not in same]
    best = f"best_{records.metric}"
    if best in names:
        names.insert(names.index(best) + 1, CURVE)
        importance = [name for name in attrs.get("importance", []) if name != CURVE]
        place = importance.index(best) + 1 if best in importance else 0
        attrs["importance"] = [*importance[:place], CURVE, *importance[place:]]
    frame = _with_curve(records, frame, names)
    frame.attrs = attrs
    return frame


def _with_curve(records: RunRecords, frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    low, high = _range_of_most(records)
    curves = (_values(records.of(trial).epochs, records.metric) for trial in frame["trial"])
    drawn = [sparkline(values, low, high, _CURVE_WIDTH) for values in curves]
    attrs = frame.attrs
    frame = frame.assign(**{CURVE: drawn})[names]
    frame.attrs = attrs
    return frame


def _values(rows: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Return a metric of rows of ``epochs.jsonl``; NaN where it is missing or not finite."""
    found = (finite(row["metrics"].get(metric)) for row in rows)
    return [math.nan if value is None else value for value in found]


def _range_of_most(records: RunRecords) -> tuple[float, float]:
    """Return the range of a run's values but the worst twentieth: a diverging trial would flatten the others."""
    values = sorted(v for v in _values(records.epochs, records.metric) if math.isfinite(v))
    if not values:
        return 0.0, 0.0
    cut = len(values) // 20
    return (values[cut], values[-1]) if records.mode == "max" else (values[0], values[-1 - cut])


def _same_in_all(records: RunRecords) -> dict[str, str]:
    """Return the columns that say the same of every trial of a run that has several, with what they say."""
    trials = [trial for trial in records.trials if trial.group == records.state.group]
    if len(records.trials) < 2 or len(trials) < len(records.trials):
        return {}
    found = {
        column: {cell(trial.hyperparameters.get(_key(column))) for trial in trials}
        for column, _ in hyperparameter_columns(records)
    }
    ended = [trial for trial in trials if trial.is_over]
    found |= {name: {cell(getattr(trial, name)) for trial in ended} for name in _OF_ALL}
    return {
        name: printable(only)
        for name, values in found.items()
        for only in values
        if only and len(values) == 1
    }


def _key(column: str) -> str:
    plain = column.removeprefix("hyperparameter_")
    return f"one_minus_{plain.removeprefix('1-')}" if plain.startswith("1-") else plain


def trial_lines(records: RunRecords, trial: TrialRecord, width: int = 80) -> list[str]:
    """Return one trial: how it ended, its best epoch, its hyperparameters, and its curve drawn with both axes.

    Raises nothing for a trial without an epoch: it has no curve.
    """
    recorded = records.of(trial.trial)
    took = f" in {clock(trial.seconds)}" if trial.seconds is not None else ""
    count = len(recorded.epochs)
    epochs = "1 epoch" if count == 1 else f"{count} epochs"
    lines = [f"{records.name}/{trial.trial}: {trial.status}, {epochs}{took}"]
    best = recorded.best
    if best is not None:
        place = [each.trial for each in records.contenders].index(trial.trial) + 1
        rank = f"{place} of {len(records.contenders)}" if trial.repeats is None else "a replicate"
        lines.append(f"  best {records.metric}: {number(best.value)}, epoch {best.epoch} ({rank})")
    if trial.error:
        file = f" ({records.folder.path / trial.error_file})" if trial.error_file else ""
        lines += _wrapped(f"{trial.failure or 'failed'}: {printable(trial.error)}{file}", width)
    lines += _wrapped(f"hyperparameters: {assignments(trial.hyperparameters) or 'defaults'}", width)
    rows = recorded.epochs
    drawn = chart_lines(rows, records.metric, width, _CHART_ROWS) if count > 1 else []
    return [*lines, "", *drawn] if drawn else lines


def chart_lines(
    rows: Sequence[Mapping[str, Any]], metric: str, width: int, height: int
) -> list[str]:
    """Return a metric over epochs, and the training rows' beside it where they have one, with a legend above."""
    main, beside = line_of(rows, metric), line_of(rows, trained_on(metric))
    drawn = chart(main, beside, width, height)
    if not drawn:
        return []
    legend = f"⣀⡠⠊ {printable(metric)}"
    if beside.values:
        legend += f"   {BESIDE * 3} {printable(trained_on(metric))}"
    return [legend, *drawn]


def trained_on(metric: str) -> str:
    """Return the name of a validation metric on the training rows; that of nothing where it has no such name."""
    return metric.removeprefix("val_") if metric.startswith("val_") else ""


def line_of(rows: Iterable[Mapping[str, Any]], metric: str) -> Line:
    """Return a metric of rows of ``epochs.jsonl`` over epochs, where they have it."""
    had = [(int(row["epoch"]), row["metrics"][metric]) for row in rows if metric in row["metrics"]]
    values = [math.nan if value is None else float(value) for _, value in had]
    return Line(metric, [epoch for epoch, _ in had], values)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )
