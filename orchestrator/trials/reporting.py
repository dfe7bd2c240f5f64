"""Trials that run something of the user's and hear the metrics that it reports, epoch by epoch.

What runs is behind ``Reports``: a Python function, or a program of its own.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import yaml

from orchestrator.errors import RecordError, TrialError, encodable, explain
from orchestrator.records import Mode, Score, made, score_of, write_atomically
from orchestrator.redaction import redacted
from orchestrator.search import Nursery, TrialSpec
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.function_runner import as_number
from orchestrator.trials.protocol import Progress, Session
from orchestrator.trials.state_store import StateFolders, StateStore, epoch_of

Metrics = dict[str, float]
NOT_METRICS = ("trial", "epoch", "seconds", "time", "group", "stretch")
"""Names that a table of epochs has for itself."""
NOT_YET: Metrics = {}
"""In place of a report: the epoch takes long, and nothing is wrong."""


@dataclass(frozen=True)
class Start:
    """How something that reports begins: its trial, where its states go, and from which it goes on (None: epoch 1)."""

    spec: TrialSpec
    files: StateFolders
    state: str | None = None


class Reports(Protocol):
    """What runs for one trial, and what it reports."""

    @property
    def epoch(self) -> int:
        """Return the epoch of its last report: from the state that it goes on from, it counts on."""

    @property
    def state(self) -> str | None:
        """Return the last state that it kept by then, as StateFolders names it."""

    def next(self) -> Metrics | None:
        """Let it run on; return the next epoch's metrics, None once it has returned. Raises what it raises.

        What can be left in the middle of an epoch may return NOT_YET, so that its trial can be ended there.
        """

    def end(self) -> None:
        """Have it end."""


@dataclass(frozen=True, kw_only=True)
class ReportingJob:
    """Trials that report: plain values, shipped to a worker once.

    ``kind`` and ``text`` say what runs, in messages. ``milestones`` are the epochs after which the driver decides: each
    gets a report of its own. ``secrets`` are the values behind references, by the names of their variables.
    ``nursery`` says how trials are babysat, None that they are not; what ``reads_anew`` finds other hyperparameters
    where it had them, anything else begins again with them, from its last state. ``saved_with`` is how it saves one.
    """

    reads_anew: ClassVar[bool] = True
    saved_with: ClassVar[str] = "with report.checkpoint"

    kind: str
    text: str
    home: Path
    epochs: int
    metric: str
    mode: Mode
    milestones: frozenset[int] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)
    nursery: Nursery | None = None

    @property
    def states(self) -> StateStore:
        """Return where a trial's best report is kept."""
        return StateStore(self.home / "checkpoints")


Begin = Callable[[Start], Reports]


class EndedSession(Session, Protocol):
    """A session of something that has to be ended."""

    def end(self) -> None:
        """Have it end, wherever it is."""


