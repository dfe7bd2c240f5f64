"""What a trial is to whoever runs it: opened, taken as a session, advanced, kept; and what it tells meanwhile.

A kind of trial is an implementation of ``Trainable``: plain values that a worker is sent once. Keras models are one
kind (``training/workbench.py``). Executors, schedulers and records know none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.search import TrialSpec


@dataclass
class Progress:
    """What happened since the last report. Filled while it happens, so that an error loses nothing before it.

    A row is {trial, epoch, metrics, seconds}. Amid a long epoch there may be nothing to tell; ``epoch`` is the last one
    that is over.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    branches: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    done: bool = False
    diverged: bool = False
    stopped: bool = False


class Session(Protocol):
    """A trial in training.

    One that was cut off goes on from the state it kept last, and tells again what it told after that; one that kept
    none begins anew.
    """

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train until something is worth a report, or about ``seconds`` have passed, some more amid an epoch."""

    def keep(self) -> None:
        """Write the last state down, since training is about to be cut off."""


class Workbench(Protocol):
    """A process that trains one trial at a time."""

    def session(self, spec: TrialSpec) -> Session:
        """Return the next trial's training, not begun."""

    def about(self) -> Mapping[str, Any]:
        """Return what the record of the trial in training holds besides its epochs: TrialEnd's fields."""

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Evaluate the winner's best state, save it under ``best``, and return its scores."""

    def leave(self) -> None:
        """Have no trial in training any more; the process goes on, as its owner's."""


class Trainable(Protocol):
    """What a worker is to train, shipped to it once as plain values."""

    @property
    def home(self) -> Path:
        """Return the run's own folder."""

    def open(self) -> Workbench:
        """Set a process up. The slow part of its start belongs here."""
