"""A babysat model while it trains, redrawn in place or as plain lines, for logs and pipes.

The live view shows its curve, today against yesterday, what is in force and the journal. Drawing happens in rich's own
thread, twice a second, however often the driver reports.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, TextIO

from rich.text import Text

from orchestrator.config.metrics import direction_of
from orchestrator.records import (
    Event,
    Mode,
    TrialEnd,
    TrialStarted,
)
from orchestrator.report.chart import BESIDE, chart, finite_range, sparkline
from orchestrator.report.formatting import brief, clock, number, printable
from orchestrator.report.live.terminal_view import STATUS_STYLES, Redrawn, failure_line, failures
from orchestrator.report.live.watched import (
    PandaProgress,
    Told,
    WatchedTrial,
    curve_of,
    day_span,
    first_epoch_of_interest,
    in_force_words,
    trial_line,
    what_to_type,
)
from orchestrator.report.trial_text import line_of, trained_on

_FRAMES_PER_SECOND = 2
_MOST_BRANCHES = 8
_LABEL = 10
_TALLEST = 14


class PandaView(Redrawn):
    """Draws one babysat model, and a line for each of its branches, within the terminal."""

    KEYS: Mapping[str, str] = {"a": "all days", "j": "journal"}

    def __init__(  # noqa: PLR0913 (as open_panda_view)
        self,
        days: int,
        metric: str,
        mode: Mode,
        stream: TextIO | None = None,
        run: str = "RUN",
        watching: bool = False,
    ) -> None:
        self.progress = PandaProgress(days, metric, mode)
        self._run = run
        super().__init__(self.progress, _FRAMES_PER_SECOND, stream, watching)

    def show(self, events: Sequence[Event]) -> None:
        """Take in what has just happened; a failure stays on the screen above the view."""
        super().show(events)
        for end in failures(events):
            self._console.print(Text(failure_line(end), style="red"))

    def _lines(self, width: int, height: int) -> list[Text]:
        room = height - 1
        below = [self._key_line()] if room > 6 else []
        if self._page == "j":
            told = [line for each in self.progress.told for line in _entry(each, width)]
            return [*self._scroll(told, room - len(below)), *below]
        lines = self._model(width, room - len(below))[: max(room - len(below), 1)]
        left = room - len(lines) - len(below)
        told = [line for each in self.progress.told[-left:] for line in _entry(each, width)]
        return [*lines, *(told[-left:] if left > 0 else ()), *below]

    def _last_lines(self) -> list[Text]:
        return [
            Text(
                f"{name}: {trial_line(trial, self.progress)}",
                style=STATUS_STYLES.get(trial.ended or "", ""),
            )
            for name, trial in self.progress.trials.items()
        ]

    def _model(self, width: int, room: int) -> list[Text]:
        trials = self.progress.trials
        if not trials:
            return [
                Text(
                    printable(self._phase) + " …" if self._phase else "no trial has started",
                    style="dim",
                )
            ]
        (_, first), *branches = trials.items()
        head = [Text(trial_line(first, self.progress), style="bold")]
        if self._phase and not first.lines.epochs:
            head.append(Text(f"{printable(self._phase)} …", style="yellow"))
        words = _wrapped("in force  ", in_force_words(first), width)
        words += _advice(first, width) + _verdict(first, width)
        words += _wrapped("type      ", what_to_type(first, self._run), width, "bold")
        words += [self._branch(name, trial, width) for name, trial in branches[-_MOST_BRANCHES:]]
        days = today_and_yesterday(first, self.progress.metric)
        left = room - len(head) - len(words) - len(days)
        return [*head, *self._curve(first, width, min(left, _TALLEST)), *days, *words]

    def _curve(self, trial: WatchedTrial, width: int, height: int) -> list[Text]:
        """Return the curve of the last days with its axes, and the whole one in a line above it."""
        rows, metric = trial.lines.epochs, self.progress.metric
        values = curve_of(rows, metric)
        span = finite_range([curve_of(trial.history.rows, metric)])
        since = 1 if self._page == "a" else first_epoch_of_interest(trial)
        days = day_span(trial, since)
        whole = sparkline(values, *span, max(min(width - len(metric) - 30, 40), 8))
        lines = [Text.assemble((f"{metric}, {days}", "bold"), "   all days ", (whole, "cyan"))]
        lines += self._abandoned(trial, span)
        if height - len(lines) < 5 or len(values) < 2:
            return lines[: max(height, 1)] if values else []
        main, beside = line_of(rows, metric), line_of(rows, trained_on(metric))
        marks = {int(day["epoch"]): f"day {day['day']}" for day in trial.lines.days}
        legend = f"validation ⣀⡠⠊   training {BESIDE * 3}" if beside.values else ""
        drawn = chart(
            main.since(since),
            beside.since(since),
            width,
            height - len(lines) - bool(legend),
            marks or None,
        )
        lines += [Text(legend, style="dim")] if legend else []
        for line in drawn:
            text = Text(line)
            text.highlight_regex("[\u2801-\u28ff]+", "cyan")
            text.highlight_regex(BESIDE, "magenta")
            lines.append(text)
        return lines

    def _abandoned(self, trial: WatchedTrial, span: tuple[float, float]) -> list[Text]:
        gone = trial.lines.abandoned_epochs
        if not gone:
            return []
        latest = max(int(row.get("stretch") or 0) for row in gone)
        last = [row for row in gone if (row.get("stretch") or 0) == latest]
        drawn = sparkline(curve_of(last, self.progress.metric), *span, 24)
        return [
            _labelled(
                "abandoned", f"{drawn} epochs {last[0]['epoch']} to {last[-1]['epoch']}", "dim"
            )
        ]

    def _branch(self, name: str, trial: WatchedTrial, width: int) -> Text:
        values = curve_of(trial.lines.epochs, self.progress.metric)
        span = finite_range([values])
        value = number(values[-1]) if values else ""
        state = trial.ended or ("paused" if trial.paused else f"day {trial.day + 1}")
        text = f"{sparkline(values, *span, 16):<16} {value:<8} {state:<9}{in_force_words(trial)}"
        return _labelled(printable(name), text)


def today_and_yesterday(trial: WatchedTrial, metric: str) -> list[Text]:
    """Return a row for each of the metrics that matter: now, at yesterday's end, and the change between them."""
    lines = trial.lines
    if not lines.epochs:
        return [Text("no epoch has ended yet", style="dim")]
    latest = lines.epochs[-1]
    ended = [day for day in lines.days if day["epoch"] < latest["epoch"]]
    yesterday = (ended[-1].get("metrics") or {}) if ended else {}
    wanted = dict.fromkeys((metric, trained_on(metric), "val_loss", "loss"))
    names = [name for name in wanted if latest["metrics"].get(name) is not None]
    margin = max(map(len, names), default=0)
    head = f"{'':<{margin}}  {'today':>10}  {'yesterday':>10}  {'change':>10}"
    return [
        Text(head, style="bold"),
        *(_compared(n, margin, latest["metrics"], yesterday) for n in names),
    ]


