"""Trials that call a Python function of the user's, whatever it trains with; it reports its metrics, epoch by epoch.

``def train(hp, report)`` calls ``report(epoch, val_accuracy=0.9)``, or yields ``{"val_accuracy": 0.9}``. One that has a
parameter ``seed`` is given its trial's there; the usual generators are seeded by it in any case. It runs in a
thread of its own that waits at each report until the next epoch is asked for, so only one of the two ever runs; where
its trial was stopped, ``Stopped`` is raised at its report.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
import os
import queue
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from orchestrator.catalog import CallableReference, UsersCode, printed_aside
from orchestrator.catalog.user_code import beside
from orchestrator.errors import RecordError, TrialError, encodable, exit_code, explain
from orchestrator.records import Mode, Score, made, score_of, write_atomically
from orchestrator.redaction import conceal, redacted
from orchestrator.search import TrialSpec
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.protocol import Progress
from orchestrator.trials.state_store import StateStore

Metrics = dict[str, float]
NOT_METRICS = ("trial", "epoch", "seconds", "time", "group", "stretch")
"""Names that a table of epochs has for itself."""
ENDED_TIMES = 9
"""How often ``Stopped`` is raised in a function that catches it and reports on; then it is left where it waits."""


class Stopped(BaseException):
    """Raised where a function reports whose trial is over. Like Ctrl-C, it passes ``except Exception``."""


@dataclass(frozen=True)
class FunctionJob:
    """Trials that call a function: plain values, shipped to a worker once.

    ``milestones`` are the epochs after which the driver decides: each gets a report of its own. ``secrets`` are the
    values behind references, by the names of their variables.
    """

    function: CallableReference
    home: Path
    epochs: int
    metric: str
    mode: Mode
    milestones: frozenset[int] = frozenset()
    secrets: Mapping[str, str] = field(default_factory=dict)

    @property
    def states(self) -> StateStore:
        """Return where a trial's best report is kept."""
        return StateStore(self.home / "checkpoints")

    def open(self) -> FunctionWorkbench:
        """Set this process up: the function's file is run."""
        conceal(self.secrets)
        return FunctionWorkbench(self)


