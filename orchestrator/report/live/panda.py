"""A babysat model while it trains, redrawn in place or as plain lines, for logs and pipes.

The live view shows its curve, today against yesterday, what is in force and the journal. Drawing happens in rich's own
thread, twice a second, however often the driver reports.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TextIO

from rich.text import Text

from orchestrator.records import (
    Event,
    Mode,
    RunState,
    TrialEnd,
    TrialHistory,
    TrialLines,
    TrialStarted,
)
from orchestrator.records.lineage import hyperparameters_after
from orchestrator.report.chart import sparkline
from orchestrator.report.formatting import brief, clock, number, printable
from orchestrator.report.journal_text import JournalFormatter, metric_words
from orchestrator.report.live.terminal_view import STATUS_STYLES, Redrawn, failure_line

_FRAMES_PER_SECOND = 2
_MOST_BRANCHES = 8
_LABEL = 10


@dataclass(frozen=True)
class WatchedTrial:
    """A babysat trial: what it started with, its epochs and its journal, and how it ended."""

    hyperparameters: Mapping[str, Any]
    history: TrialHistory
    ended: str | None
    paused: bool

    @property
    def lines(self) -> TrialLines:
        """Its epochs and days, those rolled back apart."""
        return self.history.lines

    @property
    def in_force(self) -> dict[str, Any]:
        """The hyperparameters it trains with now."""
        return hyperparameters_after(self.hyperparameters, self.history.journal)

    @property
    def day(self) -> int:
        """The days it has finished."""
        days = self.lines.days
        return int(days[-1]["day"]) if days else 0

    @property
    def advice(self) -> str:
        """The sitter's last word, with the day it was said on and what became of it; nothing where it said none."""
        said: list[Any] = [entry for entry in self.history.journal if entry["kind"] == "advice"]
        if not said:
            return ""
        last = said[-1]
        done = last.get("done")
        became = "" if done is not False else "; not done"
        verb = "acted" if done else "advises"
        return f"{verb} ({last.get('rule')}, day {last['day']}{became}): {last.get('suggests', '')}"


@dataclass
class PandaProgress:
    """The state of a babysat run, and its journal in sentences."""

    days: int
    metric: str
    mode: Mode
    now: Callable[[], float] = time.monotonic
    told: list[str] = field(default_factory=list)
    state: RunState = field(init=False)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now()
        self.state = RunState(self.metric, self.mode)
        self._formatter = JournalFormatter(self.metric)

    @property
    def seconds(self) -> float:
        """Return the seconds since the view opened."""
        return self.now() - self.began

    @property
    def trials(self) -> dict[str, WatchedTrial]:
        """The first trial, and its branches."""
        state = self.state
        return {
            trial.trial: WatchedTrial(
                trial.hyperparameters,
                state.history(trial.trial),
                trial.ending,
                trial.trial in state.paused,
            )
            for trial in state.trials.values()
        }

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before this view was opened."""
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> str | None:
        """Take in what has just happened; return an entry of the journal as a sentence."""
        self.state.apply(event)
        return self._sentence(event) if isinstance(event, dict) and "kind" in event else None

    def _sentence(self, entry: Any) -> str:
        text = self._formatter.format_entry(entry)
        sentence = f"[{entry['trial']}] {text}" if len(self.state.trials) > 1 else text
        self.told.append(sentence)
        return sentence


def curve_of(rows: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Return the metric over epochs; NaN where an epoch has none."""
    values = [row["metrics"].get(metric) for row in rows]
    return [math.nan if value is None else float(value) for value in values]


def today_words(trial: WatchedTrial, metric: str) -> str:
    """Return the last epoch's numbers, with what changed since yesterday's end."""
    lines = trial.lines
    if not lines.epochs:
        return "no epoch has ended yet"
    latest = lines.epochs[-1]
    ended = [day for day in lines.days if day["epoch"] < latest["epoch"]]
    yesterday = ended[-1] if ended else {}
    names = [metric, *(name for name in ("val_loss", "loss") if name != metric)]
    facts = [metric_words(name, latest, yesterday) for name in names]
    return f"epoch {latest['epoch']}: {', '.join(fact for fact in facts if fact)}"


def trial_line(trial: WatchedTrial, progress: PandaProgress) -> str:
    """Return where a trial is: ``day 4/14, epoch 11, 1:23``."""
    epochs = trial.lines.epochs
    facts = [
        f"day {min(trial.day + 1, progress.days)}/{progress.days}",
        f"epoch {epochs[-1]['epoch'] if epochs else 0}",
        clock(progress.seconds),
    ]
    state = trial.ended or ("paused" if trial.paused else "")
    return ", ".join([*facts, state] if state else facts)


def in_force_words(trial: WatchedTrial) -> str:
    """Return the hyperparameters in force in one line."""
    return brief(trial.in_force)


