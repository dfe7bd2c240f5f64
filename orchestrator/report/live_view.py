"""A run redrawn in place on a terminal: progress, the best so far, the curves in training.

Drawing happens in rich's own thread, four times a second at most, whatever the driver tells it in
between; a frame is a few lines of text laid out here (rich's tables would cost ten times more).
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from orchestrator.records import Mode, TrialEnd
from orchestrator.report.cells import brief, clock, number, printable
from orchestrator.report.plain_view import failure_line
from orchestrator.report.progress import Progress, RunningTrial
from orchestrator.report.sparkline import sparkline

_FRAMES_PER_SECOND = 4
_MOST_CURVES = 12
_LINES_AROUND_CURVES = 6
_STATUS_STYLES = {"failed": "red", "diverged": "red", "interrupted": "yellow"}


class LiveView:
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
        self._console = Console(file=stream or sys.stderr, highlight=False)
        self._lock = threading.Lock()
        self._live = Live(
            console=self._console,
            get_renderable=self.frame,
            refresh_per_second=_FRAMES_PER_SECOND,
            transient=True,
            redirect_stdout=False,
        )

    def trial_started(self, trial: str, hyperparameters: Mapping[str, Any]) -> None:
        """Take up a trial."""
        with self._lock:
            self.progress.trial_started(trial, hyperparameters)

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up finished epochs."""
        with self._lock:
            for row in rows:
                self.progress.epoch(row)

    def trial_ended(self, end: TrialEnd) -> None:
        """Take up a trial's end; a failure stays on the screen above the view."""
        with self._lock:
            self.progress.trial_ended(end)
        if end.status == "failed":
            self._console.print(Text(failure_line(end), style="red"))

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Show nothing of a journal."""

    def note(self, text: str) -> None:
        """Print a sentence above the view, where it stays."""
        self._console.print(Text(printable(text)))

    def frame(self) -> Text:
        """Return the view as it stands, at most as many lines as the terminal has."""
        with self._lock:
            width, height = self._console.size
            lines = [self._bar(width), self._counts()]
            lines += self._best(width)
            lines += self._curves(width, height - _LINES_AROUND_CURVES)
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return Text("\n").join(lines)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._live.stop()
        with self._lock:
            state = self.progress
            took = f"{state.ended}/{state.total_trials} trials in {clock(state.seconds)}"
            self._console.print(Text(f"{took}: {state.counted()}"))

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
        styled = [Text(part, style=_STATUS_STYLES.get(part.split()[-1], "")) for part in parts]
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
        ranked = sorted(running.items(), key=lambda pair: _standing(pair[1], sign))[:shown]
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


def _standing(trial: RunningTrial, sign: float) -> float:
    """Return a trial's place among the running ones; those without a finite value come last."""
    value = trial.curve[-1] if trial.curve else math.nan
    return sign * value if math.isfinite(value) else math.inf