class FunctionWorkbench:
    """A process in which a function is called, trial after trial."""

    def __init__(self, job: FunctionJob) -> None:
        self._job = job
        self._function = job.function.load()
        self._session: FunctionSession | None = None

    def session(self, spec: TrialSpec) -> FunctionSession:
        """Return the next trial's call, not begun."""
        self.leave()
        self._session = FunctionSession(self._job, self._function, spec)
        return self._session

    def about(self) -> Mapping[str, Any]:
        """Return how the trial trains."""
        return {"path": "function"}

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Write the winner's hyperparameters and its metrics under ``best``; return its ``winner`` event's fields."""
        about = load_checkpoint(checkpoint).about
        metrics = {
            "trial": about["trial"],
            "epoch": about["epoch"],
            "hyperparameters": about["chosen"],
            "validation": _by_plain_name(about["metrics"]),
        }
        metrics = dict(redacted(metrics))
        made(best)
        hyperparameters = yaml.safe_dump(metrics["hyperparameters"], sort_keys=False)
        write_atomically(best / "hyperparameters.yaml", hyperparameters)
        write_atomically(best / "metrics.json", json.dumps(metrics, indent=2) + "\n")
        return metrics

    def leave(self) -> None:
        """End the call of a trial that is over."""
        if self._session is not None:
            self._session.end()
        self._session = None


def _by_plain_name(metrics: Metrics) -> Metrics:
    """Return metrics without their ``val_``, but where both were reported."""
    plain = {name: name.removeprefix("val_") for name in metrics}
    return {name if plain[name] in metrics else plain[name]: metrics[name] for name in metrics}


class FunctionSession:
    """One trial's call of the function.

    What the function holds cannot be kept. One that was cut off is called again: what it reports once more up to where
    it was is not heard, so that what was recorded stays as it is, whatever it reports now.
    """

    def __init__(self, job: FunctionJob, function: Callable[..., Any], spec: TrialSpec) -> None:
        self._job = job
        self._spec = spec
        self._states = job.states
        self._reports = _Reports(function, job.function, spec)
        self._begun = False
        self._epoch = 0
        self._heard_before = 0
        self._best: Score | None = None
        self._improved: Mapping[str, Any] | None = None

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first."""
        if not self._begun:
            self._begun = True
            self._take_up(progress)
            if progress.rows and self._is_to_report(progress):
                return  # it was cut off before the driver heard this, and decided
        until = time.monotonic() + seconds
        try:
            while not self._comes_to_report(progress) and time.monotonic() < until:
                pass
        finally:
            self._save(progress)

    def keep(self) -> None:
        """Keep nothing more: how far it is was kept with its last report."""

    def end(self) -> None:
        """Have the function return, wherever it is."""
        self._reports.end()

    def _take_up(self, progress: Progress) -> None:
        """Tell the last report again of a trial that was cut off; one that kept none begins anew."""
        try:
            about = load_checkpoint(self._states.last(self._spec.trial)).about
        except RecordError:
            return
        if about["best"] is not None and not self._states.best(self._spec.trial).exists():
            return
        self._best = Score.from_plain(about["best"])
        self._heard_before = self._epoch = progress.epoch = int(about["epoch"])
        progress.rows.extend(about["rows"])

    def _comes_to_report(self, progress: Progress) -> bool:
        """Wait for an epoch; return whether the trial is over with it, or the driver decides after it."""
        began = time.monotonic()
        metrics = self._reports.next()
        if metrics is None:
            self._check_reported()
            progress.done = True
            return True
        if self._reports.epoch <= self._heard_before:
            return False
        self._take_in(metrics, time.monotonic() - began, progress)
        return self._is_to_report(progress)

    def _take_in(self, metrics: Metrics, seconds: float, progress: Progress) -> None:
        metric = self._job.metric
        if metric not in metrics:
            expected = f"expected {metric}, by which trials are judged, in every report"
            raise TrialError(explain(self._job.function.text, expected, sorted(metrics)))
        self._epoch += 1
        row = {
            "trial": self._spec.trial,
            "epoch": self._epoch,
            "metrics": metrics,
            "seconds": seconds,
        }
        progress.rows.append(row)
        progress.epoch = self._epoch
        score = score_of(row, metric, self._job.mode)
        if score is not None and score.beats(self._best):
            self._best, self._improved = score, row

    def _is_to_report(self, progress: Progress) -> bool:
        """Return whether the trial is over with its last epoch, or the driver decides after it."""
        progress.diverged = not math.isfinite(progress.rows[-1]["metrics"].get("loss", 0.0))
        progress.done = self._epoch >= self._job.epochs
        return progress.done or progress.diverged or self._epoch in self._job.milestones

    def _save(self, progress: Progress) -> None:
        """Keep the best report, and how far the trial is before the driver hears of it."""
        if self._improved is not None:
            about = {**self._improved, "chosen": dict(self._spec.hyperparameters)}
            save_checkpoint(self._states.best(self._spec.trial), Checkpoint((), (), about))
            self._improved = None
        if progress.rows:
            best = self._best.to_plain() if self._best else None
            about = {"trial": self._spec.trial, "epoch": self._epoch, "best": best}
            last = Checkpoint((), (), {**about, "rows": progress.rows})
            save_checkpoint(self._states.last(self._spec.trial), last)

    def _check_reported(self) -> None:
        if self._epoch == 0:
            raise TrialError(
                f"{self._job.function.text}: expected at least one report of its metrics."
                " Received: a function that returned without one."
            )


