"""Optuna's objectives as functions that trials call: ``objective(trial)`` runs as it stands.

``trial.report(value, step)`` is an epoch, ``should_prune()`` whether the scheduler stops the trial, and what is
returned the value of its last epoch. What a study keeps in its storage is not there.
"""

from __future__ import annotations

import contextlib
import datetime
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError, explain
from orchestrator.search import TrialSpec
from orchestrator.trials.asking import (
    Answers,
    Drawn,
    Reported,
    choice_of,
    float_domain,
    int_domain,
    option_behind,
)
from orchestrator.trials.function import FunctionJob
from orchestrator.trials.function_runner import Stopped
from orchestrator.trials.protocol import Session, WorkbenchAround
from orchestrator.trials.reporting import NOT_METRICS, is_number, metric_value


@dataclass(frozen=True)
class Judged:
    """How the trials of an objective are judged: the metric's name, whether a high one is good, their most epochs."""

    metric: str = "value"
    maximizes: bool = False
    epochs: int = 1
    name: str = ""


class SuggestedTrial:
    """What an objective is given in place of an ``optuna.trial.Trial``; attributes that are no method are as there."""

    number = 0
    params: Mapping[str, Any] = {}
    distributions: Mapping[str, Any] = {}
    user_attrs: Mapping[str, Any] = {}
    system_attrs: Mapping[str, Any] = {}
    constraints: Mapping[str, float] = {}
    relative_params: Mapping[str, Any] = {}
    datetime_start: datetime.datetime | None = None

    def __init__(self, answers: Answers, reports: _Reports | None, judged: Judged) -> None:
        self._answers = answers
        self._reports = reports
        self.number = NOW.number
        self.params, self.user_attrs, self.constraints = {}, {}, {}
        self.datetime_start = datetime.datetime.now()
        self.study = _Study(judged)

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        """Return a number from ``low`` to ``high``."""
        return float(self._suggest(name, float_domain(low, high, step, log)))

    def suggest_uniform(self, name: str, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``."""
        return self.suggest_float(name, low, high)

    def suggest_loguniform(self, name: str, low: float, high: float) -> float:
        """Return a number from ``low`` to ``high``, on a log scale."""
        return self.suggest_float(name, low, high, log=True)

    def suggest_discrete_uniform(self, name: str, low: float, high: float, q: float) -> float:
        """Return one of low, low + q, …, high."""
        return self.suggest_float(name, low, high, step=q)

    def suggest_int(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False
    ) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return int(self._suggest(name, int_domain(low, high, step, log)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of ``choices``."""
        domain, options = choice_of(choices)
        return self._suggest(name, domain, options)

    def _suggest(self, name: str, domain: Any, options: Mapping[Any, Any] | None = None) -> Any:
        value = self._answers.value(name, domain)
        value = value if options is None else option_behind(value, options)
        self.params = {**self.params, name: value}
        return value

    def report(self, value: float, step: int) -> None:
        """Take in the value after a step; one that was reported before is ignored, as Optuna does."""
        if self._reports is None:
            raise Reported
        self._reports.report(value, step, self.user_attrs)

    def should_prune(self) -> bool:
        """Return whether the trial is over for its scheduler."""
        if self._reports is None:
            raise Reported
        return self._reports.is_stopped()

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep an attribute; a number becomes a metric of the next report."""
        self.user_attrs = {**self.user_attrs, key: value}

    def set_constraint(self, key: str, value: float) -> None:
        """Keep a constraint's value; no searcher of ours reads it."""
        self.constraints = {**self.constraints, key: value}


class _Study:
    """What a trial tells of its study: direction and name."""

    def __init__(self, judged: Judged) -> None:
        directions = getattr(_optuna("study"), "StudyDirection", None)
        word = "MAXIMIZE" if judged.maximizes else "MINIMIZE"
        self.direction = getattr(directions, word, word.lower())
        self.directions = [self.direction]
        self.study_name = judged.name

    def _is_multi_objective(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"trial.study has no {name}: a trial knows its study's direction and study_name, not its other trials"
        )


class _Reports:
    """Passes on what an objective reports as epochs, the last of them with what it returns.

    A report is passed on where its objective asks for the decision, or goes on to the next; the last epoch's is held
    until it returns, since nothing is left to decide.
    """

    def __init__(self, report: Callable[..., Any], where: str, judged: Judged) -> None:
        self._report = report
        self._where = where
        self._judged = judged
        self._held: dict[str, float] | None = None
        self._told: list[float] = []
        self._steps: set[int] = set()
        self._stopped: Stopped | None = None

    def report(self, value: Any, step: Any, attributes: Mapping[str, Any]) -> None:
        if self._stopped is not None:
            raise self._stopped
        if int(step) in self._steps:
            return
        self._pass_on()
        self._steps.add(int(step))
        metric = self._judged.metric
        self._held = {**_numbers(attributes), metric: metric_value(self._where, metric, value)}

    @contextlib.contextmanager
    def kept_if_it_fails(self) -> Iterator[None]:
        """Pass on the report that is held where the block raises: it stays, as those before it do."""
        over = False
        try:
            yield
            over = True
        finally:
            if not over and self._stopped is None:
                with contextlib.suppress(Stopped):
                    self._pass_on()

    def is_stopped(self) -> bool:
        if self._stopped is None and len(self._told) + 1 < self._judged.epochs:
            try:
                self._pass_on()
            except Stopped as stopped:
                self._stopped = stopped
        return self._stopped is not None

    def returned(self, value: Any, attributes: Mapping[str, Any]) -> None:
        """Take in what the objective returned."""
        metric = self._judged.metric
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) != 1:
            expected = f"expected one value, {metric}; a trial is judged by one"
            raise TrialError(explain(self._where, expected, f"{len(value)} values"))
        value = value[0] if isinstance(value, Sequence) and not isinstance(value, str) else value
        final = metric_value(self._where, f"what it returns, {metric}", value)
        if len(self._told) + 1 < self._judged.epochs:
            self._pass_on()
        if self._held is None and self._told and _alike(self._told[-1], final):
            return
        self._held = {**_numbers(attributes), metric: final}
        self._pass_on()

    def pruned(self) -> None:
        """Take in that the objective ended itself as pruned."""
        if self._stopped is not None:
            raise self._stopped
        if self._held is None and not self._told:
            expected = "expected a value, reported or returned"
            raise TrialError(explain(self._where, expected, "a trial that pruned itself before"))
        self._pass_on()

    def _pass_on(self) -> None:
        if self._held is not None:
            held, self._held = self._held, None
            self._told.append(held[self._judged.metric])
            self._report(len(self._told), **held)


