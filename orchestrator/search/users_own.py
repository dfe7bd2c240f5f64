"""Schedulers and searchers of the user's own, as ``./mine.py:Mine``: found, made, and held to their contracts."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from orchestrator.catalog import CallableReference, UsersCode, find_class
from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, OrchestratorError, explain
from orchestrator.fields import Referenced
from orchestrator.redaction import redacted
from orchestrator.schedulers import Decision, Forecast, Scheduler, SchedulerMaker
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties, unknown_forecast
from orchestrator.searchers import (
    SEARCHERS,
    Observation,
    Searcher,
    SearcherMaker,
    SearcherOptions,
    misfit,
)

_SCHEDULER = "caviar.scheduler"
_SEARCHER = "caviar.searcher"
_NAME = "name (a text)"
_MILESTONES = "milestones (whole numbers, ascending, from 1 to below epochs)"


def scheduler_of(experiment: Experiment) -> SchedulerMaker:
    """Return what makes the experiment's scheduler; one of the user's own has been made once, so that it works."""
    written = experiment.caviar.scheduler
    if not isinstance(written, Referenced):
        return written
    code = find_class(written.reference, experiment.folder, _SCHEDULER)
    found = UsersScheduler(code, written.options)
    found.make(experiment.epochs, experiment.direction or "max")
    return found


def searcher_of(experiment: Experiment, space: Space) -> SearcherMaker:
    """Return what makes the experiment's searcher; one of the user's own has been made once, so that it works."""
    written = experiment.caviar.searcher
    if not isinstance(written, Referenced):
        _check_suits(written, experiment, space)
        return written
    code = find_class(written.reference, experiment.folder, _SEARCHER)
    found = UsersSearcher(code, written.options)
    found.make(space, experiment.seed, experiment.epochs, experiment.direction or "max")
    return found


def _check_suits(searcher: SearcherOptions, experiment: Experiment, space: Space) -> None:
    """Raise ExperimentFileError for a searcher of ours that cannot search a space with the experiment's trials."""
    fault = searcher.fault(space, experiment.caviar.num_samples)
    if fault is not None:
        name = next(name for name, kind in SEARCHERS.items() if type(searcher) is kind)
        option, expected, received = fault
        place = ".".join(filter(None, (_SEARCHER, name, option)))
        raise ExperimentFileError(explain(place, expected, received))


def scheduler_code(experiment: Experiment) -> CallableReference | None:
    """Return the class of the user's that decides who goes on, None for a scheduler of ours."""
    return _code(experiment, experiment.caviar.scheduler, _SCHEDULER)


def searcher_code(experiment: Experiment) -> CallableReference | None:
    """Return the class of the user's that proposes hyperparameters, None for a searcher of ours."""
    return _code(experiment, experiment.caviar.searcher, _SEARCHER)


def _code(experiment: Experiment, written: Any, where: str) -> CallableReference | None:
    if experiment.strategy != "caviar" or not isinstance(written, Referenced):
        return None
    return find_class(written.reference, experiment.folder, where)


def _made(
    code: CallableReference, where: str, arguments: Mapping[str, Any], missing: Any, what: str
) -> Any:
    """Return an object of a user's class; ExperimentFileError where it lacks something of its contract."""
    with UsersCode(where, code.runs_in, ExperimentFileError):
        made = code.load()(**arguments)
        lacks = list(missing(made))
    if lacks:
        expected = f"expected a {what} with {', '.join(lacks)}"
        raise ExperimentFileError(explain(where, expected, type(made).__name__))
    return made


class _Asked:
    """An object of a user's class; where its code raises or answers wrongly, that is said once."""

    otherwise = ""

    def __init__(self, made: Any, where: str, file: str | None) -> None:
        self._made = made
        self._where = where
        self._file = file
        self.fault = ""

    def _ask(self, method: str, *told: Any) -> Any:
        try:
            with UsersCode(self._where, self._file):
                answer = getattr(self._made, method)(*told)
            return self._checked(method, answer)
        except OrchestratorError as error:
            self._say(str(error))
        except (TypeError, ValueError) as error:
            self._say(f"{self._where}: {error}.")
        except SystemExit:
            self._say(f"{self._where}: its code ended the process in {method}.")
        return None

    def _say(self, fault: str) -> None:
        if not self.fault:
            sys.stderr.write(f"{redacted(fault)} {self.otherwise}\n")
        self.fault = self.fault or fault

    def _checked(self, method: str, answer: Any) -> Any:
        """Return an answer as it is used. Raises TypeError for one that breaks the contract."""
        raise NotImplementedError


