"""A run as plain lines, for logs and pipes: new bests, failures, and progress now and then."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Self, TextIO

from orchestrator.records import Mode, TrialEnd
from orchestrator.report.cells import clock, number, printable
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
        self._told_best = ""

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Take up a trial."""
        self.progress.trial_started(trial, hyperparameters)
        self._tell_progress_if_due()

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up finished epochs; say so where another trial is the best now.

        A trial that goes on improving on itself is told with the progress, not epoch by epoch.
        """
        for row in rows:
            self.progress.epoch(row)
        best = self.progress.best
        if best is not None and best.trial != self._told_best:
            self._told_best = best.trial
            self._write(self.progress.best_line())
        self._tell_progress_if_due()

    def trial_ended(self, end: TrialEnd) -> None:
        """Take up a trial's end; say so where it failed."""
        self.progress.trial_ended(end)
        if end.status == "failed":
            self._write(failure_line(end))
        self._tell_progress_if_due()

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Show nothing of a journal."""

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
        state = self.progress
        best = f"best {number(state.best.value)}" if state.best else ""
        counted = f"{state.ended}/{state.total_trials} trials: {state.counted()}"
        self._write("; ".join(part for part in (counted, best, state.time_left()) if part))

    def _write(self, text: str) -> None:
        self._stream.write(f"[{clock(self.progress.seconds)}] {text}\n")
        self._stream.flush()


def failure_line(end: TrialEnd) -> str:
    """Return what a failed trial raised and where the whole of it lies, in one line."""
    file = f" ({end.error_file})" if end.error_file else ""
    return f"trial {end.trial} failed: {printable(end.error or 'no error was given')}{file}"
