"""Trials that call a Python function of the user's, whatever it trains with; it reports its metrics, epoch by epoch.

``def train(hp, report)`` calls ``report(epoch, val_accuracy=0.9)``, or yields ``{"val_accuracy": 0.9}``. One that has a
parameter ``seed`` is given its trial's there; the usual generators are seeded by it in any case. With
``report.checkpoint``, or a parameter ``checkpoint``, it keeps states and goes on from them. It runs in a thread of its
own that waits at each report until the next epoch is asked for, so only one of the two ever runs; where its trial was
stopped, ``Stopped`` is raised at its report.
"""

from __future__ import annotations

import contextlib
import ctypes
import inspect
import os
import queue
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.catalog import CallableReference, UsersCode, printed_aside
from orchestrator.catalog.user_code import beside
from orchestrator.errors import TrialError, exit_code, explain
from orchestrator.redaction import conceal
from orchestrator.trials.function_runner import Stopped, seed_everything, takes, takes_report
from orchestrator.trials.live_reports import babysat
from orchestrator.trials.reporting import (
    Metrics,
    ReportingJob,
    ReportingWorkbench,
    Start,
    metric_name,
    metric_value,
)
from orchestrator.trials.state_store import epoch_of

ENDED_TIMES = 9
"""How often ``Stopped`` is raised in a function that catches it and reports on; then it is left where it waits."""
ENDING_SECONDS = 60.0
"""How long a function may take to end; then ``Stopped`` is raised wherever it is, and what still runs is left alone."""


@dataclass(frozen=True, kw_only=True)
class FunctionJob(ReportingJob):
    """Trials that call a function."""

    function: CallableReference

    def open(self) -> ReportingWorkbench:
        """Set this process up: the function's file is run."""
        conceal(self.secrets)
        function = self.function.load()

        def begin(start: Start) -> _Reports:
            return _Reports(function, self.function, start)

        return babysat(self, begin, self.nursery)


class FunctionCheckpoint:
    """Where a function keeps its states and finds the one that it is to go on from: ``report.checkpoint``."""

    def __init__(self, where: str, start: Start) -> None:
        self._where = f"{where}: checkpoint"
        self._start = start
        self.epoch = 0
        self.kept: str | None = None
        self.reported = 0
        self.over = False

    def load(self) -> Path | None:
        """Return the folder with the state that the trial goes on from, to be read alone; None: it begins.

        ``epoch`` is then the epoch after which it was saved, and the next one is to be reported next.
        """
        if self.reported > self.epoch:
            expected = "expected load() before the first report"
            raise TrialError(explain(self._where, expected, f"after that of epoch {self.reported}"))
        if self._start.state is None:
            return None
        found = self._start.files.find(self._start.state)
        self.kept = self._start.state
        self.epoch = self.reported = epoch_of(self.kept)
        return found

    @contextlib.contextmanager
    def save(self, epoch: int | None = None) -> Iterator[Path]:
        """Yield an empty folder; what is written into it is the trial's state after the epoch that is reported next.

        When the block is over, all of it is kept, or nothing where the block raised.
        """
        if self.over:
            raise Stopped
        if epoch is not None and epoch != self.reported + 1:
            expected = (
                f"expected a state of epoch {self.reported + 1}, saved before that is reported"
            )
            raise TrialError(explain(self._where, expected, epoch))
        files = self._start.files
        folder = files.begin()
        try:
            yield folder
            if self.over:
                raise Stopped
            self.kept = files.keep(folder, self.reported + 1)
        finally:
            files.drop(folder)


class Reporter:
    """What a function reports with: ``report(epoch, **metrics)``, and the states that it keeps."""

    def __init__(
        self, take: Callable[[Any, Metrics], None], checkpoint: FunctionCheckpoint
    ) -> None:
        self._take = take
        self.checkpoint = checkpoint

    def __call__(self, epoch: Any = None, **metrics: Any) -> None:
        """Report the metrics of an epoch, the first is 1, and wait until the next one is asked for."""
        self._take(epoch, metrics)


@dataclass(frozen=True)
class _Settings:
    """What a function may change of its process, and neither the run nor another trial is to see."""

    folder: Path
    environment: Mapping[str, str]
    path: tuple[str, ...]
    recursion: int

    @classmethod
    def now(cls) -> _Settings:
        return cls(Path.cwd(), dict(os.environ), tuple(sys.path), sys.getrecursionlimit())

    def put_in_force(self) -> None:
        os.chdir(self.folder)
        sys.path[:] = self.path
        for name in os.environ.keys() - self.environment.keys():
            del os.environ[name]
        for name, text in self.environment.items():
            if os.environ.get(name) != text:
                os.environ[name] = text


