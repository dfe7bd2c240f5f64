"""A run as values: its trials, epochs and events, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, cast

from orchestrator.domains import Space
from orchestrator.records.best import Mode, best_epoch
from orchestrator.records.folder import RunFolder

_RUN_STATUS = {
    "run_started": "running",
    "run_finished": "finished",
    "run_interrupted": "interrupted",
}


@dataclass(frozen=True)
class TrialRecord:
    """One trial, from its ``started`` line and, once it has one, its ``ended`` line."""

    trial: str
    index: int
    seed: int
    hyperparameters: Mapping[str, Any]
    started: str
    ended: str | None = None
    ending: str | None = None
    stopped_by: Mapping[str, Any] | None = None
    error: str | None = None
    error_file: str | None = None
    parameters: int | None = None
    path: str | None = None
    path_reason: str | None = None
    worker: str | None = None
    rss_mb: float | None = None
    seconds: float | None = None

    @property
    def status(self) -> str:
        """finished, stopped, failed, diverged, interrupted; running where no ending is recorded."""
        return self.ending or "running"


@dataclass(frozen=True)
class RunRecords:
    """Everything recorded about one run."""

    folder: RunFolder
    experiment: dict[str, Any]
    manifest: dict[str, Any]
    trials: tuple[TrialRecord, ...]
    epochs: tuple[dict[str, Any], ...]
    events: tuple[dict[str, Any], ...]

    @property
    def name(self) -> str:
        """The run's name."""
        return str(self.experiment.get("name", self.folder.name))

    @property
    def metric(self) -> str:
        """The metric trials are judged by."""
        return str(self.experiment.get("metric", "val_accuracy"))

    @property
    def mode(self) -> Mode:
        """Whether more or less of the metric is better: max or min."""
        return cast(Mode, self.experiment.get("mode", "max"))

    @cached_property
    def space(self) -> Space | None:
        """The search space, which the record holds inline; None where it holds but a name."""
        document = self.experiment.get("search_space")
        if not isinstance(document, dict):
            return None
        return Space.parse(document, f"{self.folder.experiment_file}: search_space")

    @property
    def status(self) -> str:
        """running, finished or interrupted: what the last event about the run says."""
        known = [_RUN_STATUS[e["event"]] for e in self.events if e["event"] in _RUN_STATUS]
        return known[-1] if known else "running"

    @property
    def winner(self) -> dict[str, Any] | None:
        """The last ``winner`` event: trial, epoch, metric, validation and test scores."""
        winners = [event for event in self.events if event["event"] == "winner"]
        return winners[-1] if winners else None

    @property
    def seconds(self) -> float:
        """Wall-clock seconds the run was worked on, without the pauses before it was resumed."""
        total, since = 0.0, None
        for event in self.events:
            if event["event"] == "run_started":
                since = event["time"]
            elif event["event"] in _RUN_STATUS and since is not None:
                total += _seconds_between(since, event["time"])
                since = None
        if since is None:
            return total
        return total + _seconds_between(since, self._last_time)

    def epochs_of(self, trial: str) -> tuple[dict[str, Any], ...]:
        """Return one trial's epochs in the order they were recorded."""
        return self._epochs_by_trial.get(trial, ())

    def best_of(self, trial: str) -> tuple[int, float] | None:
        """Return (epoch, value) of a trial's best epoch, or None where it has no finite one."""
        return self._best_by_trial.get(trial)

    def trial(self, name: str) -> TrialRecord | None:
        """Return the trial of that name, or None."""
        return next((trial for trial in self.trials if trial.trial == name), None)

    @cached_property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """The trials, best first; ties by order of drawing; those without a finite value last."""
        sign = -1.0 if self.mode == "max" else 1.0

        def rank(trial: TrialRecord) -> tuple[bool, float, int]:
            best = self.best_of(trial.trial)
            return (best is None, sign * best[1] if best else 0.0, trial.index)

        return tuple(sorted(self.trials, key=rank))

    @property
    def _last_time(self) -> str:
        """The time of the newest line of any record; ISO times in UTC sort as text."""
        lines = (*self.events[-1:], *self.epochs[-1:])
        times = [str(line["time"]) for line in lines if "time" in line]
        return max([*times, *(trial.ended or trial.started for trial in self.trials)])

    @cached_property
    def _epochs_by_trial(self) -> dict[str, tuple[dict[str, Any], ...]]:
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self.epochs:
            rows.setdefault(row["trial"], []).append(row)
        return {trial: tuple(found) for trial, found in rows.items()}

    @cached_property
    def _best_by_trial(self) -> dict[str, tuple[int, float]]:
        found = {
            trial: best_epoch(rows, self.metric, self.mode)
            for trial, rows in self._epochs_by_trial.items()
        }
        return {trial: best for trial, best in found.items() if best is not None}


def _seconds_between(first: str, last: str) -> float:
    return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
