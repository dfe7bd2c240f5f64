"""A caviar while it runs, redrawn in place on a terminal or as plain lines, for logs and pipes.

The live view shows progress, the best so far, and the curves in training. Drawing happens in rich's own thread, four
times a second at most, however often the driver reports; a frame is a few lines of text laid out here (rich's
tables would cost ten times more).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Sequence
from typing import Self, TextIO

from rich.text import Text

from orchestrator.records import Event, Mode
from orchestrator.report.chart import sparkline
from orchestrator.report.formatting import brief, clock, number, printable
from orchestrator.report.live.progress import Progress, RunningTrial
from orchestrator.report.live.terminal_view import (
    STATUS_STYLES,
    Redrawn,
    failure_line,
    failures,
)

_FRAMES_PER_SECOND = 4
_MOST_CURVES = 12
_LINES_AROUND_CURVES = 6
_SECONDS_BETWEEN_LINES = 5.0


class LiveView(Redrawn):
    """Draws a run of any number of trials in a block that never outgrows the terminal."""

    def __init__(
        self,
        total_trials: int,
        epochs: int,
        metric: str,
        mode: Mode,
        stream: TextIO | None = None,
    ) -> None:
        self.progress = Progress(total_trials, epochs, metric, mode)
        super().__init__(self.progress, _FRAMES_PER_SECOND, stream)

    def _lines(self, width: int, height: int) -> list[Text]:
        lines = [self._bar(width), self._counts(), *self._best(width)]
        return lines + self._curves(width, height - _LINES_AROUND_CURVES)

    def _last_lines(self) -> list[Text]:
        state = self.progress
        took = f"{state.ended}/{state.total_trials} trials in {clock(state.seconds)}"
        return [Text(f"{took}: {state.counted()}")]

    def _bar(self, width: int) -> Text:
        state = self.progress
        left = state.time_left()
        figures = f" {state.ended}/{state.total_trials} trials  {clock(state.seconds)}"
        figures += f", {left}" if left else ""
        room = max(width - len(figures), 10)
        filled = round(state.share() * room)
        return Text.assemble(("━" * filled, "green"), ("━" * (room - filled), "dim"), figures)

    def _counts(self) -> Text:
        parts = self.progress.counted().split(", ")
        styled = [Text(part, style=STATUS_STYLES.get(part.split()[-1], "")) for part in parts]
        return Text(", ").join(styled)

    def _best(self, width: int) -> list[Text]:
        found = self.progress.best
        if found is None:
            return [Text(self.progress.best_line(), style="dim")]
        head = Text.assemble(
            f"best {self.progress.metric} ",
            (number(found.value), "bold green"),
            f"  trial {found.trial}, epoch {found.epoch}",
        )
        return [head, Text(f"  {brief(found.hyperparameters)}", style="dim")]

    def _curves(self, width: int, room: int) -> list[Text]:
        """Return a line for each running trial, the most promising first, as many as fit."""
        running = self.progress.running
        shown = min(len(running), room, _MOST_CURVES)
        if shown <= 0:
            return []
        sign = -1.0 if self.progress.mode == "max" else 1.0
        ranked = sorted(running.items(), key=lambda pair: _rank(pair[1], sign))[:shown]
        finite = [value for _, trial in ranked for value in trial.curve if math.isfinite(value)]
        low, high = min(finite, default=0.0), max(finite, default=0.0)
        lines = [self._curve(name, trial, low, high) for name, trial in ranked]
        if len(running) > shown:
            lines.append(Text(f"and {len(running) - shown} more running", style="dim"))
        return lines

    def _curve(self, name: str, trial: RunningTrial, low: float, high: float) -> Text:
        value = number(trial.curve[-1]) if trial.curve else ""
        return Text.assemble(
            f"{name}  {trial.epoch:>3}/{self.progress.epochs_each:<3} ",
            (f"{sparkline(trial.curve, low, high):<16}", "cyan"),
            f" {value:<8}",
            (brief(trial.hyperparameters), "dim"),
        )


def _rank(trial: RunningTrial, sign: float) -> float:
    """Return a trial's place among the running ones; those without a finite value come last."""
    value = trial.curve[-1] if trial.curve else math.nan
    return sign * value if math.isfinite(value) else math.inf


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
        self._said_best: str | None = None

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before."""
        self.progress.take_up(events)
        self._said_best = self.progress.state.leader

    def show(self, events: Sequence[Event]) -> None:
        """Take in what has just happened; say so where a trial failed or another one is the best now.

        A leading trial that improves on itself is shown with the progress, not epoch by epoch.
        """
        for event in events:
            self.progress.apply(event)
        for end in failures(events):
            self._write(failure_line(end))
        leader = self.progress.state.leader
        if leader not in (None, self._said_best):
            self._said_best = leader
            self._write(self.progress.best_line())
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
        state = self.progress
        best = f"best {number(state.best.value)}" if state.best else ""
        counted = f"{state.ended}/{state.total_trials} trials: {state.counted()}"
        self._write("; ".join(part for part in (counted, best, state.time_left()) if part))

    def _write(self, text: str) -> None:
        self._stream.write(f"[{clock(self.progress.seconds)}] {text}\n")
        self._stream.flush()
