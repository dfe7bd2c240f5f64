"""What an experiment would do and cost: checked as a run is, but no process is started and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.experiment.keywords import Keys, Source, asked_for, with_keys_listed
from orchestrator.experiment.prepared import Prepared, folder_of, prepare_new
from orchestrator.redaction import redact
from orchestrator.schedulers import Forecast
from orchestrator.search import Plan


@dataclass(frozen=True)
class Preview:
    """A checked experiment with its plan and forecast."""

    prepared: Prepared
    forecast: Forecast

    def __repr__(self) -> str:
        """Return in a line what it is, in others what is learned of what, and in the last what that costs."""
        experiment, plan = self.experiment, self.plan
        trials = f"{plan.most_trials} trial{'s' * (plan.most_trials != 1)}"
        said = (
            f"Preview of {experiment.name}: {experiment.strategy}, {experiment.metric}, {plan.mode}"
        )
        cost = f"{trials}, at most {self.forecast.epochs_at_most:,} epochs"
        return "\n  ".join([redact(said), *map(redact, self.prepared.trials.sentences()), cost])

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
        return self.plan.drawn_from

    def draws(self, count: int) -> list[dict[str, Any]]:
        """Return the first ``count`` draws: those of the plan's trials, and on beyond them; a panda's start is one."""
        further = replace(self.plan, num_trials=count)
        return [dict(spec.hyperparameters) for spec in further.draws()]


@with_keys_listed
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
    return plan.scheduler.forecast(plan.most_trials, plan.epochs)
