"""Tree-structured Parzen estimator: Optuna's sampler, multivariate, asked and told by us.

It proposes where good trials are dense and others are not. Optuna is given no study of its own to keep: for each
proposal it sees the best and the newest trials, each on its domain's own scale and with its rank for a value. So what
it proposes follows from what was told, and what a proposal costs does not grow with a run.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.domains import Choice, Domain, Space
from orchestrator.searchers.learning import (
    LearningOptions,
    LearningSearcher,
    cells,
    exists,
)
from orchestrator.searchers.told import Evidence, Standing

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial, TrialState

BEST, NEWEST = 48, 80
"""How many trials Optuna sees; a tenth of them are those that it takes for good."""


class TpeOptions(LearningOptions):
    """Density of good trials against that of the others."""

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> TpeSearcher:
        """Return the searcher."""
        return TpeSearcher(self, space, seed, mode)


class TpeSearcher(LearningSearcher):
    """Asks Optuna's TPESampler, one group of hyperparameters that exist together after another."""

    def __init__(self, options: LearningOptions, space: Space, seed: int, mode: str) -> None:
        super().__init__(options, space, seed, mode)
        self._scales = {name: Scale(domain) for name, domain in self._free.items()}
        self._shown: dict[str, FrozenTrial] = {}
        self._trials: list[FrozenTrial] = []
        self._study = study_of(self._trials)

    def _proposed(self, index: int, attempt: int) -> Mapping[str, Any]:
        import optuna

        seed = int(self._random("tpe", index, attempt).integers(2**32))
        self._trials[:] = self._shown_of(self._told.evidence(BEST, NEWEST))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            sampler = optuna.samplers.TPESampler(
                multivariate=True, constant_liar=True, n_startup_trials=0, seed=seed
            )
            return self._sampled(sampler)

    def _sampled(self, sampler: Any) -> Mapping[str, Any]:
        """Return one value of each hyperparameter that exists beside the others."""
        from optuna.trial import TrialState

        values: dict[str, Any] = {
            name: domain.from_unit(0.5)
            for name, domain in self._space.domains.items()
            if name not in self._free
        }
        asked = frozen(len(self._trials), TrialState.RUNNING, {}, {})
        for group in self._groups():
            if exists(self._free[group[0]], values):
                scales = {name: self._scales[name].distribution for name in group}
                found = sampler.sample_relative(self._study, asked, scales)
                values |= {name: self._scales[name].value(found[name]) for name in group}
        return {name: value for name, value in values.items() if name in self._free}

    def _groups(self) -> list[list[str]]:
        """Return the hyperparameters that exist under the same conditions, those first that others depend on."""
        groups: dict[Any, list[str]] = {}
        for name, domain in self._free.items():
            groups.setdefault(domain.when, []).append(name)
        return list(groups.values())

    def _shown_of(self, evidence: Evidence) -> Iterator[FrozenTrial]:
        """Yield trials as Optuna knows them: those of the last proposal again, with their ranks of now."""
        from optuna.trial import TrialState

        before, self._shown = self._shown, {}
        ranks: list[int | None] = [*evidence.ranks, *(None for _ in evidence.pending)]
        trials = zip([*evidence.trials, *evidence.pending], ranks, strict=True)
        for number, (standing, rank) in enumerate(trials):
            shown = before.get(standing.trial) or self._frozen_of(standing)
            self._shown[standing.trial] = shown
            shown.number = number
            shown.state = TrialState.RUNNING if rank is None else TrialState.COMPLETE
            shown.value = None if rank is None else float(rank)
            yield shown

    def _frozen_of(self, standing: Standing) -> FrozenTrial:
        from optuna.trial import TrialState

        had = standing.hyperparameters
        scales = {name: scale for name, scale in self._scales.items() if name in had}
        params = {name: scale.param(had[name]) for name, scale in scales.items()}
        distributions = {name: scale.distribution for name, scale in scales.items()}
        return frozen(0, TrialState.RUNNING, params, distributions)


class Scale:
    """A domain as Optuna has it: the cells of a grid, the values of a choice, else shares of its scale, 0 to 1."""

    def __init__(self, domain: Domain) -> None:
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        self.domain = domain
        self._cells = cells(domain)
        self.distribution: BaseDistribution
        if self._cells is None:
            self.distribution = FloatDistribution(0, 1)
        elif isinstance(domain, Choice):
            self.distribution = CategoricalDistribution(range(self._cells))
        else:
            self.distribution = IntDistribution(0, self._cells - 1)

    def param(self, value: Any) -> float:
        """Return a value as Optuna is told it."""
        share = self.domain.to_unit(value)
        return share if self._cells is None else min(int(share * self._cells), self._cells - 1)

    def value(self, param: float) -> Any:
        """Return the value that Optuna proposes."""
        return self.domain.from_unit(param if self._cells is None else (param + 0.5) / self._cells)


def frozen(
    number: int,
    state: TrialState,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> FrozenTrial:
    """Return a trial as Optuna has it, without a value."""
    from optuna.trial import FrozenTrial

    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=None,
        params=dict(params),
        distributions=dict(distributions),
        datetime_start=None,
        datetime_complete=None,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )


def study_of(trials: Sequence[FrozenTrial]) -> Any:
    """Return a study of these trials, whichever they are then, not copied; it keeps nothing and logs nothing."""
    import optuna

    class Shown(optuna.storages.InMemoryStorage):
        def get_all_trials(
            self, study_id: int, deepcopy: bool = True, states: Any = None
        ) -> list[FrozenTrial]:
            return [each for each in trials if states is None or each.state in states]

        def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
            """Keep nothing: what it shares with other processes goes nowhere."""

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        return optuna.create_study(storage=Shown())
    finally:
        optuna.logging.set_verbosity(level)