def _alike(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


def _numbers(attributes: Mapping[str, Any]) -> dict[str, float]:
    """Return the attributes that are numbers and can be a table's columns."""
    return {
        name: float(value)
        for name, value in attributes.items()
        if is_number(value) and name not in NOT_METRICS
    }


class _Now:
    """The number of the trial that this process trains."""

    number = 0


NOW = _Now()


def explored(objective: Callable[[Any], Any], answers: Answers) -> None:
    """Run an objective for the hyperparameters that it asks for, up to its first report."""
    try:
        objective(_trial(answers, None, Judged()))
    except _pruned():
        pass


@dataclass(frozen=True)
class ObjectiveReference(CallableReference):
    """An objective somewhere, which loads as the function ``train(hp, report)`` that calls it."""

    judged: Judged = field(default_factory=Judged)

    def load(self, fresh: bool = False) -> Callable[..., Any]:
        """Return the function. Raises as CallableReference's does."""
        objective = super().load(fresh)
        where, judged = self.text, self.judged

        def train(hp: Mapping[str, Any], report: Callable[..., Any]) -> None:
            reports = _Reports(report, where, judged)
            trial = _trial(Drawn(hp, where), reports, judged)
            with reports.kept_if_it_fails():
                try:
                    value = objective(trial)
                except _pruned():
                    reports.pruned()
                else:
                    reports.returned(value, trial.user_attrs)

        return train


def _trial(answers: Answers, reports: _Reports | None, judged: Judged) -> SuggestedTrial:
    """Return a trial; where the objective has imported Optuna, it also passes as one of its."""
    real = getattr(_optuna("trial"), "Trial", None)
    kind: type[SuggestedTrial] = SuggestedTrial
    kind = kind if real is None else type("Trial", (SuggestedTrial, real), {})
    return kind(answers, reports, judged)


def _pruned() -> Any:
    return getattr(_optuna("exceptions"), "TrialPruned", ())


def _optuna(part: str) -> Any:
    return sys.modules.get(f"optuna.{part}")


@dataclass(frozen=True, kw_only=True)
class ObjectiveJob(FunctionJob):
    """Trials that call an objective."""

    def open(self) -> Any:
        """Set this process up: the objective's file is run."""
        return _Workbench(super().open())


class _Workbench(WorkbenchAround):
    """A process in which an objective is called, with the number of each trial."""

    def session(self, spec: TrialSpec) -> Session:
        NOW.number = spec.index
        return self.inner.session(spec)
