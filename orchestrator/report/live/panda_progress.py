"""How far babysat models have come: what their views are drawn from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records import Event, Mode, RunState, TrialHistory, TrialLines
from orchestrator.records.lineage import in_force_after
from orchestrator.report.cells import brief, clock
from orchestrator.report.narrator import Narrator, metric_words


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
        return in_force_after(self.hyperparameters, self.history.journal)

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
        self._narrator = Narrator(self.metric)

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
        text = self._narrator.hear(entry)
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


def standing(trial: WatchedTrial, progress: PandaProgress) -> str:
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