def _compared(name: str, margin: int, now: Mapping[str, Any], before: Mapping[str, Any]) -> Text:
    value, old = float(now[name]), before.get(name)
    text = Text(f"{name:<{margin}}  {number(value):>10}")
    if old is None:
        return text
    change = value - float(old)
    mode = direction_of(name)
    good = mode is not None and (change > 0) == (mode == "max")
    said = "" if mode is None or change == 0 else " better" if good else " worse"
    style = "green" if good else "red" if said else ""
    return text.append(f"  {number(float(old)):>10}").append(
        f"  {change:>+10.4g}{said}", style=style
    )


def _advice(trial: WatchedTrial, width: int) -> list[Text]:
    """Return the sitter's last word whole: what it did, or, in another colour, what it only advises."""
    advice = trial.last_advice
    if advice is None:
        return []
    done = advice.get("done")
    label, style = ("DONE      ", "bold green") if done else ("ADVICE    ", "yellow")
    return _wrapped(label, f"sitter {trial.advice}", width, style)


def _verdict(trial: WatchedTrial, width: int) -> list[Text]:
    said = [entry for entry in trial.history.journal if entry["kind"] == "verdict"]
    return _wrapped("verdict   ", str(said[-1].get("text", "")), width, "bold") if said else []


_STYLES = {"applied": "green", "advice": "yellow", "refused": "red", "verdict": "bold"}
"""What was done does not look like what was only advised."""


def _entry(told: Told, width: int) -> list[Text]:
    style = _STYLES.get(told.kind, "dim")
    return [
        Text(line, style=style) for line in textwrap.wrap(told.text, width, subsequent_indent="  ")
    ]


def _wrapped(label: str, text: str, width: int, style: str = "") -> list[Text]:
    """Return a label and a text as a whole, on as many lines as it takes."""
    room = max(width - len(label), 20)
    first, *rest = textwrap.wrap(printable(text), room, break_on_hyphens=False) or [""]
    lines = [Text.assemble((label, "bold"), (first, style))]
    return lines + [Text(f"{'':<{len(label)}}{line}", style=style) for line in rest]


def _labelled(label: str, text: str, style: str = "") -> Text:
    return Text.assemble((f"{label:<{_LABEL - 1}} ", "bold"), (text, style))


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

    def phase(self, text: str | None) -> None:
        """Write what happens while nothing trains."""
        if text is not None and not text.startswith("examining"):
            self._write(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        """Leave nothing behind: the last line was written when it happened."""

    def _write(self, text: str) -> None:
        self._stream.write(f"[{clock(self.progress.seconds)}] {printable(text)}\n")
        self._stream.flush()
