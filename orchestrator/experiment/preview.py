"""What an experiment would do and cost: checked as a run is, but no process is started and nothing written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from orchestrator.config import AshaOptions, Experiment, NoSchedulerOptions
from orchestrator.domains import Space
from orchestrator.experiment.asked import Keys, Source, asked_for
from orchestrator.experiment.prepared import (
    Prepared,
    folder_of,
    prepare_new,
    read_space,
)
from orchestrator.experiment.task_facts import task_sentences
from orchestrator.redaction import redact
from orchestrator.schedulers.asha import rung_epochs
from orchestrator.searchers import draw_trials
from orchestrator.strategies import Plan


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials are judged; how many are expected to reach it, and to go on."""

    epoch: int
    reaching: float
    going_on: float


@dataclass(frozen=True)
class Forecast:
    """What a plan costs in epochs; ``epochs_expected`` is None where only the curves could tell."""

    rungs: tuple[Rung, ...]
    epochs_at_most: int
    epochs_expected: float | None


@dataclass(frozen=True)
class Preview:
    """A checked experiment with its plan and forecast."""

    prepared: Prepared
    forecast: Forecast

    def __repr__(self) -> str:
        """Return in a line what it is, in others what is learned of what, and in the last what that costs."""
        experiment, plan = self.experiment, self.plan
        trials = f"{len(plan.trials)} trial{'s' * (len(plan.trials) != 1)}"
        said = (
            f"Preview of {experiment.name}: {experiment.strategy}, {experiment.metric}, {plan.mode}"
        )
        cost = f"{trials}, at most {self.forecast.epochs_at_most:,} epochs"
        return "\n  ".join([redact(said), *map(redact, task_sentences(self.prepared)), cost])

    @property
    def experiment(self) -> Experiment:
        """What the file says, complete."""
        return self.prepared.experiment

    @property
    def space(self) -> Space:
        """What trials are drawn from; for a panda, the ranges its hyperparameters may take."""
        return self.prepared.space

    @property
    def plan(self) -> Plan:
        """Which trials, and for how long."""
        return self.prepared.plan

    @property
    def folder(self) -> Path:
        """Where a run would go."""
        return folder_of(self.experiment).path

    @property
    def drawn_from(self) -> Space:
        """The space of a caviar's draws; for a panda, its start."""
        return read_space(self.plan, self.space)

    def draws(self, count: int) -> list[dict[str, Any]]:
        """Return the first ``count`` draws: those of the plan's trials, and on beyond them; a panda's start is one."""
        if self.plan.nursery is not None:
            return [dict(spec.hyperparameters) for spec in self.plan.trials]
        return draw_trials(self.space, self.experiment.seed, count)


def preview(
    experiment: Source = None, overrides: Sequence[str] = (), **keys: Unpack[Keys]
) -> Preview:
    """Return what an experiment would do, refusing what a run would; that its name is taken is no reason.

    It is asked for as ``run`` is.
    """
    asked = asked_for(experiment, overrides, keys)
    prepared = prepare_new(asked.experiment, asked.given)
    return Preview(prepared, forecast(prepared.plan))


preview_experiment = preview


def forecast(plan: Plan) -> Forecast:
    """Return the rungs of a plan and what it costs."""
    trials = len(plan.trials)
    at_most = trials * plan.epochs
    match plan.scheduler:
        case AshaOptions(grace_period=grace, reduction_factor=factor):
            rungs = expected_rungs(trials, rung_epochs(grace, factor, plan.epochs), factor)
            return Forecast(rungs, at_most, _epochs_trained(trials, rungs, plan.epochs))
        case NoSchedulerOptions():
            return Forecast((), at_most, float(at_most))
    return Forecast((), at_most, None)


def expected_rungs(trials: int, epochs: Sequence[int], factor: float) -> tuple[Rung, ...]:
    """Return ASHA's rungs with the trials expected at each."""
    rungs: list[Rung] = []
    reaching = float(trials)
    for epoch in epochs:
        going_on = expected_to_go_on(reaching, factor)
        rungs.append(Rung(epoch, reaching, going_on))
        reaching = going_on
    return tuple(rungs)


def expected_to_go_on(reaching: float, factor: float) -> float:
    """Return how many of the trials that reach a rung one after another are expected to pass it.

    The k-th to come passes when it is among the best ``max(1, floor(k / factor))`` of the k that
    have come: with the chance ``max(1, floor(k / factor)) / k``, where coming early says nothing
    about one's value. In sum this is a little over ``reaching / factor``, since the first ones pass
    easily. Where one rung's order is the next one's too, more go on at the later rungs.
    """
    whole = math.floor(reaching)
    chances = [max(1, math.floor(k / factor)) / k for k in range(1, whole + 2)]
    return sum(chances[:whole]) + (reaching - whole) * chances[whole]


def _epochs_trained(trials: int, rungs: Sequence[Rung], epochs: int) -> float:
    """Return the epochs of all trials, each training from rung to rung while it passes."""
    training, since, total = float(trials), 0, 0.0
    for rung in rungs:
        total += training * (rung.epoch - since)
        training, since = rung.going_on, rung.epoch
    return total + training * (epochs - since)
