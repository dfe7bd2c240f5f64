"""Something that reports, babysat: its hyperparameters change between two reports, it goes back to states it kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from orchestrator.errors import RecordError, RequestError, TrialError, explain
from orchestrator.search import Nursery, TrialSpec
from orchestrator.trials.checkpoint import Checkpoint
from orchestrator.trials.judging import Objective
from orchestrator.trials.panda.session import PandaSession
from orchestrator.trials.panda.state import Tried
from orchestrator.trials.protocol import Progress
from orchestrator.trials.reporting import (
    NOT_YET,
    ReportingJob,
    ReportingWorkbench,
    Reports,
    Start,
    check_reported,
    is_number,
    row_of,
)
from orchestrator.trials.state_store import epoch_of

COMPANION = "one_minus_"


class LiveRun(Reports, Protocol):
    """What runs, and takes other hyperparameters: it reads them anew, or begins again from its last state."""

    def change(self, values: Mapping[str, Any]) -> None:
        """Put new values in force between two epochs."""


def babysat(
    job: ReportingJob, begin: Callable[[Start], LiveRun], nursery: Nursery | None
) -> ReportingWorkbench:
    """Return a process in which trials run, babysat where there is a nursery."""
    if nursery is None:
        return ReportingWorkbench(job, begin)
    return ReportingWorkbench(job, begin, lambda spec: BabysatSession(job, begin, spec, nursery))


class BabysatSession:
    """A panda that is something that reports."""

    def __init__(
        self,
        job: ReportingJob,
        begin: Callable[[Start], LiveRun],
        spec: TrialSpec,
        nursery: Nursery,
    ) -> None:
        self._model = LiveReports(job, begin, spec)
        objective = Objective(job.metric, job.mode, frozenset(), job.states.folder)
        self._panda = PandaSession(self._model, spec, nursery, objective)

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train for about ``seconds``; a paused panda only listens."""
        self._panda.advance(progress, seconds)

    def keep(self) -> None:
        """Write the last state."""
        self._panda.keep()

    def end(self) -> None:
        """Have it end, wherever it is."""
        self._model.end()