class _Reports:
    """What a function reports, one epoch after another; it runs while the next report is waited for.

    Meanwhile what it prints goes to stderr, and the current directory, environment and path of modules are its own.
    """

    def __init__(
        self, function: Callable[..., Any], reference: CallableReference, start: Start
    ) -> None:
        self._function = function
        self._reference = reference
        self._spec = start.spec
        self._checkpoint = FunctionCheckpoint(reference.text, start)
        self._hp = dict(start.spec.hyperparameters)
        self._asked: queue.Queue[bool] = queue.Queue()
        self._told: queue.Queue[Metrics | BaseException | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._settings = _Settings.now()
        self._process = os.getpid()
        self._over = False

    @property
    def epoch(self) -> int:
        """Return the last epoch that was reported."""
        return self._checkpoint.reported

    @property
    def state(self) -> str | None:
        """Return the last state that was kept by then."""
        return self._checkpoint.kept

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the function has returned. Raises what it raises."""
        if self._over:
            return None
        if self._thread is not None:
            return self._turn(lambda: self._asked.put(True))
        self._thread = threading.Thread(
            target=self._run, name=f"train-{self._spec.trial}", daemon=True
        )
        return self._turn(self._thread.start)

    def change(self, values: Mapping[str, Any]) -> None:
        """Have the function find new values in its hyperparameters."""
        self._hp.update(values)

    def end(self) -> None:
        """Have the function end at its report, where it waits."""
        self._checkpoint.over = True
        for _ in range(ENDED_TIMES):
            if self._thread is None or self._over:
                return
            with contextlib.suppress(Exception):  # what it raises now is of a trial that is over
                self._turn(lambda: self._asked.put(False), self._ended)

    def _ended(self) -> Metrics | BaseException | None:
        """Return what a function that is to end tells; that it is over where it does not end."""
        for told in range(2):
            with contextlib.suppress(queue.Empty):
                return self._told.get(timeout=ENDING_SECONDS)
            if told == 0 and self._thread is not None and self._thread.ident is not None:
                thread = ctypes.c_ulong(self._thread.ident)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(Stopped))
        return None

    def _turn(
        self,
        begin: Callable[[], None],
        wait: Callable[[], Metrics | BaseException | None] | None = None,
    ) -> Metrics | None:
        """Let the function run until it reports or returns, or as long as is waited for it."""
        ours = _Settings.now()
        with printed_aside(), warnings.catch_warnings():
            try:
                self._settings.put_in_force()
                begin()
                told = (wait or self._told.get)()
                self._settings = _Settings.now()
            finally:
                ours.put_in_force()
                sys.setrecursionlimit(ours.recursion)
        self._over = not isinstance(told, dict)
        if isinstance(told, BaseException):
            raise told
        return told

    def _run(self) -> None:
        raised: BaseException | None = None
        where = self._reference.text
        try:
            seed_everything(self._spec.seed)
            with UsersCode(where, self._reference.runs_in, aside=False):
                for yielded in self._called():
                    self._report(yielded, {})
        except Stopped:
            pass
        except (
            SystemExit,
            KeyboardInterrupt,
        ) as error:  # raised by the function: Ctrl-C is its driver's
            said = f" (exit code {exit_code(error)})" if isinstance(error, SystemExit) else ""
            raised = TrialError(f"{where}: its code ended the process{said}.")
        except BaseException as error:  # noqa: BLE001 (raised on in the thread of whoever asks for the next epoch)
            raised = error
        if os.getpid() != self._process:  # it forked, and this is the child
            os._exit(0)
        self._told.put(raised)

    def _called(self) -> Iterator[Mapping[str, Any]]:
        """Call the function; yield what it yields."""
        given: list[Any] = [self._hp]
        if takes_report(self._function):
            given.append(Reporter(self._report, self._checkpoint))
        by_name = {"seed": self._spec.seed, "checkpoint": self._checkpoint}
        asked = {name: by_name[name] for name in by_name if takes(name, self._function)}
        answer = self._function(*given, **asked)
        if inspect.iscoroutine(answer):
            answer.close()
            expected = "expected a function that trains when it is called"
            raise TrialError(explain(self._reference.text, expected, "an async one"))
        if inspect.isgenerator(answer):
            folder = self._reference.file.parent if self._reference.file else None
            with beside(folder) if folder else contextlib.nullcontext():
                yield from answer

    def _report(self, epoch: Any, metrics: Mapping[str, Any]) -> None:
        """Take in the metrics of an epoch, and wait until the next one is asked for."""
        where, reported = self._reference.text, self._checkpoint.reported
        if self._over or os.getpid() != self._process:  # of a thread or a process that it has left
            raise Stopped
        if isinstance(epoch, Mapping):
            metrics = {**epoch, **metrics}
            epoch = metrics.pop("epoch", None)
        if epoch is not None and epoch != reported + 1:
            expected = f"expected a report of epoch {reported + 1}, the next one"
            raise TrialError(explain(where, expected, epoch))
        told = {
            metric_name(where, name): metric_value(where, name, metrics[name]) for name in metrics
        }
        self._checkpoint.reported += 1
        self._told.put(told)
        if not self._asked.get():
            raise Stopped
