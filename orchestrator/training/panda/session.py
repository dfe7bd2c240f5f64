"""A panda in training: one model, day after day, changed between two epochs and taken back when asked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from orchestrator.records import RunFolder, Score, score_of
from orchestrator.records.requests import requests_of
from orchestrator.sitter import Sitter
from orchestrator.strategies import Nursery
from orchestrator.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.training.keeping import KeepingRhythm
from orchestrator.training.panda.answers import Answers
from orchestrator.training.panda.birth import Birth, inherit
from orchestrator.training.panda.care import Care
from orchestrator.training.panda.days import DayCheckpoints
from orchestrator.training.panda.memory import Memory
from orchestrator.training.progress import Progress
from orchestrator.training.rates import check_rate_is_read
from orchestrator.training.session import Goal, checkpoint_file, finite, is_time, train_part
from orchestrator.training.trainer import Trainer

Ending = Literal["stopped", "diverged"]

PAUSE_SECONDS = 0.2
"""How often a paused panda looks for requests."""


class PandaSession:
    """Trains one model epoch by epoch; between two of them it answers requests and lets the sitter act."""

    def __init__(self, trainer: Trainer, birth: Birth, nursery: Nursery, goal: Goal) -> None:
        self.trainer = trainer
        self.birth = birth
        self.nursery = nursery
        self.goal = goal
        self.memory = Memory()
        self.days = DayCheckpoints(goal.checkpoints / birth.trial, nursery.keep_days)
        self.sitter = self._sitter()
        self.paused = False
        self.ending: Ending | None = None
        self.progress = Progress()
        self._told = Progress()
        self._rhythm = KeepingRhythm(goal.checkpoint_every)
        self._best: Score | None = None
        self._begun = False

    @property
    def trial(self) -> str:
        """Return the panda's name."""
        return self.birth.trial

    @property
    def is_over(self) -> bool:
        """Return whether it ended or has lived all its days."""
        return self.ending is not None or self.memory.day >= self.nursery.days

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train for about ``seconds``, some more amid an epoch; a paused panda only listens."""
        if self.progress.rows or self.progress.journal or self.progress.branches:
            self._told = self.progress
        self.progress = progress
        starts = not self._begun
        if starts:
            self._begin()
        began = time.monotonic()
        while not self.is_over:
            self._listen()
            if self.paused:
                time.sleep(PAUSE_SECONDS)
            elif not self.is_over:
                self._part()
            if self.is_over:
                self._listen()
            if is_time(self.trainer, began, seconds):
                break
        progress.done = self.is_over
        progress.stopped = self.ending == "stopped"
        progress.diverged = self.ending == "diverged"
        progress.epoch = self.trainer.epoch
        amid = self.trainer.within.steps > 0
        due = amid and self._rhythm.is_due(self.trainer.epoch, self.trainer.steps)
        if starts or progress.rows or progress.journal or progress.done or due:
            self.keep()

    def keep(self) -> None:
        """Write the last state down: after each report with something to tell, and now and then amid an epoch."""
        if self._begun:
            with self._rhythm.keeping(self.trainer.epoch, self.trainer.steps):
                self.days.save_last(self.checkpoint())
                self.days.keep_best("last", self._best_file)

    def note(self, kind: str, **facts: Any) -> None:
        """Add an entry to the journal."""
        memory = self.memory
        memory.entries += 1
        self.progress.journal.append(
            {
                "kind": kind,
                "id": f"{self.trial}-{memory.entries}",
                "trial": self.trial,
                "epoch": self.trainer.epoch,
                "day": memory.day,
                "stretch": memory.stretch,
                **facts,
            }
        )

    def checkpoint(self) -> Checkpoint:
        """Return the whole state: model, optimizer, what is remembered, and told: in the last two reports.

        A power cut may take the end of the records, where the one before this one stands.
        """
        self.memory.sitter = self.sitter.memory
        return self.trainer.checkpoint(
            {
                "trial": self.trial,
                "chosen": self.chosen,
                "panda": self.memory.to_plain(),
                "best": self._best.to_plain() if self._best else None,
                "paused": self.paused,
                "ending": self.ending,
                "rows": self._told.rows + self.progress.rows,
                "journal": self._told.journal + self.progress.journal,
                "branches": self._told.branches + self.progress.branches,
            }
        )

    def go_back(self, checkpoint: Checkpoint) -> None:
        """Return to a checkpoint of this panda: weights, slots, averages, generators, memory, the sitter's too."""
        earlier = Memory.from_plain(checkpoint.about["panda"])
        self.trainer.resume(checkpoint)
        self.memory = self.memory.gone_back_to(earlier)
        self.sitter.remember(earlier.sitter)
        had_best = self.days.give_best(self.memory.day, self._best_file)
        self._best = Score.from_plain(checkpoint.about["best"]) if had_best else None

    def change(self, changes: Mapping[str, Any], by: str, **facts: Any) -> None:
        """Put new values in force and journal old and new."""
        before = dict(self.trainer.hyperparameters)
        how = self.trainer.change(changes)
        self.memory.changed += [name for name in changes if name not in self.memory.changed]
        self.sitter.changed(changes)
        old_and_new = {name: [before.get(name), value] for name, value in changes.items()}
        entry = {"request": None, "by": by, "action": "set"} | facts
        self.note("applied", **entry, changes=old_and_new, how=how)
        self.memory.await_effect(entry["request"], by, self.goal.metric)

    def return_by_sitter(self, day: int, by: str) -> None:
        """Go back to a day's end on the sitter's own account: what it has spent stays spent."""
        spent = self.sitter.memory
        Answers(self).roll_back({"to_day": day}, by=by)
        gone_back_to = self.sitter.memory
        self.sitter.remember(spent)
        self.sitter.return_to(gone_back_to)

    def _begin(self) -> None:
        """Start anew, from another's checkpoint, or from where a killed one was."""
        self._begun = True
        if self.days.last.exists():
            self._resume(load_checkpoint(self.days.last))
            return
        if self.birth.checkpoint is not None:
            inherit(self, load_checkpoint(self.birth.checkpoint))
        else:
            self.trainer.begin(self.birth.hyperparameters, self.birth.seed)
            check_rate_is_read(self.trainer)
        if self.birth.changes:
            self.trainer.change(self.birth.changes)
            self.sitter.changed(self.birth.changes)
        care = Care(self)
        self._let_sitter_know()
        if not self.birth.branch:
            care.tell_what_cannot_be_done()
            care.show_day_0()
        self.days.save(self.memory.day, self.checkpoint())
        care.test_learning_rate()

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Go on after a kill; what the last report held is told again, in case it was never heard."""
        about = checkpoint.about
        self.trainer.resume(checkpoint)
        self._let_sitter_know()
        self.memory = Memory.from_plain(about["panda"])
        self.sitter.remember(self.memory.sitter)
        self._best = Score.from_plain(about["best"])
        self.days.give_best("last", self._best_file)
        self.paused = bool(about["paused"])
        self.ending = about["ending"]
        self.progress.rows.extend(about["rows"])
        self.progress.journal.extend(about["journal"])
        self.progress.branches.extend(about["branches"])

    def _let_sitter_know(self) -> None:
        """Have a sitter that may act only advise where the model's learning rate cannot be set."""
        if self.trainer.why_rate_is_fixed is not None:
            memory = self.sitter.memory
            self.sitter = self._sitter(only_advises=True)
            self.sitter.remember(memory)

    def _sitter(self, only_advises: bool = False) -> Sitter:
        nursery, goal = self.nursery, self.goal
        options = nursery.sitter
        if only_advises and options.mode == "act":
            options = options.model_copy(update={"mode": "advise"})
        rows = self.trainer.validation_rows
        return Sitter(options, goal.metric, goal.mode, rows, nursery.epochs)

    def end_of_day(self) -> int:
        """Keep the day that just ended, and the best state by then; return the bytes of the former."""
        size = self.days.save(self.memory.day, self.checkpoint())
        self.days.keep_best(self.memory.day, self._best_file)
        return size

    def _listen(self) -> None:
        """Deal with what was asked since, then with what the plan has scheduled for now; amid an epoch all waits."""
        if self.trainer.within.steps:
            return
        run = RunFolder(self.goal.checkpoints.parent)
        answers = Answers(self)
        for request in requests_of(run, self.trial):
            if request.id not in self.memory.handled:
                answers.answer(request)
        if not self.is_over:
            answers.apply_schedule()

    def _part(self) -> None:
        row = train_part(self.trainer, self.trial, self.goal.metric)
        if self.trainer.ended:
            self.ending = "stopped"
            self.note("verdict", text=self.trainer.ended)
        if row is not None:
            self.live_through(row)

    def live_through(self, row: dict[str, Any]) -> bool:
        """Take in an epoch just trained: tell it, judge it, end the day; return whether the panda went elsewhere."""
        memory = self.memory
        self.progress.rows.append(row | {"stretch": memory.stretch})
        memory.epochs_today += 1
        memory.seconds_today += row["seconds"]
        memory.steps_today += self.trainer.steps_per_epoch
        self._save_if_best(row)
        care = Care(self)
        if care.after_epoch(row):
            return True
        if not finite(row["metrics"].get("loss")):
            self.ending = "diverged"
            self.note("verdict", text="the loss is not finite and no sitter may act: it ends")
            return True
        today = (memory.epochs_today, memory.seconds_today, memory.steps_today)
        return self.nursery.day.reached(*today) and care.end_day(row)

    def _save_if_best(self, row: Mapping[str, Any]) -> None:
        score = score_of(row, self.goal.metric, self.goal.mode)
        if score is not None and score.beats(self._best):
            self._best = score
            about = {"trial": self.trial, "chosen": self.chosen, **row}
            save_checkpoint(self._best_file, self.trainer.checkpoint(about))

    @property
    def _best_file(self) -> Path:
        return checkpoint_file(self.goal.checkpoints, self.trial)

    @property
    def chosen(self) -> dict[str, Any]:
        """Return the hyperparameters in force that somebody chose, defaults left out."""
        names = dict.fromkeys([*self.birth.hyperparameters, *self.memory.changed])
        return {name: self.trainer.hyperparameters.get(name) for name in names}
