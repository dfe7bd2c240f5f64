"""The protocol between a trial and what runs it: it is opened, gives a session, advances, is kept, and reports.

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

    A row is {trial, epoch, metrics, seconds}. Within a long epoch there may be nothing to report; ``epoch`` is the last
    one that is over. ``kept``: what the session would ``keep`` now is on the disk already.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    journal: list[dict[str, Any]] = field(default_factory=list)
    branches: list[dict[str, Any]] = field(default_factory=list)
    epoch: int = 0
    done: bool = False
    diverged: bool = False
    stopped: bool = False
    kept: bool = False


class Session(Protocol):
    """A trial in training.

    One that was interrupted continues from the state it kept last and reports again what it reported after that; one
    that kept none starts again.
    """

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train until there is something to report, or about ``seconds`` have passed, somewhat longer in mid-epoch."""

    def keep(self) -> None:
        """Write the last state, since training is about to be interrupted."""


class SideBySide(Session, Protocol):
    """A trial in training beside others, in rounds: all get ready for a chunk, then each trains it, in turn.

    What trains them may so train all of them at once.
    """

    def begin(self, progress: Progress) -> bool:
        """Start, where that is yet to be done; return whether there is something to report already."""

    def get_ready(self) -> bool:
        """Expect a chunk to be trained once all are ready; return whether one is to be."""

    def train(self, progress: Progress) -> bool:
        """Train a chunk; return whether there is something to report."""

    def settle(self, progress: Progress) -> None:
        """Write down what a report goes by: nothing is trained until it is heard."""

    def about(self) -> Mapping[str, Any]:
        """Return what the trial's record holds besides its epochs: TrialEnd's fields."""

    def leave(self) -> None:
        """Leave the place to another trial."""


class Workbench(Protocol):
    """A process that trains one trial at a time, or several, whose sessions are then ``SideBySide``."""

    def session(self, spec: TrialSpec) -> Session:
        """Return the next trial's training, not begun."""

    def about(self) -> Mapping[str, Any]:
        """Return what the record of the trial in training holds besides its epochs: TrialEnd's fields."""

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Evaluate the winner's best state, save it under ``best``, and return its scores."""

    def leave(self) -> None:
        """Have no trial in training any more; the process goes on, as its owner's."""


@dataclass(frozen=True)
class WorkbenchAround:
    """A workbench that is another one but for what a class of it says otherwise."""

    inner: Workbench

    def session(self, spec: TrialSpec) -> Session:
        """Return the inner one's."""
        return self.inner.session(spec)

    def about(self) -> Mapping[str, Any]:
        """Return the inner one's."""
        return self.inner.about()

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Return the inner one's."""
        return self.inner.judge(checkpoint, best)

    def leave(self) -> None:
        """Have the inner one leave."""
        self.inner.leave()


class Trainable(Protocol):
    """What a worker is to train, shipped to it once as plain values."""

    @property
    def home(self) -> Path:
        """Return the run's own folder."""

    def open(self) -> Workbench:
        """Set a process up. The slow part of its start belongs here."""
