"""A warm worker: a Ray Tune trainable that takes trial after trial; what it prints, and why it is gone."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from orchestrator.catalog import flush_printed
from orchestrator.errors import shortened
from orchestrator.redaction import redact
from orchestrator.search import TrialSpec
from orchestrator.streams import shown_streams
from orchestrator.trials import Trainable
from orchestrator.tuning.failures import Failure, bounded
from orchestrator.tuning.protocol import Verdict
from orchestrator.tuning.ray_tune import tune
from orchestrator.tuning.trial_runner import ReportsAhead, TrialRunner


class Worker(tune.Trainable):  # type: ignore[misc]
    """Trains one trial at a time, each of which it is told by ``take``, so TensorFlow is imported once."""

    def setup(
        self,
        config: dict[str, Any],
        job: Trainable | None = None,
        path: Sequence[str] = (),
        ahead: bool = False,
    ) -> None:
        """Set nothing up yet. ``job`` comes through Ray's object store; ``path`` is the driver's.

        The workbench waits for the first step: while an actor starts, Tune hands its trial to any worker that falls
        free and ends the actor, so a slow start would leave one worker to do everything.
        """
        assert job is not None  # noqa: S101
        find_modules_of(path)
        self._reports = ReportsAhead(_Runner(job), _asks_itself if ahead else None)

    def take(self, spec: TrialSpec, next_one: bool = False) -> None:
        """Take a trial, now or as the next one."""
        self._reports.take(spec, next_one)

    def skip(self, trial: str) -> None:
        """Train a trial no further."""
        self._reports.skip(trial)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Be another seat: no trial has it yet."""
        self._reports.forget()
        return True

    def step(self) -> dict[str, Any]:
        """Train until the session has something to report; None where no trial came."""
        return {"report": self._reports.next()}

    def go_ahead(self) -> None:
        """Train what comes next in any case, while the driver hears of what was reported last."""
        self._reports.prepare()

    def keep(self) -> None:
        """Write the trial's state down, since the run is about to stop."""
        self._reports.runner.keep()

    def examine(self, verdict: Verdict) -> Mapping[str, Any] | Failure:
        """Examine the winner and save it; return its scores, or what was raised."""
        return self._reports.runner.examine(verdict)

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write nothing: a trial's state goes to the run's folder, not through Tune."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Read nothing."""


def _asks_itself() -> None:
    """Have this actor go ahead after what it does now; what the driver asks of it meanwhile comes first or after."""
    ray.get_runtime_context().current_actor.go_ahead.remote()


def find_modules_of(path: Sequence[str]) -> None:
    """Find the modules that the driver finds, after those that are installed here."""
    sys.path += [place for place in path if place not in sys.path]


class _Runner(TrialRunner):
    """One whose trials print into files, since nobody sees a worker's output."""

    def surroundings(self, trial: str | None) -> AbstractContextManager[object]:
        """Return what collects a trial's output."""
        if trial is None:
            return nullcontext()
        return printed_to(self.job.home / "logs" / f"{trial}.printed.txt")


def runner_of(job: Trainable, places: int) -> TrialRunner:
    """Return a worker's runner of several trials at a time."""
    return _Runner(job, places)


MOST_BYTES = 1_000_000
"""What is kept of one trial's: its beginning."""


@contextlib.contextmanager
def printed_to(file: Path) -> Iterator[None]:
    """Append what is printed in the block to a file, made once there is any; a full disk loses it, never the trial.

    What C code and child processes print is caught too, since the file descriptors are replaced.
    """
    flush_printed()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            caught = stack.enter_context(tempfile.TemporaryFile())
            stack.callback(_append, file, caught.fileno())
            for stream in (1, 2):
                stack.callback(_put_back, stream, os.dup(stream))
                os.dup2(caught.fileno(), stream)
            stack.callback(flush_printed)
        stack.enter_context(shown_streams())
        yield


def _put_back(stream: int, copy: int) -> None:
    os.dup2(copy, stream)
    os.close(copy)


def _append(file: Path, caught: int) -> None:
    with contextlib.suppress(OSError):
        room = MOST_BYTES - (file.stat().st_size if file.exists() else 0)
        printed = os.pread(caught, max(room, 0), 0)
        if printed:
            file.parent.mkdir(exist_ok=True)
            with file.open("a", encoding="utf-8") as log:
                log.write(redact(printed.decode("utf-8", errors="replace")))


_OUT_OF_MEMORY = re.compile(r"memory pressure|NODE_OUT_OF_MEMORY|running low on memory")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_NODE_LOST = re.compile(r"node (was|has|is) (dead|died|terminated|preempted)|its node has died")
_FACT = re.compile(r"(class_name|actor_id|pid|name|namespace|ip): ")


@dataclass(frozen=True)
class RayExaminer:
    """What was ``asked`` of it, and how to ``end`` it, whatever it is stuck in."""

    asked: Any
    end: Callable[[], object]

    def answer(self, seconds: float) -> Mapping[str, Any] | Failure | None:
        """Return the scores, or what befell the process; None where neither is known after ``seconds``."""
        if not ray.wait([self.asked], timeout=seconds)[0]:
            return None
        try:
            found: Mapping[str, Any] | Failure = ray.get(self.asked)
        except ray.exceptions.RayError as error:
            return from_worker_loss(error)
        return found


def from_worker_loss(error: BaseException | None) -> Failure:
    """Return the failure of a trial whose worker is gone."""
    said = bounded(_COLOUR.sub("", str(error or "the process ended"))).strip()
    first = shortened(_telling_line(said))
    if isinstance(error, ray.exceptions.OutOfMemoryError) or _OUT_OF_MEMORY.search(said):
        return Failure("out_of_memory", f"out of memory: {first}", said)
    preempted = bool(getattr(error, "preempted", False))
    if isinstance(error, ray.exceptions.NodeDiedError) or preempted or _NODE_LOST.search(said):
        return Failure("node_lost", f"node lost: {first}", said)
    return Failure("worker_died", f"worker died: {first}", said)


def _telling_line(said: str) -> str:
    """Return the line in which Ray says why: not its first, that an actor died, nor the facts below that."""
    lines = [line.strip() for line in said.splitlines()]
    reasons = [line for line in lines[1:] if line and not _FACT.match(line)]
    return (
        reasons[0] if lines[0].startswith("The actor died unexpectedly") and reasons else lines[0]
    )
