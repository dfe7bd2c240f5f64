"""Other tuners in the simulator: Ray's ASHA as it is installed, and Optuna by ask, tell and should_prune."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.numeric import Integer, LogInteger, OneMinusLogUniform, one_minus
from orchestrator.records import TrialEnd, trial_name
from orchestrator.schedulers import Decision, Forecast
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties, unknown_forecast
from orchestrator.search import Plan, TrialSpec
from orchestrator.search.plan import trial_seed
from orchestrator.search.steps import Done, Start, Step, Wait
from orchestrator.simulation import Rows

STARTUP = 10
"""The trials that Optuna's sampler draws at random: any row, as ours are where a searcher leaves them to chance."""


@dataclass(frozen=True)
class RaysAsha:
    """Makes Ray's ``AsyncHyperBandScheduler`` with its defaults; only ``max_t`` is set, as everyone must."""

    def make(self, epochs: int, mode: str) -> RaysAshaAsked:
        """Return one for trials of ``epochs`` epochs."""
        return RaysAshaAsked(epochs, mode)

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs at most."""
        return unknown_forecast(trials, epochs)


class RaysAshaAsked:
    """Asks Ray's scheduler through its own ``on_trial_add`` and ``on_trial_result``."""

    name = "ray-asha"
    milestones: tuple[int, ...] = ()

    def __init__(self, epochs: int, mode: str) -> None:
        from ray.tune.schedulers import AsyncHyperBandScheduler

        self._asha = AsyncHyperBandScheduler(max_t=epochs)
        self._asha.set_search_properties("value", mode)
        self._trials: dict[str, Any] = {}

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Return Ray's decision; what is no number is told as it is."""
        if trial not in self._trials:
            self._trials[trial] = SimpleNamespace(trial_id=trial)
            self._asha.on_trial_add(None, self._trials[trial])
        told = {"training_iteration": epoch, "value": float("nan") if value is None else value}
        action = self._asha.on_trial_result(None, self._trials[trial], told)
        return Decision(stop=action == "STOP") if action == "STOP" else CONTINUE

    def review(self, epoch: int) -> dict[str, Decision]:
        """Ray reviews nothing."""
        return {}


class OptunaSearch:
    """Optuna 5 with its default sampler and its Hyperband pruner, in place of a ``Search``.

    The space is the same, 1-β on a log scale included. What it proposes is mapped to a row as every tuner's is, and
    its study is told that row's values, as our searchers are.
    """

    def __init__(self, plan: Plan, rows: Rows, pruned: bool = True) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._plan, self._rows, self._pruned = plan, rows, pruned
        self._space = _Distributions(plan.space)
        random.seed(plan.seed)
        pruner = optuna.pruners.HyperbandPruner(max_resource=plan.epochs)
        self._study = optuna.create_study(
            direction="maximize" if plan.mode == "max" else "minimize",
            sampler=optuna.samplers.TPESampler(seed=plan.seed),
            pruner=pruner if pruned else optuna.pruners.NopPruner(),
            study_name="simulated",
        )
        self._trials: dict[str, Any] = {}
        self._last: dict[str, float] = {}
        self._asked = 0
        self.paused: dict[str, Any] = {}

    def next(self) -> Step:
        """Ask the study for a trial."""
        if self._asked >= self._plan.num_trials:
            return Wait() if self._trials else Done()
        index, self._asked = self._asked, self._asked + 1
        asked = self._study.ask(self._space.distributions)
        values, seed = self._space.ours(asked.params), self._plan.seed
        drawn = self._rows.by_chance(index, seed, self._plan.space) if index < STARTUP else None
        proposed = TrialSpec(trial_name(index), index, trial_seed(seed, index), values)
        spec = drawn or self._rows.spec(proposed)
        self._settle(asked, spec.hyperparameters)
        self._trials[spec.trial] = asked
        return Start(spec)

    def tell(self, event: Mapping[str, Any] | TrialEnd) -> Decision | None:
        """Report an epoch and ask whether to prune, or end a trial."""
        import optuna

        if isinstance(event, TrialEnd):
            trial, value = self._trials.pop(event.trial), self._last.pop(event.trial, None)
            if event.status == "stopped":
                self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            elif event.status == "finished" and value is not None:
                self._study.tell(trial, value)
            else:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return None
        value = event["metrics"].get(self._plan.metric)
        trial = self._trials[event["trial"]]
        if value is not None and np.isfinite(value):
            self._last[event["trial"]] = value
        trial.report(float("nan") if value is None else value, int(event["epoch"]))
        stop = self._pruned and event["epoch"] < self._plan.epochs and trial.should_prune()
        return Decision(stop=bool(stop))

    def _settle(self, asked: Any, values: Mapping[str, Any]) -> None:
        """Have the study's trial be the row's configuration."""
        storage = self._study._storage
        for name, value in self._space.theirs(values).items():
            distribution = self._space.distributions[name]
            internal = distribution.to_internal_repr(value)
            storage.set_trial_param(asked._trial_id, name, internal, distribution)


class _Distributions:
    """A space in Optuna's words."""

    def __init__(self, space: Space) -> None:
        self._domains = {n: d for n, d in space.domains.items() if not isinstance(d, Fixed)}
        self._fixed = {n: d.value for n, d in space.domains.items() if isinstance(d, Fixed)}
        self.distributions = {name: _of(domain) for name, domain in self._domains.items()}

    def ours(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return Optuna's values as the space's."""
        turned = {
            name: one_minus(value) if isinstance(self._domains[name], OneMinusLogUniform) else value
            for name, value in params.items()
        }
        return {**turned, **self._fixed}

    def theirs(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the space's values as Optuna's."""
        return {
            name: one_minus(values[name])
            if isinstance(domain, OneMinusLogUniform)
            else values[name]
            for name, domain in self._domains.items()
        }


def _of(domain: Any) -> Any:
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    if isinstance(domain, Choice):
        return CategoricalDistribution(list(domain.values))
    if isinstance(domain, OneMinusLogUniform):
        return FloatDistribution(one_minus(domain.max), one_minus(domain.min), log=True)
    low, high = domain.ends
    if isinstance(domain, Integer | LogInteger):
        return IntDistribution(low, high, log=domain.logarithmic)
    return FloatDistribution(low, high, log=domain.logarithmic)


def versions() -> dict[str, str]:
    """Return the versions of the tuners that are compared."""
    from importlib import metadata

    names: Iterable[str] = ("ray", "optuna", "numpy", "scikit-learn")
    return {name: metadata.version(name) for name in names}
