"""A run as plain lines, for logs and pipes: new bests, failures, and progress now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Self, TextIO

from orchestrator.records import Mode, TrialEnd
from orchestrator.report.cells import clock, printable
from orchestrator.report.progress import Progress

_SECONDS_BETWEEN_LINES = 5.0


class PlainView:
    """Writes at most one progress line in five seconds, and a line for what matters at once."""

    def __init__(
        self,
        total_trials: int,
        epochs: int,
        metric: str,
        mode: Mode,
        stream: TextIO | None = None,
    ) -> None:
        self.progress = Progress(total_trials, epochs, metric, mode)
        self._stream = stream or sys.stderr
        self._last_line = self.progress.began

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Take up a trial."""
        self.progress.trial_started(trial, hyperparameters)
        self._tell_progress_if_due()

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up finished epochs; say so where the last of them is a new best."""
        improved = [self.progress.epoch(row) for row in rows]
        if any(improved):
            self._write(self.progress.best_line())
        self._tell_progress_if_due()

    def trial_ended(self, end: TrialEnd) -> None:
        """Take up a trial's end; say so where it failed."""
        self.progress.trial_ended(end)
        if end.status == "failed":
            self._write(failure_line(end))
        self._tell_progress_if_due()

    def note(self, text: str) -> None:
        """Write a sentence."""
        self._write(printable(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._tell_progress()

    def _tell_progress_if_due(self) -> None:
        if self.progress.now() - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._tell_progress()

    def _tell_progress(self) -> None:
        self._last_line = self.progress.now()
        left = self.progress.time_left()
        text = f"{self.progress.ended}/{self.progress.total_trials} trials: "
        self._write(text + self.progress.counted() + (f"; {left}" if left else ""))

    def _write(self, text: str) -> None:
        self._stream.write(f"[{clock(self.progress.seconds)}] {text}\n")
        self._stream.flush()


def failure_line(end: TrialEnd) -> str:
    """Return what a failed trial raised and where the whole of it lies, in one line."""
    file = f" ({end.error_file})" if end.error_file else ""
    return f"trial {end.trial} failed: {printable(end.error or 'no error was given')}{file}"
