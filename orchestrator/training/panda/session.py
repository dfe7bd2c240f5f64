"""A panda in training: one model, day after day, changed between two epochs and rolled back when asked."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from orchestrator.errors import TrialError
from orchestrator.records import RunFolder
from orchestrator.records.requests import requests_of
from orchestrator.search import Nursery, TrialSpec
from orchestrator.sitter import after_change
from orchestrator.training.panda.day_cycle import day_0, find_learning_rate, record_epoch
from orchestrator.training.panda.request_handler import apply_schedule, handle
from orchestrator.training.panda.state import Panda, PandaState, checkpoint, note
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import (
    CheckpointInterval,
    Objective,
    is_time,
    steps_of,
    train_chunk,
)
from orchestrator.trials import Progress, load_checkpoint

PAUSE_SECONDS = 0.2
"""How often a paused panda looks for requests."""


class PandaSession:
    """Trains one model epoch by epoch; between two of them it answers requests and lets the sitter act."""

    def __init__(
        self, trainer: Trainer, spec: TrialSpec, nursery: Nursery, objective: Objective
    ) -> None:
        self.panda = Panda(trainer, spec, nursery, objective, Progress())
        self.state = PandaState()
        self._reported = Progress()
        self._interval = CheckpointInterval(objective.checkpoint_every)
        self._begun = False

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train for about ``seconds``, longer in the middle of an epoch; a paused panda only listens."""
        before, trainer = self.panda.progress, self.panda.trainer
        if before.rows or before.journal or before.branches:
            self._reported = before
        panda = self.panda = replace(self.panda, progress=progress)
        starts, self._begun = not self._begun, False  # an error leaves the last state as it was
        if starts:
            self.state = _resumed(panda) if panda.days.last.exists() else started(panda)
        began = time.monotonic()
        while not panda.is_over(self.state):
            self._step()
            if is_time(trainer, began, seconds):
                break
        progress.done = panda.is_over(self.state)
        progress.stopped = self.state.ending == "stopped"
        progress.diverged = self.state.ending == "diverged"
        progress.epoch = trainer.epoch
        self._begun = True
        due = trainer.position.steps > 0 and self._interval.is_due(trainer.epoch, steps_of(trainer))
        if starts or progress.rows or progress.journal or progress.done or due:
            self.keep()

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
        with self._interval.saving(panda.trainer.epoch, steps_of(panda.trainer)):
            panda.days.save_last(checkpoint(self.state, panda, **reported))
            panda.days.save_best("last", panda.best_file)

    def _step(self) -> None:
        """Answer what was asked, then train an epoch, or a chunk of one; after the last one answer once more."""
        panda = self.panda
        self.state = answered(self.state, panda)
        if self.state.paused:
            time.sleep(PAUSE_SECONDS)
        elif not panda.is_over(self.state):
            self.state = trained(self.state, panda)
        if panda.is_over(self.state):
            self.state = answered(self.state, panda)


def answered(state: PandaState, panda: Panda) -> PandaState:
    """Deal with what was asked since, then with what is scheduled for now; in the middle of an epoch all waits."""
    if panda.trainer.position.steps:
        return state
    for request in requests_of(RunFolder(panda.objective.checkpoints.parent), panda.trial):
        if request.id not in state.handled:
            state = handle(request, state, panda)
    return state if panda.is_over(state) else apply_schedule(state, panda)


def trained(state: PandaState, panda: Panda) -> PandaState:
    """Train an epoch, or a chunk of a long one."""
    row = train_chunk(panda.trainer, panda.trial, panda.objective.metric)
    if panda.trainer.ended:
        state = replace(state, ending="stopped")
        state = note(state, panda, "verdict", text=panda.trainer.ended)
    return state if row is None else record_epoch(row, state, panda)[0]


def started(panda: Panda) -> PandaState:
    """Begin from the seed, or from another trial's checkpoint; a branch shares the days of its panda."""
    spec, trainer = panda.spec, panda.trainer
    state = PandaState()
    if spec.checkpoint is None:
        trainer.begin(spec.hyperparameters, spec.seed)
        _check_rate_is_read(trainer)
    else:
        parent = load_checkpoint(Path(spec.checkpoint))
        trainer.resume(parent)
        if spec.branch and "panda" in parent.about:
            state = PandaState.from_about(parent.about).inherited()
        else:
            trainer.epoch = 0
    if spec.changes:
        trainer.change(spec.changes)
        state = replace(state, monitor=after_change(state.monitor, spec.changes))
    if not spec.branch:
        state = day_0(state, panda)
    panda.days.save(state.day, checkpoint(state, panda))
    return find_learning_rate(state, panda)


def _check_rate_is_read(trainer: Trainer) -> None:
    """Raise TrialError where a learning rate was given and none can be set."""
    fixed = trainer.why_rate_is_fixed
    if fixed is not None and "learning_rate" in trainer.given:
        raise TrialError(
            f"learning_rate: expected a model whose learning rate can be set. Received: one of which {fixed}."
            " Leave learning_rate out, or have the model's builder read it."
        )


def _resumed(panda: Panda) -> PandaState:
    """Go on from the last state; what the last reports held is reported again."""
    last = load_checkpoint(panda.days.last)
    panda.trainer.resume(last)
    panda.days.restore_best("last", panda.best_file)
    panda.progress.rows.extend(last.about["rows"])
    panda.progress.journal.extend(last.about["journal"])
    panda.progress.branches.extend(last.about["branches"])
    return PandaState.from_about(last.about)
