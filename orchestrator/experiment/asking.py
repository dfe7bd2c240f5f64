"""What one can ask of a run whose model is in training, and look up about its days."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.experiment.askable import babysat_trial
from orchestrator.experiment.babysitting import Panda
from orchestrator.records import Request, RunFolder, read_run

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)


class Asking:
    """The part of a run that listens: its first trial, or ``panda("gentle")`` for a branch.

    Every request is checked first (RequestError, UnknownNameError) and then put down; what became
    of it stands in the journal, and ``answer`` waits for that. See Panda for each of them.
    """

    folder: RunFolder

    def panda(self, trial: str | None = None) -> Panda:
        """Return a babysat trial of this run: the first one, or a branch by its name."""
        return Panda(self.folder, trial)

    def set(
        self,
        changes: Mapping[str, Any] | None = None,
        /,
        *,
        why: str | None = None,
        at_day: int | None = None,
        expect: Mapping[str, Any] | None = None,
        force: bool = False,
        **more: Any,
    ) -> Request:
        """Ask for new values: ``run.set(learning_rate=0.01, why="loss is bouncing")``."""
        return self.panda().set({**(changes or {}), **more}, why, at_day, expect, force)

    def pause(self, why: str | None = None, at_day: int | None = None) -> Request:
        """Ask to wait after the current epoch."""
        return self.panda().pause(why, at_day)

    def continue_(self, why: str | None = None) -> Request:
        """Ask a paused model to go on."""
        return self.panda().continue_(why)

    def rollback(
        self, to_day: int | None = None, to_epoch: int | None = None, why: str | None = None
    ) -> Request:
        """Ask to return to the end of a day (0: before training)."""
        return self.panda().rollback(to_day, to_epoch, why)

    def branch(
        self,
        name: str,
        changes: Mapping[str, Any] | None = None,
        at_day: int | None = None,
        why: str | None = None,
        force: bool = False,
    ) -> Request:
        """Ask for a new trial that goes on from the end of a day, with changes."""
        return self.panda().branch(name, changes, at_day, why, force)

    def note(self, text: str) -> Request:
        """Put a sentence into the journal."""
        return self.panda().note(text)

    def stop(self, why: str | None = None, at_day: int | None = None) -> Request:
        """Ask to end the training, as though its days were over."""
        return self.panda().stop(why, at_day)

    def answer(self, request: Request, seconds: float | None = None) -> Mapping[str, Any] | None:
        """Wait for what becomes of a request: ``run.answer(run.set(learning_rate=0.01))`` is the journal's entry.

        It waits so long (None: as an epoch takes), and returns None where there is no answer by then. Raises
        RequestError where it is refused.
        """
        return self.panda(request.trial).answer(request, seconds)

    def journal(self, trial: str | None = None) -> pd.DataFrame:
        """Return one row an entry of the journal, of one trial or (None) of all."""
        from orchestrator.report import journal_table

        records = read_run(self.folder.path)
        babysat_trial(records, trial)
        return journal_table(records, trial)

    def days(self, trial: str | None = None) -> pd.DataFrame:
        """Return one row a day of a trial (None: the first): metrics, what was in force and done."""
        from orchestrator.report import days_table

        records = read_run(self.folder.path)
        return days_table(records, babysat_trial(records, trial).trial)