class LiveReports:
    """What reports as a panda's model.

    It is begun when its next epoch is asked for, from the last state that it kept. Where that is an earlier one than
    the last that is known, since its process was killed, it is brought up to that first: the epochs in between run
    again, unheard, with the hyperparameters that were in force then (``_changes``: after which epoch, and what).
    """

    steps_per_epoch = steps_within = validation_rows = 0

    def __init__(
        self, job: ReportingJob, begin: Callable[[Start], LiveRun], spec: TrialSpec
    ) -> None:
        self._job = job
        self._begin = begin
        self._spec = spec
        self._files = job.states.files(spec.trial)
        self._files.sweep()
        self._reports: LiveRun | None = None
        self._state: str | None = None
        self._changes: list[tuple[int, Mapping[str, Any]]] = []
        self.epoch = 0
        self.ended: str | None = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """Return the hyperparameters in force."""
        return self._in_force(self.epoch)

    @property
    def why_rate_is_fixed(self) -> str | None:
        """Return why no change of ``learning_rate`` would do anything."""
        if "learning_rate" in self._spec.hyperparameters:
            return None
        return f"the {self._job.kind} has no hyperparameter learning_rate"

    def begin(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        """Begin from a seed."""
        self._start(hyperparameters, seed, (), 0, None)

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint: from the state that it names, or from epoch 1 up to where it was."""
        about = checkpoint.about
        begun = about.get("begun_with", about["hyperparameters"])
        changes = [(int(epoch), values) for epoch, values in about.get("live_changes", ())]
        state = about.get("state")
        try:
            state = state and self._files.find(state).name
        except RecordError:
            state = None
        self._start(begun, int(about["seed"]), changes, int(about["epoch"]), state)

    def checkpoint(self, about: Mapping[str, Any]) -> Checkpoint:
        """Return where it is, and the name of the last state that it kept."""
        return Checkpoint(
            (),
            (),
            {
                "epoch": self.epoch,
                "seed": self._spec.seed,
                "begun_with": dict(self._spec.hyperparameters),
                "live_changes": [[epoch, dict(values)] for epoch, values in self._changes],
                "hyperparameters": self.hyperparameters,
                "in_force": self.hyperparameters,
                "state": self._state,
                **about,
            },
        )

    def check_going_on(self, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> None:
        """Raise RequestError where no state of that very epoch was kept, or for values that cannot be set."""
        self._check(changes)
        epoch, state = int(checkpoint.about["epoch"]), checkpoint.about.get("state")
        self._check_state(epoch, state)
        if state is not None:
            self._files.find(state)

    def change(self, changes: Mapping[str, Any]) -> str:
        """Put new values in force: they are read anew for the next epoch."""
        self._check(changes)
        if not self._job.reads_anew:
            self._check_state(self.epoch, self._state)
        values = self._with_companions(changes)
        if self._reports is not None:
            self._reports.change(values)
        self._changes.append((self.epoch, values))
        return "live"

    def train_chunk(self) -> dict[str, Any] | None:
        """Wait for the next epoch's report; return its row, None where there is none any more."""
        reports = self._reports = self._reports or self._begun()
        metrics, began = None, time.monotonic()
        while reports.epoch <= self.epoch:
            metrics = reports.next()
            if metrics is NOT_YET:
                continue
            if metrics is None:
                self._returned(reports.epoch)
                return None
            began = began if reports.epoch > self.epoch else time.monotonic()
            if epoch_of(self._state) < reports.epoch <= self.epoch:
                self._change_again(reports)
        if metrics is None:
            raise RuntimeError("it reports one epoch after another")
        seconds = time.monotonic() - began
        row = row_of(self._job, self._spec.trial, self.epoch + 1, metrics, seconds)
        self.epoch, self._state = self.epoch + 1, reports.state
        return row

    def untrained(self) -> dict[str, float]:
        """Return nothing: before its first epoch it reports nothing."""
        return {}

    def losses_at(self, rates: Sequence[float]) -> list[float]:
        """Return nothing: it reports epochs, no batches."""
        return []

    def tried(self, changes: Sequence[Mapping[str, Any]], epochs: int) -> list[Tried]:
        """Raise TrialError: it reports no loss of each row."""
        raise TrialError(f"{self._job.text}: expected the loss of each validation row.")

    def end(self) -> None:
        """Have it end, wherever it is."""
        if self._reports is not None:
            self._reports.end()
        self._reports = None

    def _start(
        self,
        begun_with: Mapping[str, Any],
        seed: int,
        changes: Sequence[tuple[int, Mapping[str, Any]]],
        epoch: int,
        state: str | None,
    ) -> None:
        self.end()
        self._spec = replace(self._spec, hyperparameters=dict(begun_with), seed=seed)
        self._changes = list(changes)
        self.epoch, self._state, self.ended = epoch, state, None

    def _begun(self) -> LiveRun:
        """Begin from the last state, with what was in force then."""
        spec = replace(self._spec, hyperparameters=self._in_force(epoch_of(self._state)))
        return self._begin(Start(spec, self._files, self._state))

    def _change_again(self, reports: LiveRun) -> None:
        """Put in force what was changed after an epoch that runs again."""
        for epoch, values in self._changes:
            if epoch == reports.epoch:
                reports.change(values)

    def _returned(self, epoch: int) -> None:
        """Take it that there is no further epoch. Raises TrialError where it has come less far than before."""
        check_reported(self._job, self.epoch)
        if epoch < self.epoch:
            raise TrialError(
                f"{self._job.text}: expected it to report up to epoch {self.epoch} again, where it was."
                f" Received: a {self._job.kind} that returned after epoch {epoch}."
            )
        self.ended = f"the {self._job.kind} returned"

    def _in_force(self, epoch: int) -> dict[str, Any]:
        values = dict(self._spec.hyperparameters)
        for at, changes in self._changes:
            values |= changes if at <= epoch else {}
        return values

    def _check_state(self, epoch: int, state: str | None) -> None:
        if epoch and epoch_of(state) != epoch:
            raise RequestError(
                f"{self._job.text}: expected an epoch whose state was saved {self._job.saved_with}."
                f" Received: epoch {epoch}, of which there is none."
            )

    def _check(self, changes: Mapping[str, Any]) -> None:
        """Raise RequestError for a name that it was not given, or a value of another kind."""
        known = self.hyperparameters
        for name, value in changes.items():
            if name not in known:
                expected = f"expected a hyperparameter that the {self._job.kind} is given"
                raise RequestError(explain("set", expected, name, known))
            if is_number(known[name]) and not is_number(value):
                raise RequestError(explain(name, "expected a number", value))

    def _with_companions(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Return changes with those of 1-β beside those of β, where it was given both."""
        values = dict(changes)
        for name in changes:
            base = name.removeprefix(COMPANION)
            other = base if name != base else COMPANION + name
            if other in self.hyperparameters and other not in changes:
                values[other] = 1 - changes[name]
        return values
