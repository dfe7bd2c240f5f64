"""One trial as a value, and what was recorded of it: its epochs, its journal, its best score."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records.events import EpochRow, JournalEntry
from orchestrator.records.lineage import TrialLines, is_rollback, stretch_of
from orchestrator.records.score import Mode, Score, best_score


@dataclass(frozen=True)
class TrialRecord:
    """One trial, from its ``started`` line and, once it has one, its ``ended`` line.

    ``origin`` is where a branch or a promoted trial comes from: {run (None: this one), trial, day,
    epoch, and stretch, where it was written down}. ``group`` is the group of comparable trials. A replicate, of that
    number, ``repeats`` another trial with a seed of its own.
    """

    trial: str
    index: int
    seed: int
    hyperparameters: Mapping[str, Any]
    started: str
    ended: str | None = None
    ending: str | None = None
    stopped_by: Mapping[str, Any] | None = None
    error: str | None = None
    error_file: str | None = None
    parameters: int | None = None
    path: str | None = None
    path_reason: str | None = None
    worker: str | None = None
    rss_mb: float | None = None
    failure: str | None = None
    attempts: int | None = None
    seconds: float | None = None
    origin: Mapping[str, Any] | None = None
    group: int = 1
    repeats: str | None = None
    replicate: int | None = None

    def __repr__(self) -> str:
        """Return in a line what it is and what became of it; in another one why it failed."""
        values = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in self.hyperparameters.items()
        )
        seconds = "" if self.seconds is None else f" after {self.seconds:.3g} s"
        said = f"Trial {self.trial}: {self.status}{seconds}; {', '.join(values)}"
        return f"{said}\n  {self.error.splitlines()[0]}" if self.error else said

    @property
    def configuration(self) -> str:
        """The trial that stands for its hyperparameters: the one that a replicate repeats, else itself."""
        return self.repeats or self.trial

    @property
    def status(self) -> str:
        """finished, stopped, failed, diverged, interrupted; running where no ending is recorded."""
        return self.ending or "running"

    @property
    def is_over(self) -> bool:
        """Whether the trial ended for good: one that was interrupted may go on."""
        return self.ending not in (None, "interrupted")

    @property
    def is_branch(self) -> bool:
        """Whether the trial forked from another one of the same run."""
        return self.origin is not None and self.origin.get("run") is None


@dataclass
class TrialHistory:
    """One trial's own epochs and journal as they were recorded, and what follows from them.

    ``last_epoch`` is the last one that was not rolled back. ``thin`` says that the epochs were let go of: only the best
    and the last are known.
    """

    rows: list[EpochRow] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    last_epoch: int = 0
    thin: bool = False
    _stretch: int = 0
    _least: int = 0
    _best: Score | None = None
    _best_is_known: bool = True
    _lines: TrialLines | None = None

    def add_epoch(self, row: EpochRow, score: Score | None) -> None:
        """Take in a finished epoch."""
        if stretch_of(row) < self._least:
            return
        if self.thin and stretch_of(row) > self._stretch:  # one that was retried
            self._best, self.last_epoch, self._stretch = None, 0, stretch_of(row)
        epoch, self._lines = int(row["epoch"]), None
        follows = stretch_of(row) == self._stretch and epoch > self.last_epoch
        if not self.thin:
            self.rows.append(row)
        # After a rollback, or out of order, the best is worked out again when it is asked for.
        if not (self.thin or (follows and self._best_is_known)):
            self._best_is_known = False
            return
        self.last_epoch = max(self.last_epoch, epoch)
        if score is not None and score.beats(self._best):
            self._best = score

    def add_entry(self, entry: JournalEntry) -> None:
        """Take in an entry of the journal."""
        self.journal.append(entry)
        self._lines = None
        if is_rollback(entry):
            self._best_is_known = False

    def begin_anew(self, stretch: int) -> None:
        """Let no epoch of an earlier stretch count any more."""
        self._least, self._lines = stretch, None
        if not self.thin:
            self.rows = [row for row in self.rows if stretch_of(row) >= stretch]
            self._best_is_known = False
        elif self._stretch < stretch:
            self._best, self.last_epoch, self._stretch = None, 0, stretch

    def let_go_of_epochs(self) -> None:
        """Forget the epochs, where nothing can be rolled back any more."""
        if self._best_is_known and not self.journal:
            self.rows, self._lines, self.thin = [], None, True

    @property
    def lines(self) -> TrialLines:
        """Its epochs and days, those rolled back apart."""
        if self._lines is None:
            self._lines = TrialLines.sorted_out(self.rows, self.journal)
        return self._lines

    def best(self, metric: str, mode: Mode) -> Score | None:
        """Return the score of the best epoch that was not rolled back."""
        if not self._best_is_known:
            lived = self.lines.epochs
            self._best, self._best_is_known = best_score(lived, metric, mode), True
            self.last_epoch = int(lived[-1]["epoch"]) if lived else 0
            self._stretch = max(
                (stretch_of(line) for line in (*self.rows, *self.journal)), default=0
            )
        return self._best


_CHANGING = re.compile(r"0x[0-9a-fA-F]+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def shared_error(errors: Iterable[str | None]) -> str | None:
    """Return the first of the errors where all are alike; None where they differ, or one is none."""
    found = list(errors)
    kinds = {_CHANGING.sub("#", error) if error else None for error in found}
    return found[0] if len(kinds) == 1 else None
