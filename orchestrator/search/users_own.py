"""Schedulers and searchers of the user's own, as ``./mine.py:Mine``: found, made, and held to their contracts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from orchestrator.catalog import CallableReference, UsersCode, find_class
from orchestrator.config import Experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.fields import Referenced
from orchestrator.schedulers import Decision, Forecast, Scheduler, SchedulerMaker
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties, unknown_forecast
from orchestrator.search.asked import Asked, AskedSearcher
from orchestrator.search.logical_time import InLogicalTime
from orchestrator.searchers import Searcher, SearcherMaker, SearcherOptions, name_of

_SCHEDULER = "caviar.scheduler"
_SEARCHER = "caviar.searcher"
_NAME = "name (a text)"
_MILESTONES = "milestones (whole numbers, ascending, from 1 to below epochs)"


def scheduler_of(experiment: Experiment) -> SchedulerMaker:
    """Return what makes the experiment's scheduler; one of the user's own has been made once, so that it works."""
    written = experiment.caviar.scheduler
    if isinstance(written, Referenced):
        return _users(experiment, written)
    if not (experiment.caviar.reproducible and written.compares):
        return written
    in_logical_time = written.in_logical_time()
    return InLogicalTime(in_logical_time) if in_logical_time else written


def _users(experiment: Experiment, written: Referenced) -> UsersScheduler:
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
    fault = searcher.option_fault(space, experiment.caviar.num_samples)
    if fault is not None:
        option, expected, received = fault
        place = ".".join(filter(None, (_SEARCHER, name_of(searcher), option)))
        raise ExperimentFileError(explain(place, expected, received))


def scheduler_code(experiment: Experiment) -> CallableReference | None:
    """Return the class of the user's that decides who goes on, None for a scheduler of ours."""
    return _code(experiment, experiment.strategy_options.scheduler, _SCHEDULER)


def searcher_code(experiment: Experiment) -> CallableReference | None:
    """Return the class of the user's that proposes hyperparameters, None for a searcher of ours."""
    return _code(experiment, experiment.strategy_options.searcher, _SEARCHER)


def _code(experiment: Experiment, written: Any, where: str) -> CallableReference | None:
    if not isinstance(written, Referenced):
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


class _AskedScheduler(Asked):
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
        return list(self._ask_if_there("promote"))

    def promote_last(self) -> Iterable[str]:
        """Return those of which the first goes on when nothing else is left."""
        return list(self._ask_if_there("promote_last"))

    def drop(self) -> Mapping[str, Decision]:
        """Return the paused trials that the user's scheduler has stopped meanwhile."""
        return dict(self._ask_if_there("drop"))

    def ended(self, trial: str) -> None:
        """Tell the user's scheduler."""
        self._ask_if_there("ended", trial)

    def _ask_if_there(self, method: str, *told: str) -> Any:
        if not callable(getattr(self._made, method, None)):
            return ()
        return self._ask(method, *told) or ()

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return the user's decisions."""
        return self._ask("review", epoch) or {}

    def _checked(self, method: str, answer: Any) -> Any:
        if method == "ended":
            return None
        if method in ("promote", "promote_last"):
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
        return AskedSearcher(made, where, self.code.runs_in, space)


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
