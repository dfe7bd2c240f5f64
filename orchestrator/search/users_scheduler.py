"""A scheduler of the user's own, ``scheduler: ./mine.py:Mine``: found, made, and held to the contract."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.catalog import CallableReference, UsersCode, find_class
from orchestrator.config import Experiment
from orchestrator.errors import ExperimentFileError, OrchestratorError, explain
from orchestrator.fields import Referenced
from orchestrator.redaction import redacted
from orchestrator.schedulers import Decision, Forecast, Scheduler, SchedulerMaker
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Ties, unknown_forecast

_WHERE = "caviar.scheduler"
_NAME = "name (a text)"
_MILESTONES = "milestones (whole numbers, ascending, from 1 to below epochs)"


def scheduler_of(experiment: Experiment) -> SchedulerMaker:
    """Return what makes the experiment's scheduler; one of the user's own has been made once, so that it works."""
    written = experiment.caviar.scheduler
    if not isinstance(written, Referenced):
        return written
    code = find_class(written.reference, experiment.folder, _WHERE)
    found = UsersScheduler(code, written.options)
    found.make(experiment.epochs, experiment.direction or "max")
    return found


def scheduler_code(experiment: Experiment) -> CallableReference | None:
    """Return the class of the user's that decides, None for a scheduler of ours."""
    written = experiment.caviar.scheduler
    if experiment.strategy != "caviar" or not isinstance(written, Referenced):
        return None
    return find_class(written.reference, experiment.folder, _WHERE)


@dataclass(frozen=True)
class UsersScheduler:
    """A class of the user's own, and the options that its constructor is given beside ``epochs`` and ``mode``."""

    code: CallableReference
    options: Mapping[str, Any] = field(default_factory=dict)

    def make(self, epochs: int, mode: str) -> Scheduler:
        """Return one for trials of ``epochs`` epochs; ExperimentFileError where it does not keep the contract."""
        where = f"{_WHERE} {self.code.text}"
        with UsersCode(where, self.code.runs_in, ExperimentFileError):
            made = self.code.load()(**{**self.options, "epochs": epochs, "mode": mode})
            missing = list(_missing(made, epochs))
        if missing:
            expected = f"expected a scheduler with {', '.join(missing)}"
            raise ExperimentFileError(explain(where, expected, type(made).__name__))
        return _Guarded(made, where, self.code.runs_in)

    def forecast(self, trials: int, epochs: int) -> Forecast:
        """Return all epochs at most."""
        return unknown_forecast(trials, epochs)


class _Guarded:
    """Asks a user's scheduler; where its code raises, or answers no Decision, the trial goes on and it is said once."""

    def __init__(self, scheduler: Any, where: str, file: str | None) -> None:
        self._scheduler = scheduler
        self._where = where
        self._file = file
        self.name: str = scheduler.name
        self.milestones = tuple(scheduler.milestones)
        self.fault = ""

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Return the user's decision."""
        decision = self._asked("report", trial, epoch, value, ties)
        return CONTINUE if decision is None else decision

    def promote(self) -> Iterable[str]:
        """Return the trials that the user's scheduler lets go on."""
        if not callable(getattr(self._scheduler, "promote", None)):
            return ()
        names = self._asked("promote")
        return names or ()

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return the user's decisions."""
        return self._asked("review", epoch) or {}

    def _asked(self, method: str, *told: Any) -> Any:
        try:
            with UsersCode(self._where, self._file):
                answer = getattr(self._scheduler, method)(*told)
                if method == "promote":
                    return [str(trial) for trial in answer]
                decisions = [answer] if method == "report" else list(dict(answer).values())
                if not all(isinstance(each, Decision) for each in decisions):
                    raise TypeError(f"{method} returned {answer!r}, and no Decision")
        except OrchestratorError as error:
            self._say(str(error))
            return None
        return answer

    def _say(self, fault: str) -> None:
        if not self.fault:
            sys.stderr.write(f"{redacted(fault)} Where this scheduler fails, trials go on.\n")
        self.fault = self.fault or fault


def _missing(scheduler: Any, epochs: int) -> list[str]:
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
