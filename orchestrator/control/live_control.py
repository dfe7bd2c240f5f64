"""Requests to a model in training: checked against what is in force, then written down as files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.control.requests import (
    babysat_trial,
    check_branch_name,
    check_coming,
    check_kept,
    kept_ends,
    wait_for_answer,
)
from orchestrator.errors import RequestError
from orchestrator.records import (
    Request,
    RunFolder,
    RunRecords,
    read_run,
    write_request,
)

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)


@dataclass(frozen=True)
class Panda:
    """One babysat trial of a run; ``trial`` None means the first one, which is no branch.

    Each call reads the records again, so that it judges by what is in force now. All raise
    UnknownNameError for a trial that is not there and RequestError for what cannot be asked: of a
    caviar, of a run or trial that is over, of a day that does not exist or is not kept.
    """

    folder: RunFolder
    trial: str | None = None

    def set(
        self,
        changes: Mapping[str, Any],
        why: str | None = None,
        at_day: int | None = None,
        expect: Mapping[str, Any] | None = None,
        force: bool = False,
    ) -> Request:
        """Ask for new values, from the next epoch on or from the beginning of day ``at_day``.

        ``expect`` are values believed to be in force: the request is refused where they are not, now
        or when it is applied. ``force`` allows values outside the search space, with a warning.
        """
        records, trial = self._in_training()
        if not changes:
            raise RequestError("set: expected at least one name=value. Received: nothing.")
        check_coming(records, trial, at_day)
        from orchestrator.control.hyperparameter_changes import check_expected, checked_changes

        check_expected(records, trial, expect or {})
        checked = checked_changes(records, trial, changes, force)
        return self._ask(
            Request(
                "set",
                trial,
                {"changes": checked},
                why=why,
                at_day=at_day,
                expect=dict(expect or {}),
                force=force,
            )
        )

    def pause(self, why: str | None = None, at_day: int | None = None) -> Request:
        """Ask to wait after the current epoch, or at the beginning of day ``at_day``."""
        return self._plainly("pause", why, at_day)

    def continue_(self, why: str | None = None) -> Request:
        """Ask a paused model to continue."""
        return self._plainly("continue", why, None)

    def stop(self, why: str | None = None, at_day: int | None = None) -> Request:
        """Ask to end the training early and keep the model."""
        return self._plainly("stop", why, at_day)

    def note(self, text: str) -> Request:
        """Add a sentence to the journal."""
        _, trial = self._in_training()
        if not text.strip():
            raise RequestError("note: expected some text. Received: none.")
        return self._ask(Request("note", trial, {"text": text}))

    def rollback(
        self,
        to_day: int | None = None,
        to_epoch: int | None = None,
        why: str | None = None,
        at_day: int | None = None,
    ) -> Request:
        """Ask to return to the end of a day (0: before training), or to the epoch at one."""
        records, trial = self._in_training()
        if (to_day is None) == (to_epoch is None):
            raise RequestError("rollback: expected either --to-day or --to-epoch.")
        check_coming(records, trial, at_day)
        if to_day is not None:
            check_kept(records, trial, to_day, "--to-day")
        elif to_epoch not in (ends := kept_ends(records, trial)).values():
            known = [f"{epoch} (day {day})" for day, epoch in sorted(ends.items())]
            raise RequestError(
                f"--to-epoch: expected an epoch at the end of a day that is kept. Received: {to_epoch}."
                f" Known: {', '.join(known) or 'none'}."
            )
        point = {"to_day": to_day} if to_day is not None else {"to_epoch": to_epoch}
        return self._ask(Request("rollback", trial, point, why=why, at_day=at_day))

    def branch(
        self,
        name: str,
        changes: Mapping[str, Any] | None = None,
        at_day: int | None = None,
        why: str | None = None,
        force: bool = False,
    ) -> Request:
        """Ask for a new trial that goes on from the end of day ``at_day`` (None: the latest)."""
        records, trial = self._in_training()
        check_branch_name(records, name)
        if at_day is not None:
            check_kept(records, trial, at_day, "--at-day")
        from orchestrator.control.hyperparameter_changes import checked_changes

        checked = checked_changes(records, trial, changes or {}, force)
        arguments = {"at_day": at_day, "changes": checked, "name": name}
        return self._ask(Request("branch", trial, arguments, why=why, force=force))

    def answer(self, request: Request, seconds: float | None = None) -> Mapping[str, Any] | None:
        """Wait up to ``seconds`` (None: an epoch) for the outcome of a request; return its journal entry, or None.

        Raises RequestError where it is refused.
        """
        return wait_for_answer(self.folder, request, seconds)

    def _plainly(self, action: str, why: str | None, at_day: int | None) -> Request:
        records, trial = self._in_training()
        check_coming(records, trial, at_day)
        return self._ask(Request(action, trial, why=why, at_day=at_day))

    def _ask(self, request: Request) -> Request:
        return write_request(self.folder, request)

    def _in_training(self) -> tuple[RunRecords, str]:
        """Return the records and the trial's name. Raises where it can be asked nothing."""
        records = read_run(self.folder.path)
        found = babysat_trial(records, self.trial)
        if records.status == "finished" or found.ending not in (None, "interrupted"):
            what = records.name if records.status == "finished" else f"trial {found.trial}"
            state = "finished" if records.status == "finished" else found.status
            raise RequestError(
                f"{what}: expected a model in training. Received: one that is {state}."
                f" Continue from its weights with 'orchestrator promote {records.name}/{found.trial}'."
            )
        return records, found.trial


def open_panda(reference: str | Path, storage: str | Path = "./runs") -> Panda:
    """Return the babysat trial that ``RUN/TRIAL`` names, or ``RUN``; a run by its name or path.

    Raises UnknownNameError where there is no such run or trial, RequestError for a caviar.
    """
    panda = Panda(*RunFolder.find(str(reference), storage))
    babysat_trial(read_run(panda.folder.path), panda.trial)
    return panda


class RunControl:
    """The part of a run that listens: its first trial, or ``panda("gentle")`` for a branch.

    Every request is checked first (RequestError, UnknownNameError) and then written down; its outcome
    is in the journal, and ``answer`` waits for it. See Panda for each of them.
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
        """Ask a paused model to continue."""
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
        """Add a sentence to the journal."""
        return self.panda().note(text)

    def stop(self, why: str | None = None, at_day: int | None = None) -> Request:
        """Ask to end the training early and keep the model."""
        return self.panda().stop(why, at_day)

    def answer(self, request: Request, seconds: float | None = None) -> Mapping[str, Any] | None:
        """Wait for the outcome of a request: ``run.answer(run.set(learning_rate=0.01))`` is its journal entry.

        It waits up to ``seconds`` (None: an epoch), and returns None if there is no answer by then. Raises
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
