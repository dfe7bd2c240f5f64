"""The strategies: an experiment becomes a plan, of many trials in parallel or of one model watched day by day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from orchestrator.config import Experiment, FinalistsOptions
from orchestrator.config.panda_options import ScheduledChange
from orchestrator.domains import Fixed, InvalidDomain, Space
from orchestrator.domains.acceptance import check_satisfiable
from orchestrator.domains.space import without_companions
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.search.plan import Nursery, Plan, TrialSpec, plan_of, trial_seed
from orchestrator.search.points import points_of
from orchestrator.search.rounds import rounds_of
from orchestrator.search.users_own import scheduler_of, searcher_of


@dataclass(frozen=True)
class Ancestor:
    """A trial whose weights a panda goes on from: its checkpoint, and the seed and what was in force there."""

    checkpoint: str
    seed: int
    hyperparameters: Mapping[str, Any]
    origin: Mapping[str, Any]


@dataclass(frozen=True)
class BabysatPlan(Plan):
    """A plan of one model, whose ``space`` holds the ranges that its hyperparameters may be changed within."""

    nursery: Nursery = field(kw_only=True)

    goes_back: ClassVar[bool] = True

    def described_with(self, trials: int) -> str:
        """Return the plan in a few words."""
        return f"one model, {self.nursery.days} days of {self.nursery.day}"

    def most_trials_beside(self, others: int) -> int:
        """Return how many trials there are."""
        return self.num_trials

    @property
    def reports_decide_nothing(self) -> bool:
        """Return False: each report may have been followed by a request."""
        return False

    @property
    def where(self) -> str:
        """The key of the experiment's file that says what the model begins with."""
        return "panda.start"

    @property
    def drawn_from(self) -> Space:
        """What the model begins with, one value of each hyperparameter. Raises ExperimentFileError for what is none."""
        start = without_companions(self.points[0].hyperparameters)
        return Space({name: fixed(f"{self.where}.{name}", value) for name, value in start.items()})

    @property
    def schedule(self) -> tuple[tuple[int, Mapping[str, Any]], ...]:
        """The changes that are planned: (finished epochs, changes), ascending."""
        return self.nursery.schedule

    def is_short(self, epochs: int, days: int) -> bool:
        """Return whether a model that has finished so many epochs and days lacks some of the plan's days."""
        return days < self.nursery.days

    def draws(self) -> Iterator[TrialSpec]:
        """Yield the one model as it begins."""
        yield from self.points


def fixed(where: str, value: Any) -> Fixed:
    """Return a plain value as a domain: what is written there is meant as it stands."""
    try:
        return Fixed(value)
    except InvalidDomain as refusal:
        raise ExperimentFileError(explain(where, refusal.expected, value)) from None


def make_plan(experiment: Experiment, space: Space, ancestor: Ancestor | None = None) -> Plan:
    """Return an experiment's plan: the one place that makes plans of strategies."""
    if experiment.strategy == "panda":
        return panda(experiment, space, ancestor)
    return caviar(experiment, space)


def caviar(experiment: Experiment, space: Space) -> Plan:
    """Plan ``num_samples`` trials that its searcher takes from the space, under the experiment's scheduler."""
    options = experiment.caviar
    check_satisfiable(space, experiment.seed)
    concurrent = options.max_concurrent_trials
    rounds = rounds_of(options.rounds, options.num_samples, space)
    return plan_of(
        experiment,
        space,
        num_trials=rounds.first if rounds else options.num_samples,
        rounds=rounds,
        points=points_of(experiment, space).specs(space, experiment.seed),
        searcher=searcher_of(experiment, space),
        scheduler=scheduler_of(experiment),
        finalists=_finalists(options.finalists, experiment.folds),
        folds=experiment.folds,
        max_concurrent_trials=None if concurrent == "auto" else concurrent,
    )


def _finalists(options: FinalistsOptions, folds: int | None) -> FinalistsOptions | None:
    """Return whether and how the best race; folds ask for it, one replicate on each but the first."""
    if options.race is False:
        return None
    if folds is None or options.race is True:
        return options
    return options.model_copy(update={"race": True, "seeds": max(options.seeds, folds - 1)})


def in_order(schedule: Sequence[ScheduledChange]) -> list[ScheduledChange]:
    """Return scheduled changes as they happen, those of one epoch as they are written."""
    return sorted(schedule, key=lambda change: change.epoch)


def check_constraints(
    space: Space, start: Mapping[str, Any], schedule: Sequence[ScheduledChange]
) -> None:
    """Raise ExperimentFileError where what one model starts with breaks a constraint, or a change that is planned."""
    in_force = dict(start)
    for where, changes in [
        ("panda.start", {}),
        *((f"panda.schedule, epoch {each.epoch}", each.set) for each in in_order(schedule)),
    ]:
        in_force |= changes
        broken = space.broken(space.with_companions(in_force))
        if broken is not None:
            named = {name: in_force[name] for name in in_force if name in broken.names}
            raise ExperimentFileError(
                explain(where, f"expected values that fulfil {broken}", named)
            )


def panda(experiment: Experiment, space: Space, ancestor: Ancestor | None = None) -> Plan:
    """Plan one babysat trial, from the file's ``start`` or from an ancestor's weights.

    A panda's length is its days: ``epochs`` is their sum where a day is counted in epochs, and else the
    experiment's, for the decay schedules that look ahead. A learning rate that the file names is the one it starts
    with, whatever a test of it finds, unless the sitter may act.
    """
    options = experiment.panda
    if options is None:
        raise ValueError("an experiment of strategy panda has its options")
    start = dict(ancestor.hyperparameters if ancestor else options.start)
    check_constraints(space, start, options.schedule)
    spec = TrialSpec(
        "00000",
        0,
        ancestor.seed if ancestor else trial_seed(experiment.seed, 0),
        start,
        checkpoint=ancestor.checkpoint if ancestor else None,
        origin=ancestor.origin if ancestor else None,
    )
    nursery = Nursery(
        day=options.day,
        days=options.days,
        sitter=options.sitter,
        learning_rate_test=options.learning_rate_test,
        keep_days=options.keep_days,
        schedule=tuple((change.epoch, dict(change.set)) for change in in_order(options.schedule)),
        uses_tested_rate=options.sitter.mode == "act" or "learning_rate" not in options.start,
    )
    epochs = options.last_epoch(experiment.epochs)
    one = {"num_trials": 1, "points": (spec,), "epochs": epochs, "nursery": nursery}
    return plan_of(experiment, space, BabysatPlan, **one)
