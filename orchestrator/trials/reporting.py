"""Trials that run something of the user's and hear the metrics that it reports, epoch by epoch.

What runs is behind ``Reports``: a Python function, or a program of its own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from orchestrator.errors import RecordError, TrialError, encodable, explain
from orchestrator.records import Mode, Score, made, score_of, write_atomically
from orchestrator.redaction import redacted
from orchestrator.search import TrialSpec
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.protocol import Progress
from orchestrator.trials.state_store import StateStore

Metrics = dict[str, float]
NOT_METRICS = ("trial", "epoch", "seconds", "time", "group", "stretch")
"""Names that a table of epochs has for itself."""


class Reports(Protocol):
    """What runs for one trial, and what it reports."""

    epoch: int

    def next(self) -> Metrics | None:
        """Let it run on; return the next epoch's metrics, None once it has returned. Raises what it raises."""

    def end(self) -> None:
        """Have it end."""


@dataclass(frozen=True, kw_only=True)
class ReportingJob:
    """Trials that report: plain values, shipped to a worker once.

    ``kind`` and ``text`` say what runs, in messages. ``milestones`` are the epochs after which the driver decides: each
    gets a report of its own. ``secrets`` are the values behind references, by the names of their variables.
    """

    kind: str
    text: str
    home: Path
    epochs: int
    metric: str
    mode: Mode
    milestones: frozenset[int] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> StateStore:
        """Return where a trial's best report is kept."""
        return StateStore(self.home / "checkpoints")


class ReportingWorkbench:
    """A process in which trials that report run, one after another."""

    def __init__(self, job: ReportingJob, begin: Callable[[TrialSpec], Reports]) -> None:
        self._job = job
        self._begin = begin
        self._session: ReportingSession | None = None

    def session(self, spec: TrialSpec) -> ReportingSession:
        """Return the next trial's training, not begun."""
        self.leave()
        self._session = ReportingSession(self._job, self._begin(spec), spec)
        return self._session

    def about(self) -> Mapping[str, Any]:
        """Return how the trial trains."""
        return {"path": self._job.kind}

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Write the winner's hyperparameters and its metrics under ``best``; return its ``winner`` event's fields."""
        about = load_checkpoint(checkpoint).about
        metrics = {
            "trial": about["trial"],
            "epoch": about["epoch"],
            "hyperparameters": about["chosen"],
            "validation": _by_plain_name(about["metrics"]),
        }
        metrics = dict(redacted(metrics))
        made(best)
        hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
        write_atomically(best / "hyperparameters.yaml", hyperparameters)
        write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        return metrics

    def leave(self) -> None:
        """End a trial that is over."""
        if self._session is not None:
            self._session.end()
        self._session = None


def _by_plain_name(metrics: Metrics) -> Metrics:
    """Return metrics without their ``val_``, but where both were reported."""
    plain = {name: name.removeprefix("val_") for name in metrics}
    return {name if plain[name] in metrics else plain[name]: metrics[name] for name in metrics}


class ReportingSession:
    """One trial that reports.

    What it holds cannot be kept. One that was cut off runs again: what it reports once more up to where it was is not
    heard, so that what was recorded stays as it is, whatever it reports now.
    """

    def __init__(self, job: ReportingJob, reports: Reports, spec: TrialSpec) -> None:
        self._job = job
        self._spec = spec
        self._states = job.states
        self._reports = reports
        self._begun = False
        self._epoch = 0
        self._heard_before = 0
        self._best: Score | None = None
        self._improved: Mapping[str, Any] | None = None

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first."""
        if not self._begun:
            self._begun = True
            self._take_up(progress)
            if progress.rows and self._is_to_report(progress):
                return  # it was cut off before the driver heard this, and decided
        until = time.monotonic() + seconds
        try:
            while not self._comes_to_report(progress) and time.monotonic() < until:
                pass
        finally:
            self._save(progress)

    def keep(self) -> None:
        """Keep nothing more: how far it is was kept with its last report."""

    def end(self) -> None:
        """Have it end, wherever it is."""
        self._reports.end()

    def _take_up(self, progress: Progress) -> None:
        """Tell the last report again of a trial that was cut off; one that kept none begins anew."""
        try:
            about = load_checkpoint(self._states.last(self._spec.trial)).about
        except RecordError:
            return
        if about["best"] is not None and not self._states.best(self._spec.trial).exists():
            return
        self._best = Score.from_plain(about["best"])
        self._heard_before = self._epoch = progress.epoch = int(about["epoch"])
        progress.rows.extend(about["rows"])

    def _comes_to_report(self, progress: Progress) -> bool:
        """Wait for an epoch; return whether the trial is over with it, or the driver decides after it."""
        began = time.monotonic()
        metrics = self._reports.next()
        if metrics is None:
            self._check_reported()
            progress.done = True
            return True
        if self._reports.epoch <= self._heard_before:
            return False
        self._take_in(metrics, time.monotonic() - began, progress)
        return self._is_to_report(progress)

    def _take_in(self, metrics: Metrics, seconds: float, progress: Progress) -> None:
        metric = self._job.metric
        if metric not in metrics:
            expected = f"expected {metric}, by which trials are judged, in every report"
            raise TrialError(explain(self._job.text, expected, sorted(metrics)))
        self._epoch += 1
        row = {
            "trial": self._spec.trial,
            "epoch": self._epoch,
            "metrics": metrics,
            "seconds": seconds,
        }
        progress.rows.append(row)
        progress.epoch = self._epoch
        score = score_of(row, metric, self._job.mode)
        if score is not None and score.beats(self._best):
            self._best, self._improved = score, row

    def _is_to_report(self, progress: Progress) -> bool:
        """Return whether the trial is over with its last epoch, or the driver decides after it."""
        progress.diverged = not math.isfinite(progress.rows[-1]["metrics"].get("loss", 0.0))
        progress.done = self._epoch >= self._job.epochs
        return progress.done or progress.diverged or self._epoch in self._job.milestones

    def _save(self, progress: Progress) -> None:
        """Keep the best report, and how far the trial is before the driver hears of it."""
        if self._improved is not None:
            about = {**self._improved, "chosen": dict(self._spec.hyperparameters)}
            save_checkpoint(self._states.best(self._spec.trial), Checkpoint((), (), about))
            self._improved = None
        if progress.rows:
            best = self._best.to_plain() if self._best else None
            about = {"trial": self._spec.trial, "epoch": self._epoch, "best": best}
            last = Checkpoint((), (), {**about, "rows": progress.rows})
            save_checkpoint(self._states.last(self._spec.trial), last)

    def _check_reported(self) -> None:
        if self._epoch == 0:
            raise TrialError(
                f"{self._job.text}: expected at least one report of its metrics."
                f" Received: a {self._job.kind} that returned without one."
            )


def metric_name(where: str, name: Any) -> str:
    """Return a metric's name; tables have columns of their own under some."""
    if isinstance(name, str) and name and name not in NOT_METRICS:
        return encodable(name)
    expected = f"expected a metric's name, none of {', '.join(NOT_METRICS)}"
    raise TrialError(explain(where, expected, name))


def metric_value(where: str, name: str, value: Any) -> float:
    """Return a metric as a float: a number, or an array or tensor of one."""
    try:
        if not isinstance(value, str):
            return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        pass
    raise TrialError(explain(where, f"expected a number as {name}", type(value).__name__))
