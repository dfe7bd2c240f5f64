"""How far babysat models have come, kept whole: what their views are drawn from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.records.journal import in_force_after
from orchestrator.records.stretches import TrialLines
from orchestrator.report.cells import brief, clock
from orchestrator.report.narrator import Narrator, metric_words


@dataclass
class WatchedTrial:
    """A babysat trial: what it started with, its epochs and its journal, as they came."""

    hyperparameters: Mapping[str, Any]
    rows: list[dict[str, Any]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    ended: str | None = None

    @property
    def lines(self) -> TrialLines:
        """Its epochs and days, living and abandoned apart."""
        return TrialLines.sorted_out(self.rows, self.journal)

    @property
    def in_force(self) -> dict[str, Any]:
        """The hyperparameters it trains with now."""
        return in_force_after(self.hyperparameters, self.journal)

    @property
    def day(self) -> int:
        """The days it has finished."""
        days = self.lines.days
        return int(days[-1]["day"]) if days else 0

    @property
    def paused(self) -> bool:
        """Whether it was paused and has not gone on since."""
        kinds = [e.get("action") for e in self.journal if e["kind"] == "applied"]
        turns = [action for action in kinds if action in ("pause", "continue", "stop")]
        return bool(turns) and turns[-1] == "pause"

    @property
    def advice(self) -> str:
        """The sitter's last word, with the day it was said on and what became of it; nothing where it said none."""
        said = [entry for entry in self.journal if entry["kind"] == "advice"]
        if not said:
            return ""
        last = said[-1]
        done = last.get("done")
        became = "" if done is not False else "; not done"
        verb = "acted" if done else "advises"
        return f"{verb} ({last.get('rule')}, day {last['day']}{became}): {last.get('suggests', '')}"


@dataclass
class PandaProgress:
    """The trials of a babysat run: the first one, and its branches."""

    days: int
    metric: str
    now: Callable[[], float] = time.monotonic
    trials: dict[str, WatchedTrial] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.now()
        self._narrator = Narrator(self.metric)

    @property
    def seconds(self) -> float:
        """Return the seconds since the view opened."""
        return self.now() - self.began

    def trial(self, name: str) -> WatchedTrial:
        """Return a trial, taken up now if it was not before."""
        return self.trials.setdefault(name, WatchedTrial({}))

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take up finished epochs."""
        for row in rows:
            self.trial(row["trial"]).rows.append(dict(row))

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> list[str]:
        """Take up entries of the journal; return each as a sentence."""
        sentences = []
        for entry in entries:
            self.trial(entry["trial"]).journal.append(dict(entry))
            text = self._narrator.hear(entry)
            several = len(self.trials) > 1
            sentences.append(f"[{entry['trial']}] {text}" if several else text)
        self.told += sentences
        return sentences


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
