"""What crosses the border between the driver and its workers, and who listens on the driver's side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from orchestrator.records import Mode, TrialEnd
from orchestrator.strategies import TrialSpec
from orchestrator.training.task import TrainingTask


@dataclass(frozen=True)
class Job:
    """What a worker knows besides its trial: plain values, shipped once.

    ``milestones`` are the epochs at which the driver decides; ``checkpoints`` is where a trial's best state goes.
    """

    task: TrainingTask
    metric: str
    mode: Mode
    milestones: tuple[int, ...]
    checkpoints: Path
    threads: int


@dataclass(frozen=True)
class Report:
    """What a worker tells after a step: the epochs since its last report and how the trial stands.

    ``failure`` is (first line, whole traceback) of what the trial's code raised; ``about`` holds the fields of its
    record that a worker knows.
    """

    trial: str
    rows: list[dict[str, Any]]
    failure: tuple[str, str] | None
    diverged: bool
    about: Mapping[str, Any]

    @property
    def epoch(self) -> int:
        """Return the last epoch told of, 0 for none."""
        return int(self.rows[-1]["epoch"]) if self.rows else 0


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

    def ended(self, end: TrialEnd, traceback: str | None) -> None:
        """Note how a trial ended; ``traceback`` is the whole error of a failed one."""

    def verdict(self) -> Verdict | None:
        """Return what to examine once every trial has ended; None where no trial succeeded."""

    def judged(self, metrics: Mapping[str, Any]) -> None:
        """Note the winner's examination."""
