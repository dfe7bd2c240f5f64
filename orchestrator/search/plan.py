"""The plan: what both strategies become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from orchestrator.config import Experiment, LimitOptions, Recalibration, RetryOptions
from orchestrator.config.limits import Duration
from orchestrator.domains import Space
from orchestrator.records import Mode
from orchestrator.redaction import redacted, restored
from orchestrator.schedulers import NoSchedulerOptions, SchedulerMaker
from orchestrator.sitter import SitterOptions


@dataclass(frozen=True)
class TrialSpec:
    """One trial before it starts. ``trial`` is its name, ``index`` its place in the seed's sequence of draws.

    ``checkpoint`` is the state it starts from, with ``changes`` made on it; a ``branch`` also shares the history of
    the trial whose state that is. ``origin`` tells where that came from: {run, trial, day, epoch}. Trials of one
    ``group`` can be compared: a forced extension of a run begins the next one.
    """

    trial: str
    index: int
    seed: int
    hyperparameters: Mapping[str, Any]
    checkpoint: str | None = None
    branch: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)
    origin: Mapping[str, Any] | None = None
    group: int = 1

    def redacted(self) -> Self:
        """Return it with a reference in place of each secret, as it may be written down."""
        return self._with(redacted)

    def restored(self) -> Self:
        """Return it with each secret in place of its reference, as it is trained with."""
        return self._with(restored)

    def _with(self, changed: Callable[[Any], Any]) -> Self:
        plain = ("hyperparameters", "checkpoint", "changes", "origin")
        return replace(self, **{name: changed(getattr(self, name)) for name in plain})


@dataclass(frozen=True)
class Nursery:
    """How a plan's trials are babysat: their days, who watches, and what is changed when.

    ``schedule`` holds (finished epochs, changes), ascending; ``keep_days`` None keeps every day's end.
    ``uses_tested_rate`` says whether day 1 starts with the rate that the learning-rate test finds.
    """

    day: Duration
    days: int
    sitter: SitterOptions
    learning_rate_test: bool
    keep_days: int | None
    schedule: tuple[tuple[int, Mapping[str, Any]], ...] = ()
    uses_tested_rate: bool = True

    @property
    def epochs(self) -> int | None:
        """Return how many epochs all days have, None where a day is not counted in them."""
        return self.days * self.day.amount if self.day.unit == "epoch" else None


@dataclass(frozen=True)
class Plan:
    """Which trials, for how many epochs each, under which scheduler, how many at once, and what stays on disk.

    ``space`` is what the trials were drawn from; for a babysat one, the ranges its hyperparameters may take.

    ``max_concurrent_trials`` None means as many as the resources allow; ``keep_checkpoints`` counts over all trials.
    """

    trials: Sequence[TrialSpec]
    space: Space
    epochs: int
    metric: str
    mode: Mode
    scheduler: SchedulerMaker
    max_concurrent_trials: int | None
    cpus_per_trial: float
    gpus_per_trial: float
    keep_checkpoints: int
    recalibrate_batch_norm: Recalibration
    limits: LimitOptions = field(default_factory=LimitOptions)
    retries: RetryOptions = field(default_factory=RetryOptions)
    nursery: Nursery | None = None

    @property
    def described(self) -> str:
        """Return the plan in a few words."""
        if self.nursery is not None:
            return f"one model, {self.nursery.days} days of {self.nursery.day}"
        return f"{len(self.trials)} trials of up to {self.epochs} epochs"


def plan_of(experiment: Experiment, trials: Sequence[TrialSpec], space: Space, **more: Any) -> Plan:
    """Return the plan of ``trials`` with what every strategy takes from the experiment; ``more`` comes on top."""
    common: dict[str, Any] = {
        "trials": trials,
        "space": space,
        "epochs": experiment.epochs,
        "metric": experiment.metric,
        "mode": experiment.direction or "max",
        "scheduler": NoSchedulerOptions(),
        "max_concurrent_trials": None,
        "cpus_per_trial": experiment.resources.cpu,
        "gpus_per_trial": experiment.resources.gpu,
        "keep_checkpoints": experiment.keep_checkpoints,
        "limits": experiment.limits,
        "retries": experiment.retries,
        "recalibrate_batch_norm": experiment.recalibrate_batch_norm,
    }
    return Plan(**common | more)
