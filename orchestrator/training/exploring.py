"""A process in which code that asks for its hyperparameters is run to find its space; nothing is trained for long.

A run of it ends where it first reports, where it returns, or where it has asked for nothing for a while.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.domains import Domain, InvalidDomain
from orchestrator.errors import ExperimentFileError, OrchestratorError, TrialError, exit_code
from orchestrator.streams import shown
from orchestrator.training.keras_setup import BACKEND, choose_backend
from orchestrator.training.trial_process import UsersProcess
from orchestrator.trials.asking import Answers, Reported, plain_name
from orchestrator.trials.exploration import FoundSpace, Trace, explore, first_of

LONGEST_SECONDS = 120.0
"""How long the code may take until it asks for something for the first time: its imports, its data."""
QUIET_SECONDS = 5.0
"""After how long without a question its first run ends: it trains."""
QUICK_SECONDS = 1.0
"""The same of later runs, beyond four times the longest time between two questions of the first."""
TO_END_SECONDS = 5.0
"""How long code may take to end when it is told to; then its process is killed."""

Call = Callable[[Callable[..., Any], Answers], None]
"""Calls a user's function as one kind of trial calls it; picklable."""


@dataclass(frozen=True)
class Explored:
    """Code whose space is to be found, and how it is called, on which of Keras's backends; others read ``beside``."""

    reference: CallableReference
    call: Call
    beside: frozenset[str] = frozenset()
    backend: str = BACKEND


class Quiet(BaseException):
    """Raised where code has asked for nothing for a while."""


def find_space(explored: Explored, where: str, written: Mapping[str, Domain]) -> FoundSpace:
    """Return the space of a user's code, as ``explore`` does. Raises as it does, and TrialError as the code does."""
    with ExploringProcess(explored, where) as process:
        return explore(process.run, where, written, explored.beside)


class ExploringProcess(UsersProcess):
    """Runs code with values; if the code ends the process, or does not end, another is started."""

    serves = "exploring"

    def __init__(self, explored: Explored, where: str) -> None:
        super().__init__(explored.backend)
        self._explored = explored
        self._where = where
        self._quiet: float | None = None

    def run(self, values: Mapping[str, Any]) -> Trace:
        """Run the code; return what it asked for."""
        self.start()
        domains: dict[str, Domain] = {}
        answers: dict[str, Any] = {}
        longest, quiet = 0.0, self._quiet or QUIET_SECONDS
        try:
            self._here.send((dict(values), quiet))
            while True:
                began = time.monotonic()
                limit = quiet if domains else LONGEST_SECONDS
                if not self._here.poll(limit + TO_END_SECONDS):
                    self._end()
                    return self._never_ended(domains, answers)
                told = self._here.recv()
                if not isinstance(told, _Asked):
                    break
                longest = max(longest, time.monotonic() - began if domains else 0.0)
                domains[told.name], answers[told.name] = told.domain, told.answer
        except (EOFError, OSError):
            said = f"its code ended the process that ran it (exit code {self._end()})"
            return Trace(domains, answers, False, TrialError(f"{self._where}: {said}."))
        self._quiet = self._quiet or min(QUIET_SECONDS, QUICK_SECONDS + 4 * longest)
        if told == _QUIET:
            return Trace(domains, answers, quiet=True)
        return Trace(domains, answers, told is None, told)

    def _never_ended(self, domains: Mapping[str, Domain], answers: Mapping[str, Any]) -> Trace:
        if domains:
            return Trace(domains, answers, quiet=True)
        raise ExperimentFileError(
            f"{self._where}: expected code that asks for its hyperparameters before it does anything long. Received:"
            f" nothing within {LONGEST_SECONDS:.0f} seconds."
        )

    def _start(self) -> None:
        super()._start()
        self._here.send(self._explored)


_QUIET = "quiet"
"""Told in place of an error where a run was left that asked for nothing for a while."""


@dataclass(frozen=True)
class _Asked:
    name: str
    domain: Domain
    answer: Any


@dataclass
class _Recording:
    """Answers with values, else with the first of each domain, and tells what was asked."""

    there: Connection
    values: Mapping[str, Any]
    quiet: float
    known: dict[str, tuple[str, Domain, Any]] = field(default_factory=dict)

    def value(self, name: str, domain: Domain) -> Any:
        """Return a value."""
        plain = plain_name(name)
        if plain in self.known:
            asked, before, answer = self.known[plain]
            if asked != name:
                raise ExperimentFileError(
                    f"{name}: expected a name that differs from {asked!r} in letters and digits, since both are"
                    f" {plain} in a search space."
                )
            if before != domain:
                raise ExperimentFileError(
                    f"{name}: expected to be asked for from one range. Received: {before}, then {domain}."
                )
            return answer
        given = self.values.get(plain, first_of(domain))
        answer = given if domain.contains(given) else first_of(domain)
        self.known[plain] = name, domain, answer
        self.there.send(_Asked(plain, domain, answer))
        signal.setitimer(signal.ITIMER_REAL, self.quiet)
        return answer


def serve(there: Connection) -> None:
    """Run the code with whatever values are sent, until the other end is closed. What its first run prints is shown."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, _is_quiet)
    sys.stdout, sys.stderr = shown(sys.stdout), shown(sys.stderr)
    choose_backend(os.environ.get("KERAS_BACKEND", BACKEND))
    explored: Explored = there.recv()
    while True:
        try:
            values, quiet = there.recv()
        except EOFError:
            return
        there.send(_answer(explored, _Recording(there, values, quiet)))


def _is_quiet(*_: object) -> None:
    raise Quiet


def _answer(explored: Explored, recording: _Recording) -> OrchestratorError | str | None:
    """Run the code once; return what it raised, None where it came to its end, _QUIET where it seems to train."""
    where = explored.reference.text
    try:
        with UsersCode(where, explored.reference.runs_in):
            try:
                explored.call(explored.reference.load(), recording)
            except InvalidDomain as refusal:
                return ExperimentFileError(f"{where}: {refusal}")
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
    except Reported:
        return None
    except Quiet:
        return _QUIET
    except SystemExit as ended:
        return TrialError(f"{where}: its code ended the process (exit code {exit_code(ended)}).")
    except OrchestratorError as error:
        return type(error)(str(error))
    return None
