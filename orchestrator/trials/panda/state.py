"""What a panda is, and what is remembered of it: values that the functions of this room take and give back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, Protocol

from orchestrator.records import Score
from orchestrator.search import Nursery, TrialSpec
from orchestrator.sitter import Memory, from_plain, known, to_plain
from orchestrator.trials import Checkpoint, DayCheckpoints, Progress
from orchestrator.trials.judging import Objective

Ending = Literal["stopped", "diverged"]
Epochs = list[tuple[dict[str, Any], Checkpoint]]
"""Epochs' rows, each with the state after it."""


@dataclass(frozen=True)
class Tried:
    """What was trained with other values: its epochs, and the loss of each validation row after them."""

    epochs: Epochs = field(default_factory=list)
    losses: list[float] = field(default_factory=list)


class LiveModel(Protocol):
    """A model in training that a panda changes, takes back and trains on, whatever trains it.

    ``validation_rows`` are those by whose number a share such as the accuracy is uncertain; 0 where nobody knows it.
    """

    validation_rows: int

    @property
    def epoch(self) -> int:
        """Return how many epochs are over."""

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """Return all hyperparameters in force."""

    @property
    def steps_within(self) -> int:
        """Return the batches of an epoch that is not over; 0 between two."""

    @property
    def steps_per_epoch(self) -> int:
        """Return the batches of an epoch; 0 where nobody counts them."""

    @property
    def ended(self) -> str | None:
        """Return why no further epoch can be trained, None where one can."""

    @property
    def why_rate_is_fixed(self) -> str | None:
        """Return why no change of ``learning_rate`` would do anything, None where it would."""

    def begin(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        """Begin from a seed. Raises TrialError for what it cannot be begun with."""

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of its own, or of another trial's."""

    def checkpoint(self, about: Mapping[str, Any]) -> Checkpoint:
        """Return its state; ``about`` is kept beside what resuming needs."""

    def check_going_on(self, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> None:
        """Raise where it, or a branch, cannot go on from a checkpoint with new values in force; it stays as it is."""

    def change(self, changes: Mapping[str, Any]) -> str:
        """Put new values in force; return how. Raises RequestError or TrialError; it is as it was then."""

    def train_chunk(self) -> dict[str, Any] | None:
        """Train an epoch, or a chunk of a long one; return its row once it is over."""

    def untrained(self) -> dict[str, float]:
        """Return what it would report before its first epoch, empty where that cannot be told."""

    def losses_at(self, rates: Sequence[float]) -> list[float]:
        """Return the training loss of one batch after another, each at its learning rate; empty if it cannot be set."""

    def tried(self, changes: Sequence[Mapping[str, Any]], epochs: int) -> list[Tried]:
        """Train so many epochs with each of several changes, from here and over the same rows; it stays as it is."""


@dataclass(frozen=True)
class Panda:
    """One babysat trial: its model, how it starts, how it is babysat, what it is judged by, where it reports.

    What happens is added to ``progress`` at once, so that an error loses nothing before it.
    """

    model: LiveModel
    spec: TrialSpec
    nursery: Nursery
    objective: Objective
    progress: Progress

    @property
    def trial(self) -> str:
        """Return the panda's name."""
        return self.spec.trial

    @property
    def days(self) -> DayCheckpoints:
        """Return its checkpoints."""
        return DayCheckpoints(self.objective.checkpoints / self.trial, self.nursery.keep_days)

    @property
    def best_file(self) -> Path:
        """Return where its best state lies."""
        return self.objective.states.best(self.trial)

    def is_over(self, state: PandaState) -> bool:
        """Return whether it ended or has lived all its days."""
        return state.ending is not None or state.day >= self.nursery.days


@dataclass(frozen=True)
class PandaState:
    """All that is remembered of a panda besides its model: part of every checkpoint, so that a rollback is complete.

    ``days`` holds one mapping {day, epoch, metrics} a finished day; ``effects`` the changes whose effect the coming
    day will show; ``asked`` and ``handled`` the ids of requests journaled and dealt with; ``entries`` counts the
    journal's. ``scheduled`` counts the entries of the plan's schedule that were applied, ``scheduled_before`` those
    that were before a rollback, and ``set_since`` names what others have set since it; ``changed`` names what was ever
    changed. ``segment`` is the number of rollbacks so far. ``monitor`` is the sitter's memory.
    """

    day: int = 0
    epochs_today: int = 0
    seconds_today: float = 0.0
    steps_today: int = 0
    segment: int = 0
    scheduled: int = 0
    scheduled_before: int = 0
    set_since: tuple[str, ...] = ()
    entries: int = 0
    tested: bool = False
    changed: tuple[str, ...] = ()
    handled: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    days: tuple[Mapping[str, Any], ...] = ()
    effects: tuple[Mapping[str, Any], ...] = ()
    monitor: Memory = field(default_factory=Memory)
    best: Score | None = None
    paused: bool = False
    ending: Ending | None = None

    def to_about(self) -> dict[str, Any]:
        """Return plain values for a checkpoint's ``about``."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        best = values.pop("best")
        return {
            "paused": values.pop("paused"),
            "ending": values.pop("ending"),
            "best": best.to_plain() if best else None,
            "panda": {
                "stretch": values.pop("segment"),
                "sitter": to_plain(values.pop("monitor")),
                **values,
            },
        }

    @classmethod
    def from_about(cls, about: Mapping[str, Any]) -> PandaState:
        """Return what ``to_about`` gave, in whatever version: what is missing has its default."""
        plain = known(cls, about["panda"])
        lists = {name: tuple(value) for name, value in plain.items() if isinstance(value, list)}
        others = {
            "segment": about["panda"].get("stretch", 0),
            "monitor": from_plain(about["panda"].get("sitter", {})),
            "best": Score.from_plain(about.get("best")),
            "paused": bool(about.get("paused")),
            "ending": about.get("ending"),
        }
        return cls(**plain | lists | others)

    def inherited(self) -> PandaState:
        """Return the state with which a branch begins: it shares the days and what the sitter saw of them."""
        return PandaState(
            day=self.day,
            days=self.days,
            tested=True,
            scheduled=self.scheduled,
            monitor=self.monitor,
        )

    def rolled_back_to(self, earlier: PandaState) -> PandaState:
        """Return ``earlier`` with what no rollback takes back.

        Requests dealt with stay dealt with, and the journal's numbering and the segments go on.
        """
        return replace(
            earlier,
            handled=self.handled,
            asked=self.asked,
            entries=self.entries,
            segment=self.segment + 1,
            scheduled_before=max(self.scheduled, self.scheduled_before),
            set_since=(),
            effects=(),
            paused=self.paused,
            ending=self.ending,
        )

    def after_epoch(self, seconds: float, steps: int) -> PandaState:
        """Return the state with one more epoch of today."""
        return replace(
            self,
            epochs_today=self.epochs_today + 1,
            seconds_today=self.seconds_today + seconds,
            steps_today=self.steps_today + steps,
        )

    def next_day(self, epoch: int, metrics: Mapping[str, Any]) -> PandaState:
        """Return the state with today finished, at the end of ``epoch``."""
        finished = {"day": self.day + 1, "epoch": epoch, "metrics": metrics}
        return replace(
            self,
            day=self.day + 1,
            days=(*self.days, finished),
            epochs_today=0,
            seconds_today=0.0,
            steps_today=0,
        )

    def track_effect(self, request: str | None, by: str, metric: str) -> PandaState:
        """Return the state that is to report, at the end of the coming day, what a change did."""
        values = [day["metrics"][metric] for day in self.days]
        effect = {
            "request": request,
            "by": by,
            "of_day": self.day + 1,
            "metric": metric,
            "before": values[-1] if values else None,
            "expected": forecast(values),
        }
        return replace(self, effects=(*self.effects, effect))


def note(state: PandaState, panda: Panda, kind: str, **facts: Any) -> PandaState:
    """Add an entry to the journal."""
    number = state.entries + 1
    panda.progress.journal.append(
        {
            "kind": kind,
            "id": f"{panda.trial}-{number}",
            "trial": panda.trial,
            "epoch": panda.model.epoch,
            "day": state.day,
            "stretch": state.segment,
            **facts,
        }
    )
    return replace(state, entries=number)


def chosen(state: PandaState, panda: Panda) -> dict[str, Any]:
    """Return the current hyperparameters that somebody chose, defaults left out."""
    names = dict.fromkeys([*panda.spec.hyperparameters, *state.changed])
    return {name: panda.model.hyperparameters.get(name) for name in names}


def checkpoint(state: PandaState, panda: Panda, **more: Any) -> Checkpoint:
    """Return the whole state: model, optimizer, and what is remembered."""
    about = {"trial": panda.trial, "chosen": chosen(state, panda), **state.to_about(), **more}
    return panda.model.checkpoint(about)


def forecast(values: list[float]) -> float | None:
    """Return what the trend of the last three values would give next: their least-squares line, one step on."""
    recent = values[-3:]
    if not recent:
        return None
    if len(recent) == 1:
        return recent[0]
    middle = (len(recent) - 1) / 2
    mean = sum(recent) / len(recent)
    spread = sum((at - middle) ** 2 for at in range(len(recent)))
    slope = sum((at - middle) * (value - mean) for at, value in enumerate(recent)) / spread
    return mean + slope * (len(recent) - middle)
