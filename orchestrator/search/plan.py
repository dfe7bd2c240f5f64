"""The plan: what both strategies become."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Protocol, Self

import numpy as np

from orchestrator.config import (
    Experiment,
    FinalistsOptions,
    LimitOptions,
    Recalibration,
    RetryOptions,
)
from orchestrator.config.limits import Duration
from orchestrator.domains import Space
from orchestrator.records import Mode, trial_name
from orchestrator.redaction import redacted, restored
from orchestrator.schedulers import NoSchedulerOptions, SchedulerMaker
from orchestrator.search.asked import AskedSearcher
from orchestrator.search.logical_time import InLogicalTime
from orchestrator.searchers import (
    Observation,
    RandomOptions,
    Searcher,
    SearcherMaker,
    complete,
    name_of,
)
from orchestrator.searchers.without_repeats import WithoutRepeats
from orchestrator.sitter import SitterOptions

_OF_WHOLE = 3
"""What tells the stream that decides which trials are drawn from the whole space from a seed's others."""


@dataclass(frozen=True)
class TrialSpec:
    """One trial before it starts. ``trial`` is its name, ``index`` its place in the seed's sequence of draws.

    ``checkpoint`` is the state it starts from, with ``changes`` made on it; a ``branch`` also shares the history of
    the trial whose state that is. ``origin`` tells where that came from: {run, trial, day, epoch}. Trials of one
    ``group`` can be compared: a forced extension of a run begins the next one. A replicate, of that number, ``repeats``
    the trial of that name with a seed of its own.

    A ``recipe`` says what a copy in a population trains with from which epoch on, its own hyperparameters last: from
    its seed that gives the same as going on from the state after ``origin``'s epoch.
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
    repeats: str | None = None
    replicate: int | None = None
    recipe: tuple[tuple[int, Mapping[str, Any]], ...] = ()

    def redacted(self) -> Self:
        """Return it with a reference in place of each secret, as it may be written down."""
        return self._with(redacted)

    def restored(self) -> Self:
        """Return it with each secret in place of its reference, as it is trained with."""
        return self._with(restored)

    def _with(self, changed: Callable[[Any], Any]) -> Self:
        plain = ("hyperparameters", "checkpoint", "changes", "origin")
        recipe = tuple((epoch, changed(values)) for epoch, values in self.recipe)
        return replace(
            self, recipe=recipe, **{name: changed(getattr(self, name)) for name in plain}
        )


MODEL_AND_BRANCHES = 4
"""So many are taken to train at a time where nobody has said how many branches there will be."""


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

    @property
    def most_at_once(self) -> int:
        """Return how many may be worth training at a time: all rates that the sitter tries, or a few branches."""
        rule = getattr(self.sitter, "branch_and_compare", None)
        return max(MODEL_AND_BRANCHES, len(rule.factors) if rule else 1)


@dataclass(frozen=True)
class Round:
    """A stretch of a search: from which space its trials are drawn, which is its first, and how many they are.

    A run begins with round 1, its experiment's space. ``share_of_whole`` of a later one's trials are drawn from that
    still; ``findings`` say how its space came from the last one's, a mapping for each hyperparameter.
    """

    number: int
    space: Space
    first: int
    trials: int
    share_of_whole: float = 0.0
    findings: tuple[Mapping[str, Any], ...] = ()

    @property
    def end(self) -> int:
        """The index of the first trial after it."""
        return self.first + self.trials

    def is_whole(self, seed: int, index: int) -> bool:
        """Return whether trial ``index`` is drawn from the experiment's space: so many of any stretch of trials are."""
        before = np.random.default_rng([seed, _OF_WHOLE]).random()
        share = self.share_of_whole
        return math.floor((index + 1) * share + before) > math.floor(index * share + before)

    def holds(self, hyperparameters: Mapping[str, Any]) -> bool:
        """Return whether a trial could have been drawn from its space."""
        within = all(
            domain.contains(hyperparameters[name])
            for name, domain in self.space.domains.items()
            if name in hyperparameters
        )
        return within and self.space.broken(self.space.with_companions(hyperparameters)) is None

    def to_plain(self) -> dict[str, Any]:
        """Return it as the fields of its event in a run's records."""
        plain: dict[str, Any] = {"round": self.number, "space": self.space.to_document()}
        plain |= {"first": self.first, "trials": self.trials}
        if self.space.constraints:
            plain["constraints"] = self.space.constraint_texts
        if self.share_of_whole:
            plain["share_of_whole"] = self.share_of_whole
        if self.findings:
            plain["findings"] = {
                finding["hyperparameter"]: {
                    k: v for k, v in finding.items() if k != "hyperparameter"
                }
                for finding in self.findings
            }
        return plain

    @classmethod
    def from_plain(cls, event: Mapping[str, Any]) -> Round:
        """Return the round that an event of a run's records tells of."""
        space = Space.parse(event["space"], "space", event.get("constraints") or ())
        return cls(
            int(event["round"]),
            space,
            int(event["first"]),
            int(event["trials"]),
            float(event.get("share_of_whole") or 0.0),
            tuple(findings_of(event)),
        )


