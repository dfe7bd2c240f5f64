"""Trials whose function runs in another Python: found and asked for its version; its process, warm for many trials.

A process is started with the first trial of a worker, imports what the function's file imports, and takes the next
trial when one is over. One that ends, or does not end a trial, is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import weakref
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import PlaceError, TrialError, UnknownNameError, explain, shortened
from orchestrator.redaction import conceal, redact
from orchestrator.trials.live_reports import babysat
from orchestrator.trials.program import (
    LOOK_SECONDS,
    OF_OUR_PYTHON,
    KeptOutput,
    Launch,
    Program,
    answer_of,
    said_of,
)
from orchestrator.trials.reporting import (
    NOT_YET,
    Metrics,
    ReportingJob,
    ReportingWorkbench,
    Start,
    metric_name,
    metric_value,
    no_metric,
)
from orchestrator.trials.state_store import epoch_of

RUNNER = Path(__file__).with_name("function_runner.py")
OLDEST = (3, 7)
ENDED_TIMES = 9
ENDING_SECONDS = 30.0
"""How often, and how long, a function is waited for that is to end; then its process is ended."""
_ASKED = "import sys; print('%d.%d.%d' % sys.version_info[:3])"


@dataclass(frozen=True)
class Interpreter:
    """A Python that is there and runs."""

    path: str
    version: str


def find_interpreter(python: str, folder: Path, where: str) -> Interpreter:
    """Return the Python that a file names, ``where``: beside it, or on PATH.

    Raises UnknownNameError where there is none, PlaceError where it does not run, or is too old.
    """
    # Not resolved: what a virtual environment's link leads to knows nothing of the environment.
    beside = os.path.abspath(folder / Path(python).expanduser())  # noqa: PTH100
    path = beside if "/" in python else shutil.which(python) or ""
    if not os.access(path, os.X_OK) or not Path(path).is_file():
        expected = "expected an interpreter, such as ./env/bin/python"
        raise UnknownNameError(explain(where, expected, python))
    said = answer_of([path, "-I", "-c", _ASKED])
    version = tuple(int(part) for part in said.split(".") if part.isdigit())
    if len(version) != len(["3", "7", "0"]) or version < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        expected = f"expected an interpreter of Python {oldest} or newer"
        raise PlaceError(explain(where, expected, f"{path}: {shortened(said)}"))
    return Interpreter(path, said)


@dataclass(frozen=True, kw_only=True)
class InterpreterJob(ReportingJob):
    """Trials that call a function in another Python's process."""

    file: Path
    function: str
    python: str

    def open(self) -> ReportingWorkbench:
        """Set this process up; the other one begins with the first trial."""
        conceal(self.secrets)
        warm = _Warm(self)
        workbench = babysat(self, lambda start: _Call(self, warm, start), self.nursery)
        weakref.finalize(workbench, warm.end)
        return workbench