class ReportingWorkbench:
    """A process in which trials that report run, one after another."""

    def __init__(
        self,
        job: ReportingJob,
        begin: Begin,
        session: Callable[[TrialSpec], EndedSession] | None = None,
    ) -> None:
        self._job = job
        self._make = session or (lambda spec: ReportingSession(job, begin, spec))
        self._session: EndedSession | None = None

    def session(self, spec: TrialSpec) -> Session:
        """Return the next trial's training, not begun."""
        self.leave()
        self._session = self._make(spec)
        return self._session

    def about(self) -> Mapping[str, Any]:
        """Return how the trial trains."""
        return {"path": self._job.kind}

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Write the winner's hyperparameters, metrics and state under ``best``; return the winner's event."""
        about = load_checkpoint(checkpoint).about
        metrics = {
            "trial": about["trial"],
            "epoch": about["epoch"],
            "hyperparameters": about["chosen"],
            "validation": _by_plain_name(about["metrics"]),
        }
        metrics = dict(redacted(metrics))
        made(best)
        state = about.get("state") if epoch_of(about.get("state")) == about["epoch"] else None
        _put(best / "checkpoint", self._job.states.files(about["trial"]), state)
        hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
        write_atomically(best / "hyperparameters.yaml", hyperparameters)
        write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        return metrics

    def leave(self) -> None:
        """End a trial that is over."""
        if self._session is not None:
            self._session.end()
        self._session = None


def _put(where: Path, files: StateFolders, state: str | None) -> None:
    """Copy a state, in place of what is there; nothing is left there where there is none."""
    aside = where.with_name(f".{where.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    if state is not None:
        shutil.copytree(files.find(state), aside)
    if where.exists():
        shutil.rmtree(where)
    if state is not None:
        aside.rename(where)


def _by_plain_name(metrics: Metrics) -> Metrics:
    """Return metrics without their ``val_``, but where both were reported."""
    plain = {name: name.removeprefix("val_") for name in metrics}
    return {name if plain[name] in metrics else plain[name]: metrics[name] for name in metrics}


class ReportingSession:
    """One trial that reports.

    One that was cut off goes on from the last state that it kept, and runs again from epoch 1 where it keeps none: what
    it reports once more up to where it was is not heard, so that what was recorded stays as it is, whatever it reports
    now.
    """

    def __init__(self, job: ReportingJob, begin: Begin, spec: TrialSpec) -> None:
        self._job = job
        self._spec = spec
        self._begin = begin
        self._states = job.states
        self._files = job.states.files(spec.trial)
        self._reports: Reports | None = None
        self._epoch = 0
        self._heard_before = 0
        self._waited = 0.0
        self._best: Score | None = None
        self._improved: Mapping[str, Any] | None = None
        self._state: str | None = None
        self._named: dict[str, str | None] = {"best": None, "last": None}

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first."""
        if self._reports is None:
            self._take_up(progress)
            self._reports = self._begin(Start(self._spec, self._files, self._state))
            if progress.rows and self._is_to_report(progress):
                return  # it was cut off before the driver heard this, and decided
        progress.epoch = self._epoch
        until = time.monotonic() + seconds
        try:
            while not self._comes_to_report(self._reports, progress) and time.monotonic() < until:
                pass
        finally:
            self._save(progress)

    def keep(self) -> None:
        """Keep nothing more: how far it is was kept with its last report."""

    def end(self) -> None:
        """Have it end, wherever it is."""
        if self._reports is not None:
            self._reports.end()

    def _take_up(self, progress: Progress) -> None:
        """Tell the last report again of a trial that was cut off; one that kept none begins anew."""
        self._files.sweep()
        try:
            about = load_checkpoint(self._states.last(self._spec.trial)).about
            if about["best"] is not None:
                best = load_checkpoint(self._states.best(self._spec.trial)).about
                self._named["best"] = best.get("state")
        except RecordError:
            return
        self._best = Score.from_plain(about["best"])
        self._heard_before = self._epoch = progress.epoch = int(about["epoch"])
        progress.rows.extend(about["rows"])
        self._state = self._named["last"] = self._whole(about.get("state"))

    def _whole(self, state: str | None) -> str | None:
        """Return a state, None where it cannot be gone on from."""
        try:
            return state and self._files.find(state).name
        except RecordError:
            return None

    def _comes_to_report(self, reports: Reports, progress: Progress) -> bool:
        """Wait for an epoch; return whether the trial is over with it, or the driver decides after it."""
        began = time.monotonic()
        metrics = reports.next()
        self._waited += time.monotonic() - began
        if metrics is NOT_YET:
            return False
        seconds, self._waited = self._waited, 0.0
        if metrics is None:
            check_reported(self._job, self._epoch)
            progress.done = True
            return True
        if reports.state != self._state:
            self._state = reports.state
            self._keep_states()
        if reports.epoch <= self._heard_before:
            return False
        self._take_in(metrics, seconds, progress)
        return self._is_to_report(progress)

    def _take_in(self, metrics: Metrics, seconds: float, progress: Progress) -> None:
        row = row_of(self._job, self._spec.trial, self._epoch + 1, metrics, seconds)
        self._epoch += 1
        progress.rows.append(row)
        progress.epoch = self._epoch
        score = score_of(row, self._job.metric, self._job.mode)
        if score is not None and score.beats(self._best):
            self._best = score
            state = self._state if epoch_of(self._state) == self._epoch else None
            self._improved = {**row, "state": state}

    def _is_to_report(self, progress: Progress) -> bool:
        """Return whether the trial is over with its last epoch, or the driver decides after it."""
        progress.diverged = not math.isfinite(progress.rows[-1]["metrics"].get("loss", 0.0))
        progress.done = self._epoch >= self._job.epochs
        return progress.done or progress.diverged or self._epoch in self._job.milestones

    def _save(self, progress: Progress) -> None:
        """Keep the best report, and how far the trial is before the driver hears of it."""
        before = dict(self._named)
        if self._improved is not None:
            chosen = dict(self._spec.hyperparameters)
            about = {"seed": self._spec.seed, "hyperparameters": chosen, "chosen": chosen}
            about |= self._improved
            save_checkpoint(self._states.best(self._spec.trial), Checkpoint((), (), about))
            self._named["best"] = self._improved["state"]
            self._improved = None
        if progress.rows or self._state != self._named["last"]:
            best = self._best.to_plain() if self._best else None
            about = {"trial": self._spec.trial, "epoch": self._epoch, "best": best}
            about |= {"state": self._state, "rows": progress.rows}
            about["facts"] = {"path": self._job.kind}  # of one that ends without running again
            save_checkpoint(self._states.last(self._spec.trial), Checkpoint((), (), about))
            self._named["last"] = self._state
        if self._named != before:
            self._keep_states()

    def _keep_states(self) -> None:
        """Delete the states that neither what was kept names nor what is to be kept will name."""
        improved = (self._improved or {}).get("state")
        self._files.keep_only({self._state, improved, *self._named.values()})


