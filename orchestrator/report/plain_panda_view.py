"""A babysat model as plain lines, for logs and pipes: a line a day, and one for each entry of the journal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Self, TextIO

from orchestrator.records import Mode, TrialEnd
from orchestrator.report.cells import brief, clock, printable
from orchestrator.report.panda_progress import PandaProgress, standing
from orchestrator.report.plain_view import failure_line


class PlainPandaView:
    """Writes what the journal says as it is said, and where each trial ended."""

    def __init__(self, days: int, metric: str, mode: Mode, stream: TextIO | None = None) -> None:
        self.progress = PandaProgress(days, metric)
        self._stream = stream or sys.stderr

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Tell that a trial began, and with what."""
        self.progress.trial(trial).hyperparameters = dict(hyperparameters)
        self._write(f"{trial} starts: {brief(hyperparameters) or 'defaults'}")

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up finished epochs; the journal tells their days."""
        self.progress.epochs(rows)

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Write each entry; a day's is the line of that day."""
        for sentence in self.progress.journal(entries):
            self._write(sentence)

    def trial_ended(self, end: TrialEnd) -> None:
        """Tell how a trial ended and how far it came."""
        trial = self.progress.trial(end.trial)
        trial.ended = end.status
        if end.status == "failed":
            self._write(failure_line(end))
        else:
            self._write(f"{end.trial}: {standing(trial, self.progress)}")

    def note(self, text: str) -> None:
        """Write a sentence."""
        self._write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave nothing behind: the last line was written when it happened."""

    def _write(self, text: str) -> None:
        self._stream.write(f"[{clock(self.progress.seconds)}] {printable(text)}\n")
        self._stream.flush()
