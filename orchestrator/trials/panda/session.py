"""A panda in training: one model, day after day, changed between two epochs and rolled back when asked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from orchestrator.records import RunFolder
from orchestrator.records.requests import requests_of
from orchestrator.search import Nursery, TrialSpec
from orchestrator.sitter import after_change
from orchestrator.trials import Progress, load_checkpoint
from orchestrator.trials.judging import CheckpointInterval, Objective, is_time
from orchestrator.trials.panda.day_cycle import day_0, find_learning_rate, record_epoch
from orchestrator.trials.panda.request_handler import apply_schedule, handle
from orchestrator.trials.panda.state import LiveModel, Panda, PandaState, checkpoint, note
from orchestrator.trials.state_store import brought

PAUSE_SECONDS = 0.2
"""How often a paused panda looks for requests."""


class PandaSession:
    """Trains one model epoch by epoch; between two of them it answers requests and lets the sitter act."""

    def __init__(
        self, model: LiveModel, spec: TrialSpec, nursery: Nursery, objective: Objective
    ) -> None:
        self.panda = Panda(model, spec, nursery, objective, Progress())
        self.state = PandaState()
        self._reported = Progress()
        self._interval = CheckpointInterval(objective.checkpoint_every)
        self._starts, self._begun, self._failed = True, False, False

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train for about ``seconds``, longer in the middle of an epoch; a paused panda only listens."""
        over = self.begin(progress)
        began = time.monotonic()
        while not over:
            if not self.get_ready() and self.state.paused:
                time.sleep(PAUSE_SECONDS)
            over = self.train(progress)
            if is_time(self.panda.model.steps_within > 0, began, seconds):
                break
        self.settle(progress)

    def begin(self, progress: Progress) -> bool:
        """Start, where that is yet to be done; return whether it is over."""
        before, self._begun, self._failed = self.panda.progress, False, True
        if before.rows or before.journal or before.branches:
            self._reported = before
        panda = self.panda = replace(self.panda, progress=progress)
        if self._starts:
            self.state = _resumed(panda) if panda.days.last.exists() else started(panda)
        self._failed = False
        return panda.is_over(self.state)

    def get_ready(self) -> bool:
        """Answer what was asked; return whether an epoch, or a chunk of one, is to be trained."""
        self._failed = True
        self.state = answered(self.state, self.panda)
        return not (self.state.paused or self.panda.is_over(self.state))

    def train(self, progress: Progress) -> bool:
        """Train it, unless the panda is paused, and after the last one answer once more; return whether it is over."""
        panda = self.panda
        if not (self.state.paused or panda.is_over(self.state)):
            self.state = trained(self.state, panda)
        if panda.is_over(self.state):
            self.state = answered(self.state, panda)
        self._failed = False
        return panda.is_over(self.state)

    def settle(self, progress: Progress) -> None:
        """Write down what a report goes by; an error leaves the last state as it was."""
        if self._failed:
            return
        model, ending = self.panda.model, self.state.ending
        progress.done = self.panda.is_over(self.state)
        progress.stopped, progress.diverged = ending == "stopped", ending == "diverged"
        progress.epoch = model.epoch
        self._begun = True
        due = model.steps_within > 0 and self._interval.is_due(model.epoch, _steps(model))
        if self._starts or progress.rows or progress.journal or progress.done or due:
            self.keep()
        self._starts = False

    def keep(self) -> None:
        """Write the last state, with the last two reports: a resumed panda repeats them, in case they were lost.

        A power cut may take the end of the records, where the one before the last stands.
        """
        panda = self.panda
        if not self._begun:
            return
        reports = (self._reported, panda.progress)
        reported = {
            "rows": [row for report in reports for row in report.rows],
            "journal": [entry for report in reports for entry in report.journal],
            "branches": [branch for report in reports for branch in report.branches],
        }
        with self._interval.saving(panda.model.epoch, _steps(panda.model)):
            panda.days.save_last(checkpoint(self.state, panda, **reported))
            panda.days.save_best("last", panda.best_file)
            panda.objective.states.forget_unnamed(panda.trial)


def answered(state: PandaState, panda: Panda) -> PandaState:
    """Deal with what was asked since, then with what is scheduled for now; in the middle of an epoch all waits."""
    if panda.model.steps_within:
        return state
    for request in requests_of(RunFolder(panda.objective.checkpoints.parent), panda.trial):
        if request.id not in state.handled:
            state = handle(request, state, panda)
    return state if panda.is_over(state) else apply_schedule(state, panda)


def trained(state: PandaState, panda: Panda) -> PandaState:
    """Train an epoch, or a chunk of a long one."""
    row = panda.model.train_chunk()
    if panda.model.ended:
        state = replace(state, ending="stopped")
        state = note(state, panda, "verdict", text=panda.model.ended)
    return state if row is None else record_epoch(row, state, panda)[0]


def started(panda: Panda) -> PandaState:
    """Begin from the seed, or from another trial's checkpoint; a branch shares the days of its panda."""
    spec, model = panda.spec, panda.model
    state = PandaState()
    if spec.checkpoint is None:
        model.begin(spec.hyperparameters, spec.seed)
    else:
        file, states = Path(spec.checkpoint), panda.objective.states
        parent = load_checkpoint(file) if spec.branch else brought(states, file, spec.trial)
        model.resume(parent)
        if spec.branch:
            state = PandaState.from_about(parent.about).inherited()
    if spec.changes:
        model.change(spec.changes)
        state = replace(state, monitor=after_change(state.monitor, spec.changes))
    if not spec.branch:
        state = day_0(state, panda)
    panda.days.save(state.day, checkpoint(state, panda))
    return find_learning_rate(state, panda)


def _steps(model: LiveModel) -> int:
    """Return the batches trained so far, in all epochs."""
    return model.epoch * model.steps_per_epoch + model.steps_within


def _resumed(panda: Panda) -> PandaState:
    """Go on from the last state; what the last reports held is reported again."""
    last = load_checkpoint(panda.days.last)
    panda.model.resume(last)
    panda.days.restore_best("last", panda.best_file)
    panda.progress.rows.extend(last.about["rows"])
    panda.progress.journal.extend(last.about["journal"])
    panda.progress.branches.extend(last.about["branches"])
    return PandaState.from_about(last.about)