class PandaView(Redrawn):
    """Draws one babysat model, and a line for each of its branches, within the terminal."""

    def __init__(self, days: int, metric: str, mode: Mode, stream: TextIO | None = None) -> None:
        self.progress = PandaProgress(days, metric, mode)
        super().__init__(self.progress, _FRAMES_PER_SECOND, stream)

    def _lines(self, width: int, height: int) -> list[Text]:
        lines = self._model(width)[: max(height - 2, 1)]
        room = height - 2 - len(lines)
        told = self.progress.told[-room:] if room > 0 else []
        return lines + [Text(sentence, style="dim") for sentence in told]

    def _last_lines(self) -> list[Text]:
        return [
            Text(
                f"{name}: {trial_line(trial, self.progress)}",
                style=STATUS_STYLES.get(trial.ended or "", ""),
            )
            for name, trial in self.progress.trials.items()
        ]

    def _model(self, width: int) -> list[Text]:
        trials = self.progress.trials
        if not trials:
            return [Text("no trial has started", style="dim")]
        (_, first), *branches = trials.items()
        curve = _finite_range(list(trials.values()), self.progress)
        lines = [Text(trial_line(first, self.progress), style="bold")]
        lines += self._curve(first, curve, width)
        lines.append(_labelled("today", today_words(first, self.progress.metric)))
        lines.append(_labelled("in force", in_force_words(first)))
        if first.advice:
            lines.append(_labelled("sitter", printable(first.advice), "yellow"))
        lines += [self._branch(name, trial, curve) for name, trial in branches[-_MOST_BRANCHES:]]
        return lines

    def _curve(self, trial: WatchedTrial, span: tuple[float, float], width: int) -> list[Text]:
        """Return the whole curve, the days below it, and what was last abandoned."""
        sorted_out = trial.lines
        values = curve_of(sorted_out.epochs, self.progress.metric)
        room = max(width - _LABEL, 10)
        lines = [_labelled(self.progress.metric, sparkline(values, *span, room), "cyan")]
        ends = [
            (place, int(day["day"]))
            for place, row in enumerate(sorted_out.epochs, start=1)
            for day in sorted_out.days
            if day["epoch"] == row["epoch"]
        ]
        if ends:
            lines.append(_labelled("day", day_marks(ends, len(values), room), "dim"))
        if sorted_out.abandoned_epochs:
            latest = max(int(row.get("stretch") or 0) for row in sorted_out.abandoned_epochs)
            gone = [r for r in sorted_out.abandoned_epochs if (r.get("stretch") or 0) == latest]
            drawn = sparkline(curve_of(gone, self.progress.metric), *span, room // 2)
            text = f"{drawn} epochs {gone[0]['epoch']} to {gone[-1]['epoch']}"
            lines.append(_labelled("abandoned", text, "dim"))
        return lines

    def _branch(self, name: str, trial: WatchedTrial, span: tuple[float, float]) -> Text:
        values = curve_of(trial.lines.epochs, self.progress.metric)
        value = number(values[-1]) if values else ""
        state = trial.ended or ("paused" if trial.paused else f"day {trial.day + 1}")
        text = f"{sparkline(values, *span, 24):<24} {value:<8} {state:<9}{in_force_words(trial)}"
        return _labelled(printable(name), text)


def day_marks(ends: Sequence[tuple[int, int]], count: int, width: int) -> str:
    """Return a ruler for a curve of ``count`` epochs: each day's number below its last epoch.

    ``ends`` are (epochs by then, day); a number that would touch the one before it is left out.
    """
    ruler = ""
    for place, day in ends:
        column = place if count <= width else max(math.ceil(place * width / count), 1)
        text = str(day)
        begin = column - len(text)
        if begin >= len(ruler) + bool(ruler) and begin >= 0:
            ruler = ruler.ljust(begin) + text
    return ruler


def _labelled(label: str, text: str, style: str = "") -> Text:
    short = label if len(label) < _LABEL else f"{label[: _LABEL - 2]}…"
    return Text.assemble((f"{short:<{_LABEL}}", "bold"), (text, style))


def _finite_range(trials: Sequence[WatchedTrial], progress: PandaProgress) -> tuple[float, float]:
    values = [value for trial in trials for value in curve_of(trial.history.rows, progress.metric)]
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=0.0), max(finite, default=0.0)


class PlainPandaView:
    """Writes what the journal says as it is said, and where each trial ended."""

    def __init__(self, days: int, metric: str, mode: Mode, stream: TextIO | None = None) -> None:
        self.progress = PandaProgress(days, metric, mode)
        self._stream = stream or sys.stderr

    def take_up(self, events: Iterable[Event]) -> None:
        """Take in what happened before."""
        self.progress.take_up(events)

    def show(self, events: Sequence[Event]) -> None:
        """Write that a trial began or ended, and each entry of the journal: a day's is the line of that day."""
        for event in events:
            self._show(event)

    def _show(self, event: Event) -> None:
        sentence = self.progress.apply(event)
        if sentence is not None:
            self._write(sentence)
        elif isinstance(event, TrialStarted):
            self._write(f"{event.trial} starts: {brief(event.hyperparameters) or 'defaults'}")
        elif isinstance(event, TrialEnd) and event.status == "failed":
            self._write(failure_line(event))
        elif isinstance(event, TrialEnd):
            self._write(
                f"{event.trial}: {trial_line(self.progress.trials[event.trial], self.progress)}"
            )

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