def row_of(
    job: ReportingJob, trial: str, epoch: int, metrics: Metrics, seconds: float
) -> dict[str, Any]:
    """Return the row of an epoch. Raises TrialError where it lacks the metric by which trials are judged."""
    if job.metric not in metrics:
        expected = f"expected {job.metric}, by which trials are judged, in every report"
        raise TrialError(explain(job.text, expected, sorted(metrics)))
    return {"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": seconds}


def check_reported(job: ReportingJob, epochs: int) -> None:
    """Raise TrialError where what has returned has reported nothing."""
    if epochs == 0:
        raise TrialError(
            f"{job.text}: expected at least one report of its metrics."
            f" Received: a {job.kind} that returned without one."
        )


def metric_name(where: str, name: Any) -> str:
    """Return a metric's name; tables have columns of their own under some."""
    if isinstance(name, str) and name and name not in NOT_METRICS:
        return encodable(name)
    expected = f"expected a metric's name, none of {', '.join(NOT_METRICS)}"
    raise TrialError(explain(where, expected, name))


def metric_value(where: str, name: str, value: Any) -> float:
    """Return a metric as a float, by the one rule for all kinds of trial: ``as_number``'s. Raises TrialError."""
    try:
        return as_number(value)
    except TypeError as error:
        raise no_metric(where, name, str(error)) from None


def no_metric(where: str, name: str, kind: str) -> TrialError:
    """Return the error of a metric that is no number but of another kind."""
    hint = ", which a boolean is not: report 1.0 or 0.0" if "bool" in kind else ""
    return TrialError(explain(where, f"expected a number as {name}{hint}", kind))


def is_number(value: Any) -> bool:
    """Return whether something that may be no metric at all, such as a field of a JSON line, is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)