class _Warm:
    """The other Python's process, for as long as it lives."""

    def __init__(self, job: InterpreterJob) -> None:
        self._job = job
        self._program: Program | None = None
        self._line = bytearray()
        self._told: deque[dict[str, Any]] = deque()
        self._outputs: tuple[KeptOutput, ...] = ()

    def begin(self, trial: str, asked: Mapping[str, Any]) -> None:
        """Have it train a trial."""
        logs = self._job.home / "logs"
        streams = (f"{trial}.stdout.txt", f"{trial}.stderr.txt")
        self._outputs = tuple(KeptOutput(logs / name) for name in streams)
        if self._program is not None:
            self._program.read(lambda: False, 0.0)
            if self._program.ending is not None:
                self.end()
        if self._program is None:
            self._start()
        self.say(asked)

    def _start(self) -> None:
        self._line.clear()
        self._told.clear()
        theirs, ours = os.pipe()
        incoming, outgoing = os.pipe()
        launch = Launch(
            folder=Path.cwd(), hand=(theirs, outgoing), grace=1.0, without=OF_OUR_PYTHON
        )
        arguments = [self._job.python, str(RUNNER), str(theirs), str(outgoing)]
        try:
            self._program = Program(
                arguments,
                launch,
                lambda printed: self._outputs[0](printed),
                lambda printed: self._outputs[1](printed),
            )
        finally:
            os.close(theirs)
            os.close(outgoing)
        self._program.listen(incoming, self._take)
        self._say = ours

    def _take(self, said: bytes) -> None:
        *lines, rest = (bytes(self._line) + said).split(b"\n")
        self._line[:] = rest
        self._told.extend(json.loads(line) for line in lines)

    def say(self, what: Mapping[str, Any]) -> None:
        """Tell it something."""
        with contextlib.suppress(OSError):  # it has ended, as whoever hears it next is told
            os.write(self._say, json.dumps(what).encode() + b"\n")

    @property
    def lives(self) -> bool:
        """Whether the process runs."""
        return self._program is not None and not self._program.is_over

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Let it run; return what it says next, None where it ended, or says nothing in time and is paused."""
        if self._program is None:
            return None
        self._program.go_on()
        if self._program.read(lambda: bool(self._told), seconds) and not self._told:
            self._program.pause()
        return self._told.popleft() if self._told else None

    def write(self) -> None:
        """Write down what was printed by now."""
        if self._program is not None:
            self._program.read(lambda: False, 0.0)
        for output in self._outputs:
            output.write()

    def end(self) -> str:
        """End the process; return how it ended, and the last line that it printed."""
        if self._program is None:
            return ""
        program, self._program = self._program, None
        os.close(self._say)
        program.end()
        for output in self._outputs:
            output.write()
        why = self._outputs[1].last_line
        return f"{said_of(program.ending)}{f': {why}' if why else ''}"


class _Call:
    """A call of the function for one trial, and what it reports."""

    def __init__(self, job: InterpreterJob, warm: _Warm, start: Start) -> None:
        self._job = job
        self._warm = warm
        self._start = start
        self._begun = False
        self._over = False
        self._is_amid = False
        self._changes: dict[str, Any] = {}
        self.epoch = 0
        self.state: str | None = None

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the function has returned. Raises TrialError where it raised."""
        if self._over:
            return None
        if not self._begun:
            self._begin()
        elif not self._is_amid:
            self._warm.say({"go": True, "hp": self._changes})
            self._changes = {}
        self._is_amid = False
        while True:
            told = self._warm.hear(LOOK_SECONDS)
            if told is None and self._warm.lives:
                self._is_amid = True
                return NOT_YET
            if told is None:
                self._over = True
                raise TrialError(f"{self._job.text}: its process {self._warm.end()}.")
            if "report" in told:
                return self._reported(told["epoch"], told["report"])
            if self._is_answered(told):
                continue
            self._over = True
            self._warm.write()
            self._raise(told)
            return None

    def change(self, values: Mapping[str, Any]) -> None:
        """Have the function find new values in its hyperparameters once its report returns."""
        self._changes |= values

    def end(self) -> None:
        """Have the function end at its report, where it waits; its process ends where it does not."""
        if not self._begun or self._over:
            return
        self._over = True
        for _ in range(ENDED_TIMES):
            self._warm.say({"go": False})
            told = self._warm.hear(ENDING_SECONDS)
            if told is None:
                break
            if not {"report", "begin", "keep", "load", "drop"} & told.keys():
                self._warm.write()
                return
        self._warm.end()

    def _begin(self) -> None:
        self._begun = True
        spec, state = self._start.spec, self._start.state
        asked = {
            "file": str(self._job.file),
            "function": self._job.function,
            "hp": dict(spec.hyperparameters),
            "seed": spec.seed,
            "state": state and str(self._start.files.find(state)),
            "epoch": epoch_of(state),
        }
        self._warm.begin(spec.trial, asked)

    def _reported(self, epoch: Any, told: Mapping[str, Any]) -> Metrics:
        where = self._job.text
        if epoch is not None and epoch != self.epoch + 1:
            expected = f"expected a report of epoch {self.epoch + 1}, the next one"
            raise TrialError(explain(where, expected, epoch))
        metrics = {}
        for name, value in told.items():
            if isinstance(value, list):
                raise no_metric(where, name, value[0])
            metrics[metric_name(where, name)] = metric_value(where, name, value)
        self.epoch += 1
        return metrics

    def _is_answered(self, told: Mapping[str, Any]) -> bool:
        """Answer what is asked of states; return whether that was it."""
        where, files = f"{self._job.text}: checkpoint", self._start.files
        if "load" in told:
            if self.epoch:
                expected = "expected load() before the first report"
                self._warm.say(
                    {"refused": explain(where, expected, f"after that of epoch {self.epoch}")}
                )
                return True
            self.state, self.epoch = self._start.state, epoch_of(self._start.state)
            self._warm.say({})
        elif "begin" in told:
            if told["begin"] not in (None, self.epoch + 1):
                expected = (
                    f"expected a state of epoch {self.epoch + 1}, saved before that is reported"
                )
                self._warm.say({"refused": explain(where, expected, told["begin"])})
                return True
            self._warm.say({"folder": str(files.begin())})
        elif "keep" in told or "drop" in told:
            folder = Path(told.get("keep") or told["drop"])
            try:
                if "keep" in told:
                    self.state = files.keep(folder, self.epoch + 1)
                self._warm.say({})
            except TrialError as error:
                self._warm.say({"refused": str(error)})
            finally:
                files.drop(folder)
        else:
            return False
        return True

    def _raise(self, told: Mapping[str, Any]) -> None:
        """Raise what the function raised."""
        where = self._job.text
        if "refused" in told:
            if told["refused"] == "async":
                expected = "expected a function that trains when it is called"
                raise TrialError(explain(where, expected, "an async one"))
            raise TrialError(told["refused"])
        if "ended" in told:
            self._warm.end()
            code = shortened(told["ended"])
            raise TrialError(f"{where}: its code ended the process (exit code {code}).")
        if "raised" in told:
            self._warm.end()
            said = shortened(told["raised"].split("\n")[0])
            trace = redact(told["trace"])
            raise TrialError(f"{where}: its code raised {said}{told['spot']}.\n{trace}")
