"""A caviar while it runs, redrawn in place on a terminal or as plain lines, for logs and pipes.

The live view is a leaderboard with what varies, the trials in training, the rungs, the failures. Drawing happens in
rich's own thread, four times a second at most, however often the driver reports; a frame is text laid out here (rich's
tables would cost ten times more).
"""

from __future__ import annotations

import math
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TextIO

from rich.text import Text

from orchestrator.records import Event, Mode
from orchestrator.report.chart import finite_range, sparkline
from orchestrator.report.formatting import brief, cell, clock, folded, number, printable, shown_name
from orchestrator.report.live.progress import BEST, Progress
from orchestrator.report.live.terminal_view import (
    STATUS_STYLES,
    Redrawn,
    failure_line,
    failures,
)

_FRAMES_PER_SECOND = 4
_CURVE = 10
_WIDEST = 14
_FEWEST_RUNNING = 3
_SECONDS_BETWEEN_LINES = 5.0
_GAP = "  "


@dataclass(frozen=True)
class _Row:
    """A line of the leaderboard or of the trials in training."""

    cells: tuple[str, ...]
    style: str = ""


class LiveView(Redrawn):
    """Draws a run of any number of trials in a block that never outgrows the terminal."""

    KEYS: Mapping[str, str] = {"b": "best", "t": "training", "f": "failures"}

    def __init__(  # noqa: PLR0913 (as open_view)
        self,
        total_trials: int,
        epochs: int,
        metric: str,
        mode: Mode,
        stream: TextIO | None = None,
        watching: bool = False,
    ) -> None:
        self.progress = Progress(total_trials, epochs, metric, mode)
        super().__init__(self.progress, _FRAMES_PER_SECOND, stream, watching)

    def _lines(self, width: int, height: int) -> list[Text]:
        above = [self._bar(width), self._counts()]
        if self._phase and not (self.progress.running and self.progress.epochs_a_second):
            above.append(Text(f"{printable(self._phase)} …", style="yellow"))
        room = height - 1 - len(above)
        if room <= 0:
            return above[: max(height - 1, 1)]
        below = [self._key_line()] if room > 2 else []
        page = {"b": self._all_best, "t": self._all_training, "f": self._all_failures}
        draw = page.get(self._page)
        if draw is None:
            return [*above, *self._overview(width, room - len(below)), *below]
        lines = draw(width)
        head = 2 if self._page in "bt" else 1
        shown = self._scroll(lines[head:], room - len(below) - head)
        return [*above, *lines[:head], *shown, *below]

    def _overview(self, width: int, room: int) -> list[Text]:
        """Return the best, those in training, and below them the rungs and the failures, as far as there is room."""
        same = self._same(width)
        failed = self._failures(width, 1 if room < 25 else 5)
        rungs = self._rungs(width, wide=room >= 30)
        below = [*same[: 1 if room < 20 else 3], *rungs, *failed]
        room -= len(below) if room > len(below) + 4 else 0
        below = below if room > 4 else []
        training = [name for name in self._training() if name not in self.progress.top]
        best = self.progress.top[
            : max(min(BEST, room - 3 - min(len(training), _FEWEST_RUNNING)), 1)
        ]
        left = room - len(best) - 3 if best else room - 2
        shown = training[: max(left if len(training) <= left else left - 1, 0)]
        lines = self._table(best, shown, width)
        if len(training) > len(shown):
            lines.append(Text(f"and {len(training) - len(shown)} more in training", style="dim"))
        return [*lines[: max(room, 0)], *below]

    def _last_lines(self) -> list[Text]:
        state = self.progress
        took = f"{state.ended}/{state.total_trials} trials in {clock(state.seconds)}"
        lines = [Text(line.plain, style="red") for line in self._failures(self._console.width, 20)]
        return [*lines, Text(f"{took}: {state.counted()}")]

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
        rate = self.progress.epochs_a_second
        if rate is not None:
            styled.append(
                Text(f"{rate:.3g} epochs/s" if rate >= 0.1 else f"{60 * rate:.2g} epochs/min")
            )
        return Text(", ").join(styled)

    def _training(self) -> list[str]:
        """Return the trials in training, the most promising first; those without a finite value come last."""
        sign = -1.0 if self.progress.mode == "max" else 1.0
        curves = self.progress.curves

        def rank(name: str) -> float:
            value = curves.get(name, [math.nan])[-1]
            return sign * value if math.isfinite(value) else math.inf

        return sorted(self.progress.in_training, key=lambda name: (rank(name), name))

    def _table(self, best: Sequence[str], training: Sequence[str], width: int) -> list[Text]:
        """Return the best and those in training below a common head; hyperparameters as far as there is room."""
        state = self.progress
        varying = state.varying.names
        names = ["", "trial", state.metric, "curve", "epoch", *map(shown_name, varying)]
        heads = list(zip(*(folded(printable(name)) for name in names), strict=True))
        span = finite_range([state.curves.get(name, []) for name in (*best, *training)])
        groups = [[self._row(n, name, span) for n, name in enumerate(best, 1)]]
        groups.append([self._row(0, name, span) for name in training])
        if not best and not training:
            return [Text(state.best_line(), style="dim")]
        rows = [*groups[0], *groups[1]]
        columns = zip(*heads, *(row.cells for row in rows), strict=True)
        widths = [min(max(map(len, column)), _WIDEST) for column in columns]
        widths = _fitting(widths, width)
        lines = [Text(line, style="bold") for head in heads if (line := _laid_out(head, widths))]
        lines += [Text(_laid_out(row.cells, widths), style=row.style) for row in groups[0]]
        if groups[0] and groups[1]:
            lines.append(Text("in training", style="bold"))
        return lines + [Text(_laid_out(row.cells, widths), style=row.style) for row in groups[1]]

    def _row(self, place: int, name: str, span: tuple[float, float]) -> _Row:
        state = self.progress
        found, trial = state.state.score_of(name), state.state.trials[name]
        curve = state.curves.get(name, [])
        value = found.value if place and found else (curve[-1] if curve else math.nan)
        status = "training" if name in state.in_training else trial.status
        last = state.state.history(name).last_epoch
        cells = (
            str(place) if place else "",
            name,
            "" if math.isnan(value) else number(value),
            sparkline(curve, *span, _CURVE),
            f"{last}/{state.epochs_each}",
            *(cell(trial.hyperparameters.get(each)) for each in state.varying.names),
        )
        style = "bold green" if place == 1 else "cyan" if status == "training" else ""
        return _Row(cells, style)

    def _all_best(self, width: int) -> list[Text]:
        ranked = [
            t.trial for t in self.progress.state.ranked if self.progress.state.score_of(t.trial)
        ]
        return self._table(ranked, (), width) + self._same(width)

    def _all_training(self, width: int) -> list[Text]:
        return (
            self._table((), self._training(), width)
            if self.progress.in_training
            else [Text("none in training")]
        )

    def _all_failures(self, width: int) -> list[Text]:
        count = sum(map(len, self.progress.failed.values()))
        lines = [Text(f"{count} failed" if count else "none failed", style="bold")]
        for error, ends in self.progress.failed.items():
            names = ", ".join(end.trial for end in ends)
            file = f"; the whole error: {ends[0].error_file}" if ends[0].error_file else ""
            said = f"{printable(error)} ({names}{file})"
            lines += [Text(line, style="red") for line in textwrap.wrap(said, width - 2) or [""]]
        return lines

    def _failures(self, width: int, most: int) -> list[Text]:
        """Return a line for each different error, the most frequent first: which trials failed with it."""
        lines = []
        different = sorted(self.progress.failed.items(), key=lambda pair: -len(pair[1]))
        for error, ends in different[:most]:
            more = f" and {len(ends) - 1} more" if len(ends) > 1 else ""
            said = f"failed: {ends[0].trial}{more}: {printable(error)}"
            file = f" ({ends[0].error_file})" if ends[0].error_file else ""
            lines.append(Text(said + file if len(said + file) <= width else said, style="red"))
        if len(different) > most:
            more = f", and {len(different) - most} other: f"
            lines[-1].truncate(max(width - len(more), 20), overflow="ellipsis")
            lines[-1].append(more)
        return lines

    def _same(self, width: int) -> list[Text]:
        same = brief(self.progress.varying.same)
        if not same:
            return []
        wrapped = textwrap.wrap(f"all: {same}", max(width, 20), subsequent_indent="     ")
        return [Text(line, style="dim") for line in wrapped]

    def _rungs(self, width: int, wide: bool) -> list[Text]:
        """Return how many trials reached each rung: in a line, or a bar each where there is room."""
        funnel = self.progress.funnel
        if not funnel:
            return []
        if not wide:
            counts = " → ".join(map(str, funnel.values()))
            return [Text(f"rungs  {counts} trials reached epochs {', '.join(map(str, funnel))}")]
        most = max(*funnel.values(), 1)
        room = max(width - 30, 10)
        return [
            Text(
                f"rung  epoch {epoch:>4}  {'█' * max(round(count / most * room), bool(count))} {count}"
            )
            for epoch, count in funnel.items()
        ]


def _fitting(widths: Sequence[int], width: int) -> list[int]:
    """Return the widths of the first columns, as many as there is room for."""
    fitting: list[int] = []
    for each in widths:
        if sum(fitting) + len(_GAP) * len(fitting) + each > width and len(fitting) >= 3:
            break
        fitting.append(each)
    return fitting


def _laid_out(cells: Sequence[Any], widths: Sequence[int]) -> str:
    texts = (
        text if len(text) <= width else f"{text[: width - 1]}…"
        for text, width in zip(cells, widths, strict=False)
    )
    return _GAP.join(
        f"{text:<{width}}" for text, width in zip(texts, widths, strict=False)
    ).rstrip()


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
        self._phase: str | None = None

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

    def phase(self, text: str | None) -> None:
        """Write what happens while nothing trains, once."""
        if text is not None and text != self._phase and not text.startswith("examining"):
            self._write(printable(text))
        self._phase = text

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