@dataclass(frozen=True)
class UsersScheduler:
    """A class of the user's own, and the options that its constructor is given beside ``epochs`` and ``mode``."""

    code: CallableReference
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return one for trials of ``epochs`` epochs; ExperimentFileError where it does not keep the contract."""
        where = f"{_SCHEDULER} {self.code.text}"
        arguments = {**self.options, "epochs": epochs, "mode": mode}
        made = _made(self.code, where, arguments, lambda made: _lacks(made, epochs), "scheduler")
        return _AskedScheduler(made, where, self.code.runs_in)

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs at most."""
        return unknown_forecast(trials, epochs)


class _AskedScheduler(_Asked):
    """Asks a user's scheduler; where its code raises, or answers no Decision, the trial goes on."""

    otherwise = "If this scheduler fails, trials continue."

    def __init__(self, made: Any, where: str, file: str | None) -> None:
        super().__init__(made, where, file)
        self.name: str = made.name
        self.milestones = tuple(made.milestones)

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Return the user's decision."""
        decision = self._ask("report", trial, epoch, value, ties)
        return CONTINUE if decision is None else decision

    def promote(self) -> Iterable[str]:
        """Return the trials that the user's scheduler lets go on."""
        if not callable(getattr(self._made, "promote", None)):
            return ()
        return self._ask("promote") or ()

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return the user's decisions."""
        return self._ask("review", epoch) or {}

    def _checked(self, method: str, answer: Any) -> Any:
        if method == "promote":
            return [str(trial) for trial in answer]
        decisions = [answer] if method == "report" else list(dict(answer).values())
        if not all(isinstance(each, Decision) for each in decisions):
            raise TypeError(f"{method} returned {answer!r}, and no Decision")
        return answer


@dataclass(frozen=True)
class UsersSearcher:
    """A class of the user's own, and the options that its constructor is given beside the space and the seed."""

    learns: ClassVar[bool] = True
    code: CallableReference
    options: Mapping[str, Any] = field(default_factory=dict)

    def at_most(self, space: Space, points: int) -> int | None:
        """Return None: it alone knows."""
        return None

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> Searcher:
        """Return a new one; ExperimentFileError where it does not keep the contract."""
        where = f"{_SEARCHER} {self.code.text}"
        about = {"space": space, "seed": seed, "epochs": epochs, "mode": mode}
        methods = {"ask": "ask(index)", "tell": "tell(observation)"}

        def lacks(made: Any) -> Iterable[str]:
            return (
                text for name, text in methods.items() if not callable(getattr(made, name, None))
            )

        made = _made(self.code, where, {**self.options, **about}, lacks, "searcher")
        return _AskedSearcher(made, where, self.code.runs_in, space)


class _AskedSearcher(_Asked):
    """Asks a user's searcher; where its code raises, or proposes what is not in the space, the trial is drawn."""

    otherwise = "If this searcher fails, trials are drawn at random."

    def __init__(self, made: Any, where: str, file: str | None, space: Space) -> None:
        super().__init__(made, where, file)
        self._space = space
        self._has_none_now = False

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return the user's proposal."""
        self._has_none_now = False
        asked = self._ask("ask", index)
        return asked if self._has_none_now else asked or {}

    def tell(self, observation: Observation) -> None:
        """Tell the user's searcher."""
        self._ask("tell", observation)

    def _checked(self, method: str, answer: Any) -> Any:
        if method == "tell":
            return None
        self._has_none_now = answer is None
        fault = misfit(answer, self._space)
        if fault is not None:
            raise TypeError(f"ask: {fault}")
        if answer is None:
            return None
        plain = (
            value.item() if isinstance(value, np.generic) else value for value in answer.values()
        )
        return dict(zip(answer, plain, strict=True))


def _lacks(scheduler: Any, epochs: int) -> list[str]:
    """Return what a scheduler lacks of the contract."""
    milestones: Any = getattr(scheduler, "milestones", None)
    ascending = (
        isinstance(milestones, tuple | list)
        and all(isinstance(each, int) and 1 <= each < epochs for each in milestones)
        and list(milestones) == sorted(set(milestones))
    )
    lacks = [] if isinstance(getattr(scheduler, "name", None), str) else [_NAME]
    lacks += [] if ascending else [_MILESTONES]
    methods = {"report": "report(trial, epoch, value, ties)", "review": "review(epoch)"}
    return lacks + [
        text for name, text in methods.items() if not callable(getattr(scheduler, name, None))
    ]