def findings_of(event: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what the event of a round's beginning says of each hyperparameter."""
    for name, about in (event.get("findings") or {}).items():
        if isinstance(about, Mapping):
            yield {"hyperparameter": name, **about}


class Rounds(Protocol):
    """Derives each round from those before it; told what a searcher is, and made anew as one."""

    def tell(self, observation: Observation) -> None:
        """Take in what has become of a trial."""

    def after(self, last: Round) -> Round | None:
        """Return the round that follows ``last``, whose trials are all over; None where that was the last one."""


class RoundsMaker(Protocol):
    """What a plan knows of its rounds before a run."""

    @property
    def trials(self) -> int:
        """Return how many trials all rounds have at most."""

    def make(self, epochs: int, mode: str) -> Rounds:
        """Return what derives them, for trials of ``epochs`` epochs; ``mode`` is max or min."""


@dataclass(frozen=True)
class Plan:
    """Which trials, for how many epochs each, under which scheduler, how many at once, and what stays on disk.

    ``space`` is what the ``num_trials`` trials of the first round are drawn from; for a babysat one, the ranges its
    hyperparameters may take. ``points`` are those that are known beforehand; the ``searcher`` is asked for the others.
    ``rounds`` None: there is the first one alone.

    ``changing`` are the hyperparameters that copies in a population change.

    ``max_concurrent_trials`` None means as many as the resources allow; ``keep_checkpoints`` counts over all trials.
    ``lanes`` is how many trials one worker trains at a time, as lanes of one program; None: one, by itself; ``auto``:
    as many as is measured to be best.
    """

    space: Space
    num_trials: int
    epochs: int
    metric: str
    mode: Mode
    scheduler: SchedulerMaker
    max_concurrent_trials: int | None
    cpus_per_trial: float
    gpus_per_trial: float
    keep_checkpoints: int
    recalibrate_batch_norm: Recalibration
    seed: int = 0
    points: tuple[TrialSpec, ...] = ()
    searcher: SearcherMaker = field(default_factory=RandomOptions)
    rounds: RoundsMaker | None = None
    limits: LimitOptions = field(default_factory=LimitOptions)
    retries: RetryOptions = field(default_factory=RetryOptions)
    nursery: Nursery | None = None
    finalists: FinalistsOptions | None = None
    folds: int | None = None
    changing: tuple[str, ...] = ()
    lanes: int | Literal["auto"] | None = None

    goes_back: ClassVar[bool] = False
    """Whether a trial can be taken back to any of its epochs."""

    @property
    def described(self) -> str:
        """Return the plan in a few words."""
        return self.described_with(self.most_trials)

    def described_with(self, trials: int) -> str:
        """Return the plan in a few words, if it has so many trials."""
        return f"{trials} trials of up to {self.epochs} epochs"

    @property
    def trials_in_all(self) -> int:
        """How many trials all rounds have at most."""
        return self.rounds.trials if self.rounds else self.num_trials

    @property
    def most_trials(self) -> int:
        """How many trials there are at most: fewer than planned where the searcher has no more."""
        return self.most_trials_beside(0)

    def most_trials_beside(self, others: int) -> int:
        """Return how many trials there are at most where so many of them were not drawn from the space."""
        if self.rounds:
            return self.trials_in_all
        has = self.searcher.at_most(self.space, len(self.points))
        return self.num_trials if has is None else min(self.num_trials, others + has)

    @property
    def draws_in_any_order(self) -> bool:
        """Whether each trial is drawn by itself, and none waits for those that were drawn before it."""
        by_itself = isinstance(self.searcher, RandomOptions)
        return by_itself and not isinstance(self.scheduler, InLogicalTime)

    @property
    def reports_decide_nothing(self) -> bool:
        """Whether no report of a trial changes what it, or the run, does next, but for the run's limits."""
        compares = not isinstance(self.scheduler, NoSchedulerOptions)
        return not (compares or self.searcher.learns or self.rounds)

    @property
    def where(self) -> str:
        """The key of the experiment's file that says what trials begin with."""
        return "search_space"

    @property
    def drawn_from(self) -> Space:
        """What trials begin with."""
        return self.space

    @property
    def schedule(self) -> tuple[tuple[int, Mapping[str, Any]], ...]:
        """The changes that are planned: (finished epochs, changes), ascending."""
        return ()

    def is_short(self, epochs: int, days: int) -> bool:
        """Return whether a trial that has finished so many epochs and days lacks some of the plan's."""
        return epochs < self.epochs

    @property
    def first_round(self) -> Round:
        """The round that a run begins with."""
        return Round(1, self.space, 0, self.num_trials)

    def searcher_of(self, space: Space, first: int = 0) -> Searcher:
        """Return a new searcher of a round's space, to which nothing was told; ``first`` is the round's first trial.

        Where it fails, trials are drawn.
        """
        made = self.searcher.make(space, self.seed, self.epochs, self.mode)
        if self.searcher.learns and not isinstance(made, AskedSearcher):
            made = AskedSearcher.ours(made, name_of(self.searcher), space)
        if isinstance(made, AskedSearcher | WithoutRepeats):
            made.begin_at(first)
        return made

    def spec(self, index: int, asked: Mapping[str, Any], space: Space | None = None) -> TrialSpec:
        """Return trial ``index`` with what a searcher ``asked`` for, the rest of it drawn from ``space``."""
        if index < len(self.points):
            return self.points[index]
        drawn = complete(asked, space or self.space, self.seed, index)
        return TrialSpec(trial_name(index), index, trial_seed(self.seed, index), drawn)

    def draws(self) -> Iterator[TrialSpec]:
        """Yield the first round's trials as they are where nothing has been learned yet."""
        searcher = self.searcher_of(self.space)
        for index in range(self.num_trials):
            asked = {} if index < len(self.points) else searcher.ask(index)
            if asked is None:
                return
            spec = self.spec(index, asked)
            if index < len(self.points):
                searcher.tell(Observation(spec.trial, dict(spec.hyperparameters)))
            yield spec


def trial_seed(seed: int, index: int) -> int:
    """Return the seed of trial ``index``'s weights and shuffling, a 31-bit integer."""
    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0] & 0x7FFFFFFF)


def plan_of(experiment: Experiment, space: Space, kind: type[Plan] = Plan, **more: Any) -> Plan:
    """Return a plan with what every strategy takes from the experiment; ``more`` comes on top."""
    common: dict[str, Any] = {
        "space": space,
        "seed": experiment.seed,
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
    return kind(**common | more)