class _Reports:
    """What a function reports, one epoch after another; it runs while the next report is waited for.

    Meanwhile what it prints goes to stderr, and the current directory is the function's.
    """

    def __init__(
        self, function: Callable[..., Any], reference: CallableReference, spec: TrialSpec
    ) -> None:
        self._function = function
        self._reference = reference
        self._spec = spec
        self._asked: queue.Queue[bool] = queue.Queue()
        self._told: queue.Queue[Metrics | BaseException | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._folder = Path.cwd()
        self._over = False
        self.epoch = 0

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the function has returned. Raises what it raises."""
        if self._over:
            return None
        if self._thread is not None:
            return self._turn(lambda: self._asked.put(True))
        self._thread = threading.Thread(target=self._run, daemon=True)
        return self._turn(self._thread.start)

    def end(self) -> None:
        """Have the function end at its report, where it waits."""
        for _ in range(ENDED_TIMES):
            if self._thread is None or self._over:
                return
            with contextlib.suppress(Exception):  # what it raises now is of a trial that is over
                self._turn(lambda: self._asked.put(False))

    def _turn(self, begin: Callable[[], None]) -> Metrics | None:
        """Let the function run until it reports or returns."""
        ours = Path.cwd()
        with printed_aside():
            try:
                os.chdir(self._folder)
                begin()
                told = self._told.get()
                self._folder = Path.cwd()
            finally:
                os.chdir(ours)
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
                    self._report(yielded)
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
        self._told.put(raised)

    def _called(self) -> Iterator[Mapping[str, Any]]:
        """Call the function; yield what it yields."""
        given: tuple[Any, ...] = (dict(self._spec.hyperparameters), self._report)
        seed = {"seed": self._spec.seed} if takes_seed(self._function) else {}
        answer = self._function(*given[: 2 if takes_report(self._function) else 1], **seed)
        if inspect.iscoroutine(answer):
            answer.close()
            expected = "expected a function that trains when it is called"
            raise TrialError(explain(self._reference.text, expected, "an async one"))
        if inspect.isgenerator(answer):
            folder = self._reference.file.parent if self._reference.file else None
            with beside(folder) if folder else contextlib.nullcontext():
                yield from answer

    def _report(self, epoch: Any = None, **metrics: Any) -> None:
        """Take in the metrics of an epoch, the first is 1, and wait until the next one is asked for."""
        where = self._reference.text
        if isinstance(epoch, Mapping):
            metrics = {**epoch, **metrics}
            epoch = metrics.pop("epoch", None)
        if epoch is not None and epoch != self.epoch + 1:
            expected = f"expected a report of epoch {self.epoch + 1}, the next one"
            raise TrialError(explain(where, expected, epoch))
        told = {_metric(where, name): _number(where, name, metrics[name]) for name in metrics}
        self.epoch += 1
        self._told.put(told)
        if not self._asked.get():
            raise Stopped


def takes_report(function: Callable[..., Any]) -> bool:
    """Return whether a function is called as ``train(hp, report)``, and not as a generator ``train(hp)``."""
    places = list(inspect.signature(function).parameters.values())
    if any(each.kind is each.VAR_POSITIONAL for each in places):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    second = [each for each in places if each.kind in kinds][1:2]
    # A generator train(hp, seed) reports by what it yields.
    if second and second[0].name == "seed":
        return False
    return bool(second) and (second[0].default is second[0].empty or second[0].name == "report")


def takes_seed(function: Callable[..., Any]) -> bool:
    """Return whether a function has a parameter ``seed`` without a default of its own, beyond its hyperparameters."""
    places = list(inspect.signature(function).parameters.values())[1:]
    by_name = (
        each for each in places if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)
    )
    return any(each.name == "seed" and each.default is each.empty for each in by_name)


def _metric(where: str, name: Any) -> str:
    """Return a metric's name; tables have columns of their own under some."""
    if isinstance(name, str) and name and name not in NOT_METRICS:
        return encodable(name)
    expected = f"expected a metric's name, none of {', '.join(NOT_METRICS)}"
    raise TrialError(explain(where, expected, name))


def _number(where: str, name: str, value: Any) -> float:
    """Return a metric as a float: a number, or an array or tensor of one."""
    try:
        if not isinstance(value, str):
            return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        pass
    raise TrialError(explain(where, f"expected a number as {name}", type(value).__name__))


def seed_everything(seed: int) -> None:
    """Seed Python, NumPy, and those of TensorFlow, torch and JAX that the user's code has imported."""
    random.seed(seed)
    np.random.seed(seed)
    for name, call in (
        ("tensorflow", "random.set_seed"),
        ("torch", "manual_seed"),
        ("paddle", "seed"),
    ):
        found: Any = sys.modules.get(name)
        for part in call.split("."):
            found = getattr(found, part, None)
        if callable(found):
            found(seed)
