"""A babysat model as a view has it: its trials, what its journal says, which of its days matter now, what to type."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records import Event, Mode, RunState, TrialHistory, TrialLines
from orchestrator.records.lineage import hyperparameters_after
from orchestrator.report.formatting import brief, cell, clock
from orchestrator.report.journal_text import JournalFormatter

DAYS_SHOWN = 5
"""So many days at most are drawn, the last ones."""


@dataclass(frozen=True)
class Told:
    """An entry of the journal: its kind, and what it says."""

    kind: str
    text: str


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
    def last_advice(self) -> Mapping[str, Any] | None:
        """The journal's last entry of advice, done or not."""
        said: list[Any] = [entry for entry in self.history.journal if entry["kind"] == "advice"]
        return said[-1] if said else None

    @property
    def advice(self) -> str:
        """The sitter's last word, with the day it was said on and what became of it; nothing where it said none."""
        last = self.last_advice
        if last is None:
            return ""
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
    told: list[Told] = field(default_factory=list)
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
        self.told.append(Told(str(entry["kind"]), sentence))
        return sentence


def curve_of(rows: Iterable[Mapping[str, Any]], metric: str) -> list[float]:
    """Return the metric over epochs; NaN where an epoch has none."""
    values = [row["metrics"].get(metric) for row in rows]
    return [math.nan if value is None else float(value) for value in values]


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


def first_epoch_of_interest(trial: WatchedTrial) -> int:
    """Return the epoch from which the curve is drawn: the last days alone, of a young model all but the first.

    What a model did on its first day, or long ago, would flatten what it does now.
    """
    ends = [int(day["epoch"]) for day in trial.lines.days]
    epochs = trial.lines.epochs
    today = bool(epochs) and int(epochs[-1]["epoch"]) > (ends[-1] if ends else 0)
    shown = min(DAYS_SHOWN, max(len(ends) + today - 1, 1))
    before = len(ends) + today - shown
    return ends[before - 1] if 0 < before <= len(ends) else 1


def day_span(trial: WatchedTrial, since: int) -> str:
    """Return which days are drawn: ``days 3 to 7``."""
    ends = [(int(day["epoch"]), int(day["day"])) for day in trial.lines.days]
    epochs = trial.lines.epochs
    last = trial.day + (bool(epochs) and int(epochs[-1]["epoch"]) > (ends[-1][0] if ends else 0))
    first = 1 + sum(epoch <= since for epoch, _ in ends if since > 1)
    return f"day {last}" if first >= last else f"days {first} to {last}"


def what_to_type(trial: WatchedTrial, run: str) -> str:
    """Return the command that someone who looks at a model would use next."""
    advice = trial.last_advice
    wanted = ((advice or {}).get("changes") or {}).items()
    force = trial.in_force
    changes = {name: change for name, change in wanted if force.get(name) != change[1]}
    if trial.ended:
        return f"orchestrator best {run}"
    if trial.paused:
        return f"orchestrator continue {run}"
    if changes and not (advice or {}).get("done"):
        values = " ".join(f"{name}={cell(new)}" for name, (_, new) in changes.items())
        return f"orchestrator set {run} {values}"
    last = f", rollback {run} --to-day {trial.day}" if trial.day else ""
    return f"orchestrator set {run} NAME=VALUE, pause {run}, note {run} TEXT{last}"
