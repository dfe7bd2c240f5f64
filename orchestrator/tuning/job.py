"""What crosses the border between the driver and its workers, and who listens on the driver's side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from orchestrator.records import Mode, TrialEnd
from orchestrator.strategies import Nursery, TrialSpec
from orchestrator.training.progress import Progress
from orchestrator.training.task import TrainingTask


@dataclass(frozen=True)
class Job:
    """What a worker knows besides its trial: plain values, shipped once.

    ``milestones`` are the epochs at which the driver decides; ``checkpoints`` is where a trial's best state goes;
    ``nursery`` says how trials are babysat, None that they are not; ``secrets`` are the values behind references, by
    the names of their variables.
    """

    task: TrainingTask
    metric: str
    mode: Mode
    milestones: tuple[int, ...]
    checkpoints: Path
    threads: int
    nursery: Nursery | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a worker tells after a step: the trial's progress since its last report and how it stands.

    ``failure`` is (first line, whole traceback) of what the trial's code raised; ``about`` holds the fields of its
    record that a worker knows.
    """

    trial: str
    progress: Progress
    failure: tuple[str, str] | None
    about: Mapping[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Which checkpoint the last examination takes, and where the model goes."""

    checkpoint: Path
    best: Path


class Listener(Protocol):
    """Is told of everything, in the driver, in the order it happened."""

    def started(self, spec: TrialSpec) -> None:
        """Note that a trial began."""

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note finished epochs: {trial, epoch, metrics, seconds}."""

    def journal(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Note what was asked of babysat trials, what was done and what it did."""

    def ended(self, end: TrialEnd, traceback: str | None) -> None:
        """Note how a trial ended; ``traceback`` is the whole error of a failed one."""

    def verdict(self) -> Verdict | None:
        """Return what to examine once every trial has ended; None where no trial succeeded."""

    def judged(self, metrics: Mapping[str, Any]) -> None:
        """Note the winner's examination."""
