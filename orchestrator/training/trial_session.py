"""One trial's training in a worker, from its first epoch to its last. Importing this loads no TensorFlow."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RecordError, TrialError, explain
from orchestrator.records import Score, score_of
from orchestrator.search import TrialSpec
from orchestrator.trials import Checkpoint, Progress, load_checkpoint, save_checkpoint
from orchestrator.trials.judging import CheckpointInterval, Objective, finite, is_time
from orchestrator.trials.state_store import keep_best_as_last, waiting_state

if TYPE_CHECKING:
    from orchestrator.training.trainer import Trainer


def steps_of(trainer: Trainer) -> int:
    """Return the batches trained so far, in all epochs."""
    return trainer.epoch * trainer.steps_per_epoch + trainer.position.steps


def train_chunk(trainer: Trainer, trial: str, metric: str) -> dict[str, Any] | None:
    """Train a chunk of an epoch, a cheap one whole; return its row, None in the middle of it."""
    metrics = trainer.train_chunk()
    if metrics is None:
        return None
    if metric not in metrics:
        raise TrialError(
            explain("metric", "expected a metric that the model reports", metric, metrics)
        )
    return {
        "trial": trial,
        "epoch": trainer.epoch,
        "metrics": metrics,
        "parameters": trainer.backend.compiled.parameters,
        "seconds": trainer.position.seconds,
    }


class TrialSession:
    """Trains a trial's epochs one after another and keeps the state of its best one.

    Now and then it also keeps the last state, from which a killed trial goes on; one that was killed before starts
    again from its seed, which gives the same numbers.
    """

    def __init__(self, trainer: Trainer, spec: TrialSpec, objective: Objective) -> None:
        self._trainer = trainer
        self._spec = spec
        self._objective = objective
        self._begun = self._failed = False
        self._best: Score | None = None
        self._improved: Checkpoint | None = None
        self._best_is_of: int | None = None  # the epoch whose state this session wrote as the best
        self._interval = CheckpointInterval(objective.checkpoint_every)
        self._rows: list[dict[str, Any]] = []
        self._recipe = dict(spec.recipe)

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first; somewhat longer in mid-epoch."""
        if self.begin(progress):
            return
        began = time.monotonic()
        try:
            while not (self.train(progress) or is_time(self._amid, began, seconds)):
                self._keep_if_due()
        finally:
            self.settle(progress)

    def begin(self, progress: Progress) -> bool:
        """Start, where that is yet to be done; return whether the driver is to hear of it before an epoch is trained.

        It was killed then before the driver had this report, and decided.
        """
        self._rows = progress.rows
        if self._begun:
            return False
        self._begin(progress)
        self._begun = True
        return bool(progress.rows) and self._reports_after(progress.rows[-1], progress)

    def get_ready(self) -> bool:
        """Expect a chunk to be trained along with those of others, once all of them are ready."""
        self._follow_recipe()  # before another lane has the epoch of all of them trained
        self._trainer.backend.get_ready()
        return True

    def train(self, progress: Progress) -> bool:
        """Train a chunk of an epoch, a cheap one whole; return whether it ended one after which the driver decides."""
        self._failed = True
        comes_to_report = self._comes_to_report(progress)
        self._failed = False
        return comes_to_report

    def settle(self, progress: Progress) -> None:
        """Have on disk what a report tells of: the best state, and the last one where that is due."""
        if not self._begun:
            return
        progress.epoch = self._trainer.epoch
        may_pause = self._trainer.epoch in self._objective.milestones and not self._amid
        progress.kept = self._save_improved(as_last=may_pause)
        if not (progress.done or progress.diverged or self._failed):
            self._keep_if_due()

    def leave(self) -> None:
        """Leave the place to another trial, if that has not been given it yet: this one may have failed to begin."""
        if self._begun:
            self._trainer.leave()

    def about(self) -> Mapping[str, Any]:
        """Return the model's size and how it trains."""
        return facts_of(self._trainer)

    def keep(self) -> None:
        """Write the last state, with the rows of the last report; the driver surely has the reports before it."""
        if not self._begun:
            return
        with self._interval.saving(self._trainer.epoch, steps_of(self._trainer)):
            self._save_improved()
            if self._best_is_of == self._trainer.epoch and not self._amid:
                keep_best_as_last(self._objective.states, self._spec.trial)
            else:
                save_checkpoint(self._last, self._trainer.checkpoint(self._about()))

    def _about(self) -> dict[str, Any]:
        """Return what a session needs to know of the one before, besides the trainer's state."""
        best = self._best.to_plain() if self._best else None
        facts = facts_of(self._trainer)  # of one that a later driver ends without training it
        return {"trial": self._spec.trial, "best": best, "rows": [*self._rows], "facts": facts}

    @property
    def _amid(self) -> bool:
        return self._trainer.position.steps > 0

    def _keep_if_due(self) -> None:
        if self._interval.is_due(self._trainer.epoch, steps_of(self._trainer)):
            self.keep()

    def _begin(self, progress: Progress) -> None:
        """Start from the seed, or where a killed trial was: epochs that were not reported yet are reported again."""
        checkpoint = self._last_state()
        first = self._recipe.get(0, self._spec.hyperparameters)
        if checkpoint is None:
            self._trainer.begin(first, self._spec.seed)
            return
        if not self._trainer.take_up(checkpoint):
            self._trainer.begin(first, self._spec.seed)
            return
        if (
            checkpoint.about["trial"] == self._spec.trial
        ):  # else it is the state of which this is a copy
            self._best = Score.from_plain(checkpoint.about["best"])
            progress.rows.extend(checkpoint.about["rows"])

    def _last_state(self) -> Checkpoint | None:
        """Return where a killed trial was; None where it is to start from its seed, from which the same numbers come.

        That is so where its last state is damaged, or its best one is gone, which only training it again brings back. A
        copy begins where its origin was, if that waits there still.
        """
        states = self._objective.states
        try:
            checkpoint = load_checkpoint(self._last)
        except RecordError:
            origin = self._spec.origin
            return waiting_state(states, origin["trial"], origin["epoch"]) if origin else None
        best = states.best(self._spec.trial)
        return checkpoint if checkpoint.about["best"] is None or best.exists() else None

    def _comes_to_report(self, progress: Progress) -> bool:
        """Train a chunk of an epoch; return whether it ended one after which the driver decides."""
        self._follow_recipe()
        row = train_chunk(self._trainer, self._spec.trial, self._objective.metric)
        if self._trainer.ended:
            progress.done = True
        if row is None:
            return progress.done
        if row["epoch"] <= self._shared:
            return False
        self._take_in(row, progress)
        return self._reports_after(row, progress)

    @property
    def _shared(self) -> int:
        """How many epochs a copy shares with the trial whose state it began from: they are that one's to report."""
        return int(self._spec.origin["epoch"]) if self._spec.origin else 0

    def _follow_recipe(self) -> None:
        """Put in force what a copy in a population trains with from here on."""
        planned = {} if self._amid else self._recipe.get(self._trainer.epoch, {})
        given = self._trainer.given
        changes = {name: value for name, value in planned.items() if given.get(name) != value}
        if changes:
            self._trainer.change(changes)

    def _take_in(self, row: dict[str, Any], progress: Progress) -> None:
        """Add an epoch's row, and take the state where it is the trial's best."""
        progress.rows.append(row)
        score = score_of(row, self._objective.metric, self._objective.mode)
        if score is not None and score.beats(self._best):
            self._best = score
            chosen = dict(self._spec.hyperparameters)
            self._improved = self._trainer.checkpoint({**self._about(), "chosen": chosen, **row})

    def _reports_after(self, row: Mapping[str, Any], progress: Progress) -> bool:
        progress.diverged = not finite(row["metrics"].get("loss", 0.0))
        progress.done = row["epoch"] >= self._trainer.task.epochs
        return progress.diverged or progress.done or row["epoch"] in self._objective.milestones

    def _save_improved(self, as_last: bool = False) -> bool:
        """Write the best state, if there is a new one, also ``as_last`` where it is that; return whether it was."""
        if self._improved is None:
            return False
        self._best_is_of = int(self._improved.about["epoch"])
        is_last = as_last and self._best_is_of == self._trainer.epoch
        best = self._objective.states.best(self._spec.trial)
        save_checkpoint(best, self._improved, self._last if is_last else None)
        self._improved = None
        return is_last

    @property
    def _last(self) -> Path:
        return self._objective.states.last(self._spec.trial)


def facts_of(trainer: Trainer) -> dict[str, Any]:
    """Return the model's size and how it trains, as TrialEnd's fields; nothing before the trial has a model."""
    if trainer.slot is None:
        return {}
    return {
        "parameters": trainer.backend.compiled.parameters,
        "path": trainer.backend.path,
        "path_reason": "; ".join(filter(None, (trainer.slot.reason, trainer.ended))) or None,
    }
