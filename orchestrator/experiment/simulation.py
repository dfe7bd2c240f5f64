"""An experiment simulated on recorded learning curves, and a run's records replayed under other options."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from orchestrator.catalog import space_of
from orchestrator.config import Experiment, parse_experiment
from orchestrator.errors import DataError, ExperimentFileError, explain
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.experiment.prepared import read_experiment
from orchestrator.experiment.run import Run, open_run
from orchestrator.records import RunRecords, read_run
from orchestrator.records.run import sources_of
from orchestrator.schedulers import PbtOptions
from orchestrator.search import Plan, make_plan
from orchestrator.simulation import (
    Between,
    Costs,
    CurveTable,
    Simulated,
    Simulator,
    Summary,
    curves_of,
    measured_costs,
    most_at_once,
    read_columns,
    recorded_curves,
    rows_of,
    simulate_seeds,
)

BETWEEN: tuple[Between, ...] = ("rows", "interpolate")
SEEDS = 20
AUTO = ("val_accuracy", "val_loss")
"""What ``metric: auto`` is, in this order: the first that a table has."""


@dataclass(frozen=True)
class SimulationOptions:
    """What a simulation assumes beside the table; the costs are seconds."""

    workers: int = 1
    start_cost: float = 0.0
    resume_cost: float = 0.0
    seeds: int = SEEDS
    between: Between = "rows"

    def __post_init__(self) -> None:
        for name in ("workers", "seeds"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise ExperimentFileError(explain(name, "expected a whole number from 1 on", count))
        for name in ("start_cost", "resume_cost"):
            cost = getattr(self, name)
            if not isinstance(cost, int | float) or not 0 <= cost < math.inf:
                raise ExperimentFileError(explain(name, "expected seconds, at least 0", cost))
        if self.between not in BETWEEN:
            raise ExperimentFileError(
                explain("between", "expected how to get a curve", self.between, BETWEEN)
            )

    @property
    def costs(self) -> Costs:
        """Return them as the simulator has them."""
        return Costs(self.workers, self.start_cost, self.resume_cost)


@dataclass(frozen=True)
class Simulation:
    """An experiment, its plan, and what simulated runs of it came to."""

    experiment: Experiment
    plan: Plan
    summary: Summary

    def __repr__(self) -> str:
        """Return in a line what was simulated, and in others how soon it came to what."""
        summary = self.summary
        runs = f"{len(summary.runs)} run{'s' * (len(summary.runs) != 1)}"
        said = [f"Simulation of {self.experiment.name} on {summary.table.name}: {runs}"]
        said += [
            f"{100 * each.share:g}th percentile ({each.value:g}) in {each.reached} of {each.runs}"
            for each in summary.targets()
        ]
        return "\n  ".join(said)

    @property
    def runs(self) -> tuple[Simulated, ...]:
        """The simulated runs, a seed each: their trials, every epoch's time and the best value by then."""
        return self.summary.runs

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return {"experiment": self.experiment.name, **self.summary.to_plain()}


def simulate(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    overrides: Sequence[str] = (),
    *,
    table: Any,
    **options: Any,
) -> Simulation:
    """Return what an experiment's search comes to on recorded learning curves, in virtual time; nothing is trained.

    ``table`` is a CSV or Parquet file, or a frame or a mapping of its columns. ``options`` are workers (1), start_cost
    and resume_cost (seconds, 0), seeds (20) and between ("rows", or "interpolate"). Raises DataError for a table that
    cannot be used.
    """
    asked = _options(options)
    name, columns = _columns(table)
    read = _judged(_caviar(read_experiment(experiment, overrides)), columns)
    plan = _plan(read)
    curves = curves_of(columns, name, plan.space, plan.metric)
    curves.check_epochs(plan.epochs)
    seeds = range(plan.seed, plan.seed + asked.seeds)
    runs = tuple(simulate_seeds(plan, curves, asked.costs, seeds, asked.between))
    return Simulation(read, plan, Summary(curves, asked.costs, runs, plan.epochs))


def _options(options: Mapping[str, Any]) -> SimulationOptions:
    known = SimulationOptions.__dataclass_fields__
    for name in options:
        if name not in known:
            raise ExperimentFileError(explain(name, "unknown option of a simulation", name, known))
    return SimulationOptions(**options)


def _caviar(experiment: Experiment) -> Experiment:
    if isinstance(experiment.caviar.scheduler, PbtOptions):
        expected = "expected a scheduler whose trials are curves of a table: copies that pbt makes are in none"
        raise ExperimentFileError(explain("caviar.scheduler", expected, "pbt"))
    if experiment.strategy != "caviar":
        expected = "expected caviar, whose trials are comparable curves"
        raise ExperimentFileError(explain("strategy", expected, experiment.strategy))
    return experiment


