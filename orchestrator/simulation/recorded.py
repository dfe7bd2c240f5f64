"""A run's own records as a table of curves: to be written down, or replayed under other options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from orchestrator.domains.space import without_companions
from orchestrator.errors import RecordError, explain
from orchestrator.records import RunRecords, TrialEnd, TrialRecord, check_searched
from orchestrator.simulation.between import Rows
from orchestrator.simulation.table import CONFIG, EPOCH, PARAMETERS, SECONDS, Curve, CurveTable


def curve_columns(records: RunRecords) -> dict[str, list[Any]]:
    """Return a run's curves as the columns of a table, one row a trial and epoch.

    Of the newest group alone, since others cannot be compared with it. A metric that is called as a hyperparameter
    (the learning rate in force) is left out, and so is the 1-β beside each β.
    """
    trials = _trials(records)
    names = dict.fromkeys(
        name for trial in trials for name in without_companions(trial.hyperparameters)
    )
    rows = [(trial, row) for trial in trials for row in records.of(trial.trial).own_epochs]
    metrics = dict.fromkeys(
        name for _, row in rows for name in row["metrics"] if name not in {*names, *_RESERVED}
    )
    columns: dict[str, list[Any]] = {CONFIG: [trial.trial for trial, _ in rows]}
    columns |= {name: [trial.hyperparameters.get(name) for trial, _ in rows] for name in names}
    columns[EPOCH] = [int(row["epoch"]) for _, row in rows]
    columns |= {name: [row["metrics"].get(name) for _, row in rows] for name in metrics}
    columns[SECONDS] = [float(row["seconds"]) for _, row in rows]
    columns[PARAMETERS] = [row.get("parameters") for _, row in rows]
    return columns


_RESERVED = (CONFIG, EPOCH, SECONDS, PARAMETERS)


def recorded_curves(records: RunRecords) -> CurveTable:
    """Return the curves of a run's trials; one that failed at once has none of an epoch."""
    return CurveTable(records.name, tuple(_curve(records, trial) for trial in _trials(records)))


def rows_of(records: RunRecords, table: CurveTable) -> Rows:
    """Return curves by which trial i of a run is trial i of its records wherever it is drawn so."""
    if records.space is None:
        expected = "expected a search space written out in the run's experiment.yaml"
        raise RecordError(explain(records.name, expected, records.experiment.get("search_space")))
    own = {curve.config: row for row, curve in enumerate(table.curves)}
    return Rows(table, records.space, own)


def most_at_once(records: RunRecords) -> int:
    """Return how many trials of a run trained at one time, at most: as many as were open, and no more than workers.

    Trials that a scheduler paused are open and have no worker; a worker that was lost and replaced counts twice.
    """
    live: set[str] = set()
    most = 1
    for line in records.trial_lines:
        if isinstance(line, TrialEnd):
            live.discard(line.trial)
        else:
            live.add(line.trial)
        most = max(most, len(live))
    workers = {trial.worker for trial in records.trials if trial.worker}
    return min(most, len(workers) or most)


def measured_costs(records: RunRecords) -> tuple[float, float]:
    """Return what it took to start a trial of a run, and to resume one: the medians of what is recorded, else 0."""
    begun = [row for row in records.epochs if row.get("start_seconds") is not None]
    starts = [float(row["start_seconds"] or 0) for row in begun if int(row["epoch"]) == 1]
    resumes = [float(row["start_seconds"] or 0) for row in begun if int(row["epoch"]) > 1]
    start = float(np.median(starts)) if starts else 0.0
    return start, float(np.median(resumes)) if resumes else start


def _trials(records: RunRecords) -> Sequence[TrialRecord]:
    """Return the trials of the newest group that are no branches, in the order of drawing."""
    check_searched(records, "trials are comparable curves")
    group = records.state.group
    found = [each for each in records.trials if each.group == group and not each.is_branch]
    if not any(records.of(trial.trial).own_epochs for trial in found):
        raise RecordError(explain(records.name, "expected at least one recorded epoch", "none"))
    return sorted(found, key=lambda trial: trial.index)


def _curve(records: RunRecords, trial: TrialRecord) -> Curve:
    rows = records.of(trial.trial).own_epochs
    names = dict.fromkeys([records.metric, *(name for row in rows for name in row["metrics"])])
    metrics = {
        name: np.array([_number(row["metrics"], name) for row in rows], dtype=float)
        for name in names
    }
    seconds = np.array([float(row["seconds"]) for row in rows], dtype=float)
    counted = [row["parameters"] for row in rows if row.get("parameters") is not None]
    return Curve(
        trial.trial,
        dict(trial.hyperparameters),
        metrics,
        seconds,
        int(counted[0]) if counted else None,
        _ending(trial),
    )


def _ending(trial: TrialRecord) -> Literal["diverged", "failed"] | None:
    """Return why no epoch could follow; None where another one is merely not recorded."""
    if trial.ending == "diverged":
        return "diverged"
    return "failed" if trial.ending == "failed" else None


def _number(metrics: Mapping[str, Any], name: str) -> float:
    value = metrics.get(name)
    return float("nan") if value is None else float(value)
