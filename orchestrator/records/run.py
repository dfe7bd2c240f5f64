"""A run as values: its trials, epochs and events, and what follows from them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast

from orchestrator.domains import Space
from orchestrator.records.events import (
    EpochRow,
    JournalEntry,
    RunEvent,
    TrialEnd,
    TrialStarted,
)
from orchestrator.records.folder import RunFolder
from orchestrator.records.heartbeat import SeenDriver, Standing, seconds_worked, standing
from orchestrator.records.lineage import Line, TrialLines, in_force_after, stretch_of
from orchestrator.records.requests import Request
from orchestrator.records.score import Mode, Score
from orchestrator.records.state import RunState
from orchestrator.records.trial import TrialRecord
from orchestrator.redaction import restored


@dataclass(frozen=True)
class RunRecords:
    """Everything recorded about one run, line by line, and in ``state`` what it means.

    ``damage`` names the damaged lines that were left out, by file.
    """

    folder: RunFolder
    experiment: dict[str, Any]
    manifest: dict[str, Any]
    trial_lines: tuple[TrialStarted | TrialEnd, ...]
    epochs: tuple[EpochRow, ...]
    events: tuple[RunEvent, ...]
    journal: tuple[JournalEntry, ...] = ()
    requests: tuple[Request, ...] = ()
    driver: SeenDriver | None = None
    damage: tuple[str, ...] = ()

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
        # Imported here: whoever only writes records need not load what checks experiments.
        from orchestrator.config.metrics import direction_of

        return cast(Mode, self.experiment.get("mode") or direction_of(self.metric) or "max")

    @cached_property
    def space(self) -> Space | None:
        """The search space, which the record holds inline; None where it holds but a name.

        None too where it refers to a variable of the environment that is not set here.
        """
        document = restored(self.experiment.get("search_space"))
        if not isinstance(document, dict) or "${ENV:" in repr(document):
            return None
        return Space.parse(document, f"{self.folder.experiment_file}: search_space")

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
        """The trials, in the order in which they first began."""
        return tuple(self.state.trials.values())

    @property
    def trials_done(self) -> int:
        """How many trials have ended for good."""
        return self.state.done

    @property
    def planned_trials(self) -> int:
        """How many trials the run was to have: a caviar's samples, else those there are."""
        caviar = self.experiment.get("caviar")
        planned = caviar.get("num_samples") if isinstance(caviar, dict) else None
        is_caviar = self.experiment.get("strategy") == "caviar"
        return int(planned) if is_caviar and planned else len(self.trials)

    @property
    def winner(self) -> dict[str, Any] | None:
        """The ``winner`` event since the last extension: trial, epoch, metric, scores; or None."""
        return self.state.winner

    @property
    def model_is_as_saved(self) -> bool:
        """Whether the winner's model lies there as it was saved; True too where a record does not tell how that was."""
        saved = (self.winner or {}).get("sha256")
        file = self.folder.best / "model.keras"
        if saved is None:
            return True
        return file.is_file() and hashlib.sha256(file.read_bytes()).hexdigest() == saved

    @cached_property
    def extensions(self) -> tuple[Mapping[str, Any], ...]:
        """The ``extended`` events, oldest first."""
        return self.state.extensions

    @cached_property
    def groups(self) -> dict[int, tuple[str, ...]]:
        """What sets each group of trials apart from the one before it; empty where all compare."""
        return self.state.group_differences

    @property
    def group(self) -> int:
        """The newest group, to which trials that start now belong."""
        return self.state.group

    @property
    def seconds(self) -> float:
        """Wall-clock seconds the run was worked on, without the pauses before it was resumed."""
        return seconds_worked(self.events, self._last_time)

    def epochs_of(self, trial: str) -> tuple[Line, ...]:
        """Return the epochs that a trial's model went through, in order.

        A branch's begin with its parent's up to the fork. What was rolled back is left out.
        """
        return (*self._shared(trial, "epochs"), *self._lines(trial).epochs)

    def own_epochs_of(self, trial: str) -> tuple[Line, ...]:
        """Return the living epochs that a trial trained itself."""
        return self._lines(trial).epochs

    def abandoned_of(self, trial: str) -> tuple[Line, ...]:
        """Return a trial's epochs that were rolled back, in the order they were recorded."""
        return self._lines(trial).abandoned_epochs

    def days_of(self, trial: str) -> tuple[Line, ...]:
        """Return the journal's ``day`` entries that the model went through, as ``epochs_of``."""
        return (*self._shared(trial, "days"), *self._lines(trial).days)

    def abandoned_days_of(self, trial: str) -> tuple[Line, ...]:
        """Return a trial's ``day`` entries that were rolled back, in the order recorded."""
        return self._lines(trial).abandoned_days

    def journal_of(self, trial: str) -> tuple[Line, ...]:
        """Return a trial's journal, oldest entry first."""
        return self._lines(trial).journal

    def in_force(self, trial: str) -> dict[str, Any]:
        """Return the hyperparameters that a trial trains with now; none for an unknown one."""
        found = self.trial(trial)
        if found is None:
            return {}
        shared = self._shared(trial, "days")
        return in_force_after(found.hyperparameters, self._lines(trial).journal, shared)

    def unanswered(self, trial: str) -> tuple[Request, ...]:
        """Return the requests that are neither applied nor refused yet."""
        kinds = ("applied", "refused")
        answered = {line.get("request") for line in self.journal if line["kind"] in kinds}
        mine = (request for request in self.requests if request.trial == trial)
        return tuple(request for request in mine if request.id not in answered)

    def best_of(self, trial: str) -> tuple[int, float] | None:
        """Return (epoch, value) of the best living epoch a trial trained itself, or None.

        None where it has no finite one. What a branch shares is its parent's.
        """
        score = self.score_of(trial)
        return None if score is None else (score.epoch, score.value)

    def score_of(self, trial: str) -> Score | None:
        """Return the score of the epoch that ``best_of`` names, by which trials are ranked."""
        return self.state.score_of(trial)

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
        newest = (trial for trial in self.ranked if trial.group == self.group)
        return tuple(trial for trial in newest if self.score_of(trial.trial))

    @property
    def _last_time(self) -> str | None:
        """The time of the newest line of any record; ISO times in UTC sort as text."""
        lines = (*self.events[-1:], *self.epochs[-1:])
        times = [str(line["time"]) for line in lines if "time" in line]
        return max([*times, *(trial.ended or trial.started for trial in self.trials)], default=None)

    def _lines(self, trial: str) -> TrialLines:
        return self.state.history(trial).lines

    def _shared(self, trial: str, what: Literal["epochs", "days"]) -> list[Line]:
        """Return what a branch has from its parent and has not rolled back."""
        return self._lines(trial).shared_at(None, self._shared_at_birth(trial, what))

    def _shared_at_birth(self, trial: str, what: Literal["epochs", "days"]) -> list[Line]:
        """Return what a branch has from its parent, and that from its own: living at the fork."""
        found = self.trial(trial)
        origin = found.origin if found else None
        if not found or not origin or not found.is_branch or origin["trial"] == trial:
            return []
        parent = self._lines(origin["trial"])
        forked = [e for e in parent.journal if e["kind"] == "applied" and e.get("branch") == trial]
        stretch = origin.get("stretch", stretch_of(forked[0]) if forked else None)
        before = parent.shared_at(stretch, self._shared_at_birth(origin["trial"], what))
        shared = [*before, *parent.living_at(stretch, what)]
        return [line for line in shared if line["epoch"] <= origin["epoch"]]