def _plan(experiment: Experiment) -> Plan:
    """Return an experiment's plan without its model and data, of which a simulation has no need."""
    return make_plan(experiment, space_of(experiment))


def _judged(experiment: Experiment, columns: Mapping[str, Sequence[Any]]) -> Experiment:
    """Return an experiment with the metric that its trials are judged by; ``auto`` is one that the table has."""
    if experiment.metric == "auto":
        metric = next((name for name in AUTO if name in columns), AUTO[0])
        experiment = experiment.model_copy(update={"metric": metric})
    if experiment.direction is None:
        raise ExperimentFileError(
            f"mode: max or min is needed, since the direction of {experiment.metric} is unknown."
            " Write mode: max or mode: min."
        )
    return experiment


def _columns(table: Any) -> tuple[str, Mapping[str, Sequence[Any]]]:
    """Return what a table is called in messages, and its columns."""
    if isinstance(table, str | Path):
        return str(table), read_columns(table)
    columns = table.to_dict("list") if hasattr(table, "to_dict") else table
    if not isinstance(columns, Mapping):
        expected = "expected a .csv or .parquet file, a frame, or a mapping of columns"
        raise DataError(explain("table", expected, type(table).__name__))
    return "table", columns


@dataclass(frozen=True)
class Replayed:
    """A run replayed on its own records: how many trials ended how, and what it cost and found."""

    epochs: int
    seconds: float
    best: float | None
    endings: Mapping[str, int]
    unknown: int
    epochs_unknown: int

    @classmethod
    def of(cls, run: Simulated, epochs: int) -> Replayed:
        """Return what a simulated run came to; each trial has ``epochs`` at most."""
        unknown = [trial for trial in run.trials if trial.unknown]
        best = float(run.best[-1]) if run.epochs else math.nan
        endings = dict(sorted(run.endings.items()))
        missing = sum(epochs - trial.epochs for trial in unknown)
        finite = None if math.isnan(best) else best
        return cls(run.epochs, run.seconds, finite, endings, len(unknown), missing)


@dataclass(frozen=True)
class WhatIf:
    """A run's records replayed as it was and under changed options.

    ``unknown`` trials were to go on where their records end, for at most ``epochs_unknown`` epochs: what they would
    have come to is not known, nor whom they would have had stopped. ``same_trials`` have the hyperparameters that the
    run's trial of that name has. ``without_records`` are trials that it never had.
    """

    run: str
    changes: tuple[str, ...]
    metric: str
    mode: str
    costs: Costs
    recorded: Replayed
    changed: Replayed
    same_trials: int
    trials: int
    without_records: int = 0
    runs: tuple[Simulated, ...] = field(default=(), repr=False)

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        plain = asdict(replace(self, runs=()))
        return {name: value for name, value in plain.items() if name != "runs"}


def whatif(
    run: str | Path | Run,
    overrides: Sequence[str] = (),
    storage: str | Path = "./runs",
    **options: Any,
) -> WhatIf:
    """Return what a run's own records say about other options: its search is replayed under both, nothing is trained.

    ``options`` are workers (as many as the run trained at once), start_cost and resume_cost (seconds, as the run
    measured them). A trial that was stopped has no further epochs in the records: the answer counts those that would
    have gone on.
    """
    opened = run if isinstance(run, Run) else open_run(run, storage)
    records = read_run(opened.path)
    if not overrides:
        raise ExperimentFileError(explain("--set", "expected at least one change", "none"))
    table = recorded_curves(records)
    before = _plan(_caviar(recorded_experiment(records)))
    changed = parse_experiment(records.experiment, overrides).at(sources_of(records))
    after = _plan(_caviar(changed))
    _check_comparable(before, after)
    start, resume = measured_costs(records)
    known = {"workers": most_at_once(records), "start_cost": start, "resume_cost": resume}
    asked = _options({**known, **options, "seeds": 1})
    runs = [_replay(plan, records, table, asked.costs) for plan in (before, after)]
    return WhatIf(
        records.name,
        tuple(overrides),
        records.metric,
        records.mode,
        asked.costs,
        Replayed.of(runs[0], before.epochs),
        Replayed.of(runs[1], after.epochs),
        sum(trial.trial == trial.config for trial in runs[1].trials),
        len(runs[1].trials),
        max(0, after.trials_in_all - len(table)),
        tuple(runs),
    )


def _check_comparable(before: Plan, after: Plan) -> None:
    """Refuse changes that no record can tell of."""
    if before.space.to_document() != after.space.to_document():
        expected = "expected the run's own, since its records have no other hyperparameters"
        raise ExperimentFileError(explain("search_space", expected, "another"))


def _replay(plan: Plan, records: RunRecords, table: CurveTable, costs: Costs) -> Simulated:
    most = min(plan.num_trials, len(table))
    return Simulator(replace(plan, num_trials=most), rows_of(records, table), costs).run()
