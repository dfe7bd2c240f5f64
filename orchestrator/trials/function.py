"""Trials that call a Python function of the user's, whatever it trains with; it reports its metrics, epoch by epoch.

``def train(hp, report)`` calls ``report(epoch, val_accuracy=0.9)``, or yields ``{"val_accuracy": 0.9}``. It runs in a
thread of its own that waits at each report until the next epoch is asked for, so only one of the two ever runs; where
its trial was stopped, ``Stopped`` is raised at its report.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import math
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

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.catalog.user_code import beside
from orchestrator.errors import TrialError, explain
from orchestrator.records import Mode, Score, made, score_of, write_atomically
from orchestrator.redaction import conceal, redacted
from orchestrator.search import TrialSpec
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.protocol import Progress
from orchestrator.trials.state_store import StateStore

Metrics = dict[str, float]
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
            "validation": {
                name.removeprefix("val_"): value
                for name, value in about["metrics"].items()
                if name.startswith("val_")
            },
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


class FunctionSession:
    """One trial's call of the function.

    It keeps no state to go on from: one that was cut off is called again, and what it reports again is known already.
    """

    def __init__(self, job: FunctionJob, function: Callable[..., Any], spec: TrialSpec) -> None:
        self._job = job
        self._spec = spec
        self._reports = _Reports(function, job.function, spec)
        self._epoch = 0
        self._best: Score | None = None
        self._improved: Mapping[str, Any] | None = None

    def advance(self, progress: Progress, seconds: float) -> None:
        """Train to the next milestone or for about ``seconds``, whichever comes first."""
        until = time.monotonic() + seconds
        try:
            while not self._comes_to_report(progress) and time.monotonic() < until:
                pass
        finally:
            self._save_improved()

    def keep(self) -> None:
        """Keep nothing: a function that is called again begins anew."""

    def end(self) -> None:
        """Have the function return, wherever it is."""
        self._reports.end()

    def _comes_to_report(self, progress: Progress) -> bool:
        """Wait for an epoch; return whether the trial is over with it, or the driver decides after it."""
        began = time.monotonic()
        metrics = self._reports.next()
        if metrics is None:
            self._check_reported()
            progress.done = True
        else:
            self._take_in(metrics, time.monotonic() - began, progress)
        return progress.done or progress.diverged or self._epoch in self._job.milestones

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
        progress.diverged = not math.isfinite(metrics.get("loss", 0.0))
        progress.done = self._epoch >= self._job.epochs
        score = score_of(row, metric, self._job.mode)
        if score is not None and score.beats(self._best):
            self._best, self._improved = score, row

    def _save_improved(self) -> None:
        if self._improved is not None:
            about = {**self._improved, "chosen": dict(self._spec.hyperparameters)}
            save_checkpoint(self._job.states.best(self._spec.trial), Checkpoint((), (), about))
            self._improved = None

    def _check_reported(self) -> None:
        if self._epoch == 0:
            raise TrialError(
                f"{self._job.function.text}: expected at least one report of its metrics."
                " Received: a function that returned without one."
            )


class _Reports:
    """What a function reports, one epoch after another; it runs while the next report is waited for."""

    def __init__(
        self, function: Callable[..., Any], reference: CallableReference, spec: TrialSpec
    ) -> None:
        self._function = function
        self._reference = reference
        self._spec = spec
        self._asked: queue.Queue[bool] = queue.Queue()
        self._told: queue.Queue[Metrics | BaseException | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._epoch = 0
        self._over = False

    def next(self) -> Metrics | None:
        """Return the next epoch's metrics, None once the function has returned. Raises what it raises."""
        if self._over:
            return None
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        else:
            self._asked.put(True)
        return self._heard()

    def end(self) -> None:
        """Have the function end at its report, where it waits."""
        for _ in range(ENDED_TIMES):
            if self._thread is None or self._over:
                return
            self._asked.put(False)
            with contextlib.suppress(Exception):  # what it raises now is of a trial that is over
                self._heard()

    def _heard(self) -> Metrics | None:
        told = self._told.get()
        self._over = not isinstance(told, dict)
        if isinstance(told, BaseException):
            raise told
        return told

    def _run(self) -> None:
        raised: BaseException | None = None
        try:
            seed_everything(self._spec.seed)
            with UsersCode(self._reference.text, self._reference.runs_in):
                for yielded in self._called():
                    self._report(yielded)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 (raised on in the thread of whoever asks for the next epoch)
            raised = error
        self._told.put(raised)

    def _called(self) -> Iterator[Mapping[str, Any]]:
        """Call the function; yield what it yields."""
        hyperparameters = dict(self._spec.hyperparameters)
        takes = len(inspect.signature(self._function).parameters)
        answer = self._function(*(hyperparameters, self._report)[: max(1, min(takes, 2))])
        if inspect.isgenerator(answer):
            folder = self._reference.file.parent if self._reference.file else None
            with beside(folder) if folder else contextlib.nullcontext():
                yield from answer

    def _report(self, epoch: int | Mapping[str, Any] | None = None, **metrics: Any) -> None:
        """Take in the metrics of an epoch, the first is 1, and wait until the next one is asked for."""
        where = self._reference.text
        if isinstance(epoch, Mapping):
            metrics, epoch = {**epoch, **metrics}, None
        if epoch is not None and int(epoch) != self._epoch + 1:
            expected = f"expected a report of epoch {self._epoch + 1}, the next one"
            raise TrialError(explain(where, expected, epoch))
        self._epoch += 1
        self._told.put({name: _number(where, name, value) for name, value in metrics.items()})
        if not self._asked.get():
            raise Stopped


def _number(where: str, name: str, value: Any) -> float:
    """Return a metric as a float: a number, or an array or tensor of one."""
    try:
        return float(value.item() if hasattr(value, "item") else value)
    except (TypeError, ValueError):
        raise TrialError(
            explain(where, f"expected a number as {name}", type(value).__name__)
        ) from None


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
