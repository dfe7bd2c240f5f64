"""A run as values: its trials, epochs and events, and what follows from them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from orchestrator.errors import RecordError, explain
from orchestrator.records.events import (
    EpochRow,
    JournalEntry,
    RunEvent,
    TrialEnd,
    TrialStarted,
)
from orchestrator.records.folder import RunFolder
from orchestrator.records.heartbeat import SeenDriver, Standing, seconds_worked, standing
from orchestrator.records.lineage import Line, TrialLines, hyperparameters_after, stretch_of
from orchestrator.records.requests import Request
from orchestrator.records.score import Mode, Score
from orchestrator.records.state import RunState
from orchestrator.records.trial import TrialRecord
from orchestrator.redaction import restored

if TYPE_CHECKING:
    from orchestrator.domains import Space


def options_of(
    experiment: Mapping[str, Any], strategy: Literal["caviar", "panda"]
) -> Mapping[str, Any] | None:
    """Return the options of a strategy as recorded; None where the experiment is of the other one."""
    if experiment.get("strategy", "caviar") != strategy:
        return None
    options = experiment.get(strategy)
    return options if isinstance(options, Mapping) else {}


@dataclass(frozen=True)
class RecordedExperiment:
    """What a run was asked to do, and where: its folder, its experiment and the facts around it."""

    folder: RunFolder
    experiment: dict[str, Any]
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        """The run's name: its folder's, which may have been copied or renamed since it began."""
        return self.folder.path.resolve().name

    @property
    def metric(self) -> str:
        """The metric trials are judged by."""
        return str(self.experiment.get("metric", "val_accuracy"))

    @property
    def mode(self) -> Mode:
        """Whether more or less of the metric is better: max or min."""
        # Imported here: a process that only writes records need not load what checks experiments.
        from orchestrator.config.metrics import direction_of

        return cast(Mode, self.experiment.get("mode") or direction_of(self.metric) or "max")

    @property
    def caviar(self) -> Mapping[str, Any] | None:
        """The options of its search; None where one model was babysat."""
        return options_of(self.experiment, "caviar")

    @property
    def panda(self) -> Mapping[str, Any] | None:
        """The options of the model that was babysat; None where trials were drawn."""
        return options_of(self.experiment, "panda")

    @property
    def has_keras_models(self) -> bool:
        """Whether its trials are Keras models, which it keeps; otherwise it keeps what they report."""
        from orchestrator.config.trial_options import is_keras

        trial = self.experiment.get("trial")
        return trial is None or is_keras(trial)

    @cached_property
    def space(self) -> Space | None:
        """The search space, which the record holds inline; None where it holds but a name.

        None too where it refers to a variable of the environment that is not set here.
        """
        document = restored(self.experiment.get("search_space"))
        if not isinstance(document, dict) or "${ENV:" in repr(document):
            return None
        constraints = self.experiment.get("constraints") or ()
        from orchestrator.domains import Space  # here: how a run stands can be told without it

        return Space.parse(document, f"{self.folder.experiment_file}: search_space", constraints)


class Replicated:
    """What a run's records say of its trials and of those that repeat one with a seed of their own."""

    @property
    def state(self) -> RunState:
        """What all of its lines mean."""
        raise NotImplementedError

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """The trials of the search."""
        raise NotImplementedError

    @property
    def replicates(self) -> tuple[TrialRecord, ...]:
        """The trials that repeat another one with a seed of their own, in the order in which they first began."""
        return tuple(trial for trial in self.state.trials.values() if trial.repeats is not None)

    @property
    def all_trials(self) -> tuple[TrialRecord, ...]:
        """The trials and the replicates."""
        return (*self.trials, *self.replicates)

    @property
    def leader(self) -> TrialRecord | None:
        """The trial whose model is the best: a replicate of the winner's after a race, else the first contender."""
        found = self.state.leader
        return None if found is None else self.state.trials.get(found)


