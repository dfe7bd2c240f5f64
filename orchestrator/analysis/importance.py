"""Which hyperparameters mattered: Optuna's PED-ANOVA and fANOVA over a run's trials, with intervals.

Trials are compared by rank at one epoch, diverged ones last. PED-ANOVA (Watanabe et al., IJCAI 2023) asks how far the
best trials' values differ from all trials'; of a hyperparameter that not every trial has, it weighs how often the best
have it (Conditional PED-ANOVA, KDD 2026). fANOVA (Hutter et al., ICML 2014) asks how much of the ranks' variance over
the whole space a hyperparameter explains by itself. The intervals are those of trials drawn anew with replacement.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from orchestrator.analysis import next_steps
from orchestrator.analysis.compared import number, ranking_of, space_of
from orchestrator.domains import Choice, Domain, Integer, Space
from orchestrator.domains.values import same
from orchestrator.errors import RecordError, explain
from orchestrator.records import RunRecords
from orchestrator.search.evidence import Ranking
from orchestrator.search.scales import Ranged
from orchestrator.searchers.learning import cells, varied
from orchestrator.searchers.tpe import Scale, frozen, study_of

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

FEWEST_TRIALS = 20
"""On 60 made-up functions of six hyperparameters fANOVA named the most important one in 77 % with 15 trials, in 92 %
with 20, 95 % with 30, 100 % with 40. PED-ANOVA wants five of the best trials at least (Optuna's documentation)."""
TOP = 0.25
"""The share of the trials that are the best ones."""
RESAMPLES = 40
SHUFFLES = 40
TREES, TREES_AGAIN, DEPTH = 48, 4, 6
LEVEL = 0.95
USUAL: tuple[tuple[str, ...], ...] = (
    ("learning_rate",),
    ("momentum", "batch_size", "units"),
    ("hidden_layers", "learning_rate_decay"),
)
"""The usual order of importance: α; then momentum β, mini-batch size, hidden units; then layers, decay; the rest."""
ALSO = {
    "lr": "learning_rate",
    "alpha": "learning_rate",
    "beta": "momentum",
    "hidden_units": "units",
    "filters": "units",
    "layers": "hidden_layers",
    "num_layers": "hidden_layers",
    "decay": "learning_rate_decay",
    "decay_schedule": "learning_rate_decay",
}
"""Other names of the same."""


@dataclass(frozen=True)
class Estimate:
    """A share between 0 and 1, and where 95 % of the resamples have it."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Weight:
    """How much a hyperparameter mattered; ``trials`` have it and ``usual`` is its place in the usual order.

    ``top`` is its share of what sets the best trials apart (PED-ANOVA; all hyperparameters' add up to 1),
    ``variance`` the share that it explains alone of the variance of a forest fitted to the ranks (fANOVA, among the
    trials that have it; what is missing to 1 lies in interactions). ``matters``: more than in 95 % of shuffles of the
    ranks.
    """

    hyperparameter: str
    top: Estimate
    variance: Estimate | None
    matters: bool
    trials: int
    usual: int

    @property
    def order(self) -> float:
        """What hyperparameters are sorted by: fANOVA's share, which needs fewer trials, else PED-ANOVA's."""
        return self.variance.value if self.variance else self.top.value


@dataclass(frozen=True)
class Importance:
    """What mattered in a run, most first; ``fixed`` never varied, ``rare`` too few trials have.

    ``against`` are the pairs (more, less) important here that the usual order has the other way round: in 95 % of the
    resamples by fANOVA, and not the other way round by PED-ANOVA.
    """

    metric: str
    epoch: int
    trials: int
    best: int
    weights: tuple[Weight, ...]
    fixed: tuple[str, ...] = ()
    rare: tuple[str, ...] = ()
    against: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        """Return a line for each hyperparameter, what mattered most first."""
        lines = [f"{each.hyperparameter}: {100 * each.order:.0f} %" for each in self.weights]
        said = f"Importance for {self.metric} at epoch {self.epoch}, from {self.trials} trials"
        return "\n  ".join([said, *lines])

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return asdict(self) | {"usual_order": [list(names) for names in USUAL]}


def usual_place(hyperparameter: str) -> int:
    """Return a hyperparameter's place in the usual order, 1 the first; the last is that of all others."""
    name = ALSO.get(hyperparameter, hyperparameter)
    found = (place for place, names in enumerate(USUAL, 1) if name in names)
    return next(found, len(USUAL) + 1)


def importance(records: RunRecords) -> Importance:
    """Return which hyperparameters of a caviar mattered. Raises RecordError where too few trials could tell."""
    space, ranking = space_of(records), ranking_of(records)
    judged = len(ranking.judged) if ranking else 0
    if ranking is None or judged < FEWEST_TRIALS:
        expected = f"expected at least {FEWEST_TRIALS} trials that trained, since with fewer chance decides the order"
        more = next_steps.extend(records, num_samples=f"+{FEWEST_TRIALS - judged}")
        refused = explain(records.name, expected, number(judged, "trial"))
        raise RecordError(f"{refused} {more} adds what is missing.")
    return importance_of(space, ranking, records.metric)


def importance_of(space: Space, ranking: Ranking, metric: str) -> Importance:
    """Return which hyperparameters of a space mattered for a ranking; the same for the same ranking."""
    axes, fixed, rare = _axes(space, ranking)
    best = math.ceil(TOP * len(ranking.judged))
    if not axes:
        return Importance(metric, ranking.epoch, len(ranking.judged), best, (), fixed, rare)
    sample = _Sample.of(axes, ranking)
    random = np.random.default_rng(0)
    count = len(sample.trials)
    again = [sample.at(random.integers(count, size=count)) for _ in range(RESAMPLES)]
    top = _Spread.of(sample.top_shares(), [each.top_shares() for each in again])
    variance = _Spread.of(sample.variances(TREES), [each.variances(TREES_AGAIN) for each in again])
    matters = sample.beyond_chance(random)
    weights = [
        Weight(
            name,
            top.estimate(name) or Estimate(0.0, 0.0, 0.0),
            variance.estimate(name),
            matters[name],
            sum(name in each.params for each in sample.trials),
            usual_place(name),
        )
        for name in axes
    ]
    weights.sort(key=lambda each: (-each.order, each.usual, each.hyperparameter))
    against = tuple(_against(weights, top, variance))
    judged = len(ranking.judged)
    return Importance(metric, ranking.epoch, judged, best, tuple(weights), fixed, rare, against)


def _axes(
    space: Space, ranking: Ranking
) -> tuple[dict[str, _Axis], tuple[str, ...], tuple[str, ...]]:
    """Return the scales of what varied, the names of what never did, and of what too few trials have."""
    axes: dict[str, _Axis] = {}
    rare = []
    values = {
        name: [
            each.hyperparameters[name] for each in ranking.judged if name in each.hyperparameters
        ]
        for name in space.domains
    }
    several = [name for name, had in values.items() if any(not same(v, had[0]) for v in had[1:])]
    for name in varied(space):
        if name in several and len(values[name]) < FEWEST_TRIALS // 2:
            rare.append(name)
        elif name in several:
            axes[name] = _Axis.of(_covering(space.domains[name], values[name]))
    fixed = tuple(name for name in space.domains if name not in {*axes, *rare})
    return axes, fixed, tuple(rare)


def _covering(domain: Domain, values: Sequence[Any]) -> Domain:
    """Return a domain that has these values: rounds and extensions may have given trials others."""
    others = [value for value in values if not domain.contains(value)]
    if isinstance(domain, Choice):
        distinct = {repr(value): value for value in others}
        return replace(domain, values=(*domain.values, *distinct.values()), prior=None)
    numbers = [v for v in others if isinstance(v, int | float) and not isinstance(v, bool)]
    if not isinstance(domain, Ranged) or len(numbers) < len(others):
        return Choice(tuple({repr(v): v for v in values}.values())) if others else domain
    if not others:
        return domain
    low, high = min(domain.min, *numbers), max(domain.max, *numbers)
    return replace(domain, min=low, max=high, prior=None)


@dataclass(frozen=True)
class _Axis:
    """A hyperparameter as Optuna has it; of a choice of numbers their places in order, ``ordered``."""

    scale: Scale
    ordered: tuple[float, ...] = ()

    @classmethod
    def of(cls, domain: Domain) -> _Axis:
        """Return the axis of a domain."""
        values = domain.values if isinstance(domain, Choice) else ()
        numbers = [v for v in values if isinstance(v, int | float) and not isinstance(v, bool)]
        if len(numbers) < 2 or len(numbers) < len(values):
            return cls(Scale(domain))
        return cls(Scale(Integer(0, len(numbers) - 1)), tuple(sorted(numbers)))

    def param(self, value: Any) -> float:
        """Return a value as Optuna is told it."""
        return self.scale.param(self.ordered.index(value) if self.ordered else value)

    @property
    def middle(self) -> float:
        """What stands for a value where a trial has none: where it makes the least difference."""
        many = cells(self.scale.domain)
        return 0.5 if many is None else (many - 1) // 2


@dataclass(frozen=True)
class _Sample:
    """Trials as Optuna has them, whose value is their rank with the best lowest."""

    axes: Mapping[str, _Axis]
    trials: tuple[FrozenTrial, ...]

    @classmethod
    def of(cls, axes: Mapping[str, _Axis], ranking: Ranking) -> _Sample:
        from optuna.trial import TrialState

        trials: list[FrozenTrial] = []
        for seen, rank in zip(ranking.judged, ranking.ranks, strict=True):
            had = {name: axes[name] for name in axes if name in seen.hyperparameters}
            params = {name: axis.param(seen.hyperparameters[name]) for name, axis in had.items()}
            scales = {name: axis.scale.distribution for name, axis in had.items()}
            trials.append(frozen(len(trials), TrialState.COMPLETE, params, scales))
            trials[-1].value = -float(rank)
        return cls(axes, tuple(trials))

    def at(self, places: np.ndarray) -> _Sample:
        """Return the trials at these places, each a trial of its own."""
        return self.with_values(places, [self.trials[place].value for place in places])

    def with_values(self, places: np.ndarray, values: Sequence[float | None]) -> _Sample:
        """Return the trials at these places with other values."""
        from optuna.trial import TrialState

        trials: list[FrozenTrial] = []
        for place, value in zip(places, values, strict=True):
            old = self.trials[place]
            new = frozen(len(trials), TrialState.COMPLETE, old.params, old.distributions)
            new.value = value
            trials.append(new)
        return _Sample(self.axes, tuple(trials))

    def top_weights(self) -> dict[str, float]:
        """Return PED-ANOVA's weight of each hyperparameter."""
        from optuna.importance import PedAnovaImportanceEvaluator

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = PedAnovaImportanceEvaluator(target_quantile=TOP)
            found = evaluator.evaluate(study_of(self.trials))
        return {name: float(found.get(name, 0.0)) for name in self.axes}

    def top_shares(self) -> dict[str, float]:
        """Return PED-ANOVA's weights as shares of their sum."""
        weights = self.top_weights()
        total = sum(weights.values())
        return {name: weight / total if total else 0.0 for name, weight in weights.items()}

    def variances(self, trees: int) -> dict[str, float]:
        """Return the share of the variance that each hyperparameter explains alone.

        One that not every trial has is judged among those that have it; beside the others it stands in the middle of
        its scale where a trial has none.
        """
        some = [name for name in self.axes if any(name not in t.params for t in self.trials)]
        found = self._fanova([name for name in self.axes if name not in some], self.trials, trees)
        for name in some:
            having = [each for each in self.trials if name in each.params]
            found |= self._fanova([name], having, trees)
        return found

    def _fanova(
        self, wanted: list[str], trials: Sequence[FrozenTrial], trees: int
    ) -> dict[str, float]:
        from optuna.importance import FanovaImportanceEvaluator

        if not wanted or len(trials) < FEWEST_TRIALS // 4 or _are_equal(trials):
            return {}
        filled = [self._filled(each) for each in trials]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            evaluator = FanovaImportanceEvaluator(n_trees=trees, max_depth=DEPTH, seed=0)
            found = evaluator.evaluate(study_of(filled))
        return {name: float(found[name]) for name in wanted}

    def _filled(self, trial: FrozenTrial) -> FrozenTrial:
        from optuna.trial import TrialState

        params = {name: trial.params.get(name, axis.middle) for name, axis in self.axes.items()}
        scales = {name: axis.scale.distribution for name, axis in self.axes.items()}
        filled = frozen(trial.number, TrialState.COMPLETE, params, scales)
        filled.value = trial.value
        return filled

    def beyond_chance(self, random: np.random.Generator) -> dict[str, bool]:
        """Return which hyperparameters weigh more than in 95 % of the shuffles of the ranks."""
        places = np.arange(len(self.trials))
        values = np.array([each.value for each in self.trials])
        mine, less = self.top_weights(), dict.fromkeys(self.axes, 0)
        for _ in range(SHUFFLES):
            other = self.with_values(places, random.permutation(values).tolist()).top_weights()
            for name in self.axes:
                less[name] += other[name] < mine[name]
        return {name: count > LEVEL * SHUFFLES for name, count in less.items()}


def _are_equal(trials: Sequence[FrozenTrial]) -> bool:
    return len({each.value for each in trials}) < 2


@dataclass(frozen=True)
class _Spread:
    """A measure of each hyperparameter on the trials, and on each resample of them that could tell."""

    values: Mapping[str, float]
    again: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, values: Mapping[str, float], again: Sequence[Mapping[str, float]]) -> _Spread:
        return cls(
            values,
            {name: np.array([each.get(name, np.nan) for each in again]) for name in values},
        )

    def estimate(self, name: str) -> Estimate | None:
        """Return a hyperparameter's measure with its interval; None where there is none."""
        found = self.values.get(name)
        again = self.again.get(name, np.array([]))
        if found is None or np.isnan(found) or np.isnan(again).all():
            return None
        low, high = np.nanquantile(again, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return Estimate(found, float(min(low, found)), float(max(high, found)))

    def says(self, more: str, less: str) -> bool:
        """Return whether one hyperparameter has more of it than another in 95 % of the resamples."""
        if more not in self.again or less not in self.again:
            return False
        return bool(np.mean(self.again[more] > self.again[less]) >= LEVEL)


def _against(weights: Sequence[Weight], top: _Spread, variance: _Spread) -> list[tuple[str, str]]:
    """Return (more, less) important where fANOVA puts them so, PED-ANOVA not otherwise, and the usual order does."""
    return [
        (more.hyperparameter, less.hyperparameter)
        for more in weights
        for less in weights
        if more.usual > less.usual
        and variance.says(more.hyperparameter, less.hyperparameter)
        and not top.says(less.hyperparameter, more.hyperparameter)
    ]