@dataclass(frozen=True)
class RunRecords(RecordedExperiment, Replicated):
    """Everything recorded about one run, line by line, and in ``state`` what it means.

    ``damage`` names the damaged lines that were left out, by file.
    """

    trial_lines: tuple[TrialStarted | TrialEnd, ...]
    epochs: tuple[EpochRow, ...]
    events: tuple[RunEvent, ...]
    journal: tuple[JournalEntry, ...] = ()
    requests: tuple[Request, ...] = ()
    driver: SeenDriver | None = None
    damage: tuple[str, ...] = ()

    @property
    def status(self) -> str:
        """running, paused, interrupted, finished or stuck, as its records and its driver were when read."""
        return self.standing.state

    @cached_property
    def standing(self) -> Standing:
        """The run's status, since when, and why."""
        return standing(self.events, self.driver, self._last_time)

    @cached_property
    def state(self) -> RunState:
        """What all of these lines mean."""
        state = RunState(self.metric, self.mode)
        for line in (*self.trial_lines, *self.epochs, *self.journal, *self.events):
            state.apply(line)
        return state

    @cached_property
    def trials(self) -> tuple[TrialRecord, ...]:
        """The trials, in the order in which they first began, without those that repeat another one."""
        return tuple(trial for trial in self.state.trials.values() if trial.repeats is None)

    @property
    def planned_trials(self) -> int:
        """How many trials the run was to have: a caviar's samples, or what a finite space has; else those there are."""
        planned = (self.caviar or {}).get("num_samples")
        starts = [event for event in self.events if event["event"] == "run_started"]
        fewer = starts[-1].get("trials") if starts else None
        planned = fewer if isinstance(fewer, int) else planned
        return int(planned) if self.caviar is not None and planned else len(self.trials)

    @property
    def winner(self) -> dict[str, Any] | None:
        """The ``winner`` event since the last extension: trial, epoch, metric, scores; or None."""
        return self.state.winner

    @property
    def seconds(self) -> float:
        """Wall-clock seconds the run was worked on, without the pauses before it was resumed."""
        return seconds_worked(self.events, self._last_time)

    def of(self, trial: str) -> RecordedTrial:
        """Return what is recorded of one trial; nothing, where there is none of that name."""
        return RecordedTrial(trial, self)

    def trial(self, name: str) -> TrialRecord | None:
        """Return the trial of that name, or None."""
        return self.state.trials.get(name)

    @cached_property
    def ranked(self) -> tuple[TrialRecord, ...]:
        """The trials of the newest group, best first and without a finite value last; then older groups'."""
        return self.state.ranked

    @property
    def contenders(self) -> tuple[TrialRecord, ...]:
        """The trials of the newest group that have a finite value, best first."""
        newest = (trial for trial in self.ranked if trial.group == self.state.group)
        return tuple(trial for trial in newest if self.of(trial.trial).best)

    @property
    def _last_time(self) -> str | None:
        """The time of the newest line of any record; ISO times in UTC sort as text."""
        lines = (*self.events[-1:], *self.epochs[-1:])
        times = [str(line["time"]) for line in lines if "time" in line]
        ends = (trial.ended or trial.started for trial in self.state.trials.values())
        return max([*times, *ends], default=None)


@dataclass(frozen=True)
class RecordedTrial:
    """What a run's records say of one trial: what it trained itself, and what it shares with those it branched from."""

    trial: str
    _records: RunRecords

    @property
    def epochs(self) -> tuple[Line, ...]:
        """The epochs that the trial's model went through, in order.

        A branch's begin with its parent's up to the fork. What was rolled back is left out.
        """
        return (*self._shared("epochs"), *self._lines.epochs)

    @property
    def own_epochs(self) -> tuple[Line, ...]:
        """The epochs that the trial trained itself, without those that were rolled back."""
        return self._lines.epochs

    @property
    def abandoned_epochs(self) -> tuple[Line, ...]:
        """The trial's epochs that were rolled back, in the order they were recorded."""
        return self._lines.abandoned_epochs

    @property
    def days(self) -> tuple[Line, ...]:
        """The journal's ``day`` entries that the model went through, as ``epochs``."""
        return (*self._shared("days"), *self._lines.days)

    @property
    def abandoned_days(self) -> tuple[Line, ...]:
        """The trial's ``day`` entries that were rolled back, in the order they were recorded."""
        return self._lines.abandoned_days

    @property
    def journal(self) -> tuple[Line, ...]:
        """The trial's journal, oldest entry first."""
        return self._lines.journal

    @property
    def current_hyperparameters(self) -> dict[str, Any]:
        """The hyperparameters that the trial trains with now; none for an unknown one."""
        found = self._records.trial(self.trial)
        if found is None:
            return {}
        return hyperparameters_after(found.hyperparameters, self.journal, self._shared("days"))

    @property
    def unanswered(self) -> tuple[Request, ...]:
        """The requests to the trial that are neither applied nor refused yet."""
        kinds = ("applied", "refused")
        lines = self._records.journal
        answered = {line.get("request") for line in lines if line["kind"] in kinds}
        mine = (request for request in self._records.requests if request.trial == self.trial)
        return tuple(request for request in mine if request.id not in answered)

    @property
    def best(self) -> Score | None:
        """The score of the best epoch that it trained itself and that was not rolled back, by which trials are ranked.

        None where no value is finite. What a branch shares is its parent's.
        """
        return self._records.state.score_of(self.trial)

    @property
    def _lines(self) -> TrialLines:
        return self._records.state.history(self.trial).lines

    def _shared(self, what: Literal["epochs", "days"]) -> list[Line]:
        """Return what a branch has from its parent and has not rolled back."""
        return self._lines.shared_at(None, self._shared_at_birth(what))

    def _shared_at_birth(self, what: Literal["epochs", "days"]) -> list[Line]:
        """Return what a branch has from its parent, and that from its own: living at the fork."""
        found = self._records.trial(self.trial)
        origin = found.origin if found else None
        if not found or not origin or not found.is_branch or origin["trial"] == self.trial:
            return []
        parent = self._records.of(origin["trial"])
        forks = (
            e for e in parent.journal if e["kind"] == "applied" and e.get("branch") == self.trial
        )
        forked = next(forks, None)
        stretch = origin.get("stretch", stretch_of(forked) if forked else None)
        before = parent._lines.shared_at(stretch, parent._shared_at_birth(what))
        shared = [*before, *parent._lines.living_at(stretch, what)]
        return [line for line in shared if line["epoch"] <= origin["epoch"]]


def model_is_as_saved(records: RunRecords) -> bool:
    """Return whether the winner's model file is as it was saved; True too where the record does not tell."""
    saved = (records.winner or {}).get("sha256")
    file = records.folder.best / "model.keras"
    if saved is None:
        return True
    return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == saved


def with_latest_extension(
    experiment: Mapping[str, Any], events: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the experiment with the last extension in it: its file is rewritten after the event."""
    extensions = [event for event in events if event["event"] == "extended"]
    return with_changes(experiment, extensions[-1:])


def with_changes(
    experiment: Mapping[str, Any], extensions: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """Return the experiment as these extensions made it, one after another."""
    content = dict(experiment)
    for extension in extensions:
        for key, (_, new) in extension["changes"].items():
            section, _, name = key.partition(".")
            inside = content.get(section)
            inside = inside if isinstance(inside, dict) else {}
            content[section] = {**inside, name: new} if name else new
    return content


def effective_manifest(records: RunRecords) -> dict[str, Any]:
    """Return the manifest with the data and the model that the newest group of trials has."""
    now = dict(records.manifest)
    for extension in records.state.extensions:
        now |= extension.get("now") or {}
    return now


def sources_of(records: RunRecords) -> Path:
    """Return the folder that a run's references are relative to; where both were moved together, the one there now."""
    began = Path(records.manifest.get("folder") or ".")
    run = records.manifest.get("run_folder")
    if run is None or began.is_dir():
        return began
    moved = (records.folder.path.resolve() / os.path.relpath(began, run)).resolve()
    return moved if moved.is_dir() else began


def check_searched(records: RunRecords, whose: str) -> None:
    """Raise RecordError for one model that was babysat: nothing was searched. ``whose`` says what is lacking."""
    if records.panda is not None:
        expected = f"expected a run of strategy caviar, whose {whose}"
        raise RecordError(explain(records.name, expected, "panda"))
