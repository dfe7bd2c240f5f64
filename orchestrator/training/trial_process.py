"""A process in which a user's model is built and looked at before anything starts: it may end or hang, and harm nobody.

Importing this loads neither NumPy nor Keras; the process does.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from orchestrator.catalog import CallableReference, UsersCode
from orchestrator.config.metrics import Direction
from orchestrator.errors import OrchestratorError, TrialError
from orchestrator.streams import shown
from orchestrator.training.fork_server import Forked, running_server
from orchestrator.training.keras_setup import BACKEND, STARTUP_LOG, set_up_keras

if TYPE_CHECKING:
    from orchestrator.training.task import Shape, Task, TrainingTask
    from orchestrator.training.trial_model import Built


LONGEST_BUILD_SECONDS = 120.0
QUICK_SECONDS = 0.5
"""A model that takes longer than this to build is built only once, so that a run's start is not delayed further."""
_OF_THIS_MACHINE = ("MemoryError", "ResourceExhaustedError")
_SCRIPT = str(Path(__file__).with_name("users_fork.py"))
_CHILD = (
    "import sys; from multiprocessing.connection import Connection;"
    " there = Connection(int(sys.argv[1])); sys.path[:] = there.recv();"
    " from orchestrator.training.{module} import serve; serve(there)"
)


SCALING = (
    "BatchNormalization",
    "Embedding",
    "GroupNormalization",
    "LayerNormalization",
    "Masking",
    "Normalization",
    "Rescaling",
    "UnitNormalization",
)
"""Layers that bring features to one size, or take them for something else than quantities."""


@dataclass(frozen=True)
class Looked:
    """What a user's model is: ``task`` is what it learns, ``reported`` what it reports of a validation.

    ``scales``: it brings its features to one size itself. ``not_saved`` says why it cannot be saved.
    ``reach``: between which values its outputs lie whatever its weights are.
    ``recoded``: whether class numbers reach a loss of its builder's that can take no other numbers.
    """

    task: Task
    reported: Mapping[str, Direction | None]
    scales: bool
    not_saved: str = ""
    recoded: bool = False
    reach: tuple[float, float] = (-float("inf"), float("inf"))


@dataclass(frozen=True)
class Asked:
    """What a user's model is looked at with: its task, on a few rows of the data, and the kind that the file names."""

    task: TrainingTask
    kind: str


@dataclass(frozen=True)
class Setup:
    """What is built: a reference and the ``shape`` of its data; ``asked`` where more is to be known of each model."""

    reference: CallableReference
    shape: Shape
    asked: Asked | None = None


@dataclass(frozen=True)
class Seen:
    """A model that was built: what its builder read, whether it compiled it, whether α of its optimizer can be set."""

    reads: frozenset[str]
    compiled: bool
    plain_rate: bool
    looked: Looked | None = None


class NoAnswer(Exception):
    """A model that could not be built for lack of memory or a connection: in a worker it may succeed."""


class TookTooLong(NoAnswer):
    """A model that was not built after minutes."""


class UsersProcess:
    """Another process in which a user's code runs, and which ends with the block.

    ``serves`` is the module of this room whose ``serve`` answers there.
    """

    serves: ClassVar[str]

    def __init__(self, backend: str = BACKEND) -> None:
        self._backend = backend
        self._child: subprocess.Popen[str] | Forked | None = None
        self._echo: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def start(self) -> None:
        """Let the process begin to import what it needs, which takes seconds."""
        if self._child is None:
            self._start()

    def _start(self) -> None:
        self._here, there = multiprocessing.Pipe()
        # Nobody is at its terminal.
        environment = {**os.environ, "PYTHONBREAKPOINT": "0", "KERAS_BACKEND": self._backend}
        self._child = self._forked(there, environment) or subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD.format(module=self.serves), str(there.fileno())],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        there.close()
        self._here.send(sys.path)
        self._echo = threading.Thread(target=self._tell, args=(self._child,), daemon=True)
        self._echo.start()

    def _forked(self, there: Connection, environment: Mapping[str, str]) -> Forked | None:
        """Return the process as a fork of the server that the run's workers come from, where there is one."""
        server = running_server(self._backend)
        if server is None:
            return None
        words = [_SCRIPT, f"orchestrator.training.{self.serves}"]
        try:
            return Forked(server, words, there.fileno(), environment)
        except OSError:
            return None

    def _tell(self, child: subprocess.Popen[str] | Forked) -> None:
        """Print on stderr what the process prints: through this one's stream, which lets no secret through."""
        assert child.stdout is not None  # noqa: S101
        with child.stdout as printed:
            for line in printed:
                if re.match(STARTUP_LOG, line):
                    continue
                with suppress(OSError, ValueError):
                    sys.stderr.write(line)

    def _end(self) -> int:
        """End the process; return its exit code."""
        if self._child is None:
            return 0
        child, self._child = self._child, None
        self._here.close()
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.2)  # one that ended by itself tells how
        child.kill()
        code = child.wait()
        if self._echo is not None:
            self._echo.join(1)
        return code


class TrialProcess(UsersProcess):
    """Builds models; if a builder ends the process, another is started."""

    serves = "trial_process"
    _setup: Setup | None = None

    def build(self, setup: Setup, hyperparameters: Mapping[str, Any], seed: int) -> Seen:
        """Build the model of a trial.

        Raises TrialError as its trial would, NoAnswer where that says nothing of a trial's fate, and any other error
        of this project where it is refused whatever the hyperparameters are.
        """
        self.start()
        try:
            if self._setup is not setup:
                self._here.send(setup)
                self._setup = setup
            self._here.send((dict(hyperparameters), seed))
            if not self._here.poll(LONGEST_BUILD_SECONDS):
                self._end()
                raise TookTooLong
            answer = self._here.recv()
        except (EOFError, OSError):
            code = self._end()
            said = f"its code ended the process that built it (exit code {code})"
            raise TrialError(f"model {setup.reference.text}: {said}.") from None
        if isinstance(answer, Exception):
            raise answer
        seen: Seen = answer
        return seen

    def _start(self) -> None:
        super()._start()
        self._setup = None


def serve(there: Connection) -> None:
    """Build what is asked for, a model after another, until the other end is closed.

    What the first build prints is shown; the others would print the same again.
    """
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # the parent process decides how long this one lives
    sys.stdout, sys.stderr = shown(sys.stdout), shown(sys.stderr)
    set_up_keras(os.cpu_count() or 1)
    setup: Setup | None = None
    looked: list[Any] = []
    while True:
        try:
            asked = there.recv()
        except EOFError:
            return
        if isinstance(asked, Setup):
            setup, looked = asked, []
            continue
        assert setup is not None  # noqa: S101
        there.send(_answer(setup, asked, looked))
        _be_silent()


def _answer(setup: Setup, asked: Any, looked: list[Any]) -> Seen | Exception:
    """Return what is seen of a model, or the error that its trial would get.

    The first model is looked at, and built once more: what it shares with an earlier one is refused only then.
    """
    hyperparameters, seed = asked
    from orchestrator.training.building import build_model, reads_of

    reference = setup.reference
    began = time.perf_counter()
    try:
        built = build_model(reference, hyperparameters, seed, setup.shape)
        if looked:
            found = look_again(built, setup.asked, looked[0]) if setup.asked else None
        else:
            is_quick = time.perf_counter() - began < QUICK_SECONDS
            with UsersCode(f"model {reference.text}", reference.runs_in):
                found = look_at(built, setup.asked) if setup.asked else None
            looked.append(found)
            if is_quick and reference.kind != "bundled":
                _build_silently(setup, hyperparameters, seed)
    except OrchestratorError as error:
        cause = error.__cause__
        here = type(cause).__name__ in _OF_THIS_MACHINE or isinstance(
            cause, ConnectionError | TimeoutError
        )
        return NoAnswer() if here else type(error)(str(error))
    return Seen(
        frozenset(reads_of(built)),
        built.compiled_by_user,
        _has_plain_rate(built.model),
        found,
    )


def _has_plain_rate(model: Any) -> bool:
    """Return whether α of a compiled model's optimizer can be set: it follows no schedule of its own."""
    from orchestrator.training.keras_internals import rate_held_by

    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return hasattr(rate_held_by(optimizer), "assign")


def _build_silently(setup: Setup, hyperparameters: Mapping[str, Any], seed: int) -> None:
    """Build a model of which nothing is seen but its error."""
    from orchestrator.training.building import build_model

    before = [(stream, os.dup(stream)) for stream in (1, 2)]
    _be_silent()
    try:
        build_model(setup.reference, hyperparameters, seed, setup.shape)
    finally:
        for stream, kept in before:
            os.dup2(kept, stream)
            os.close(kept)


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)


def look_at(built: Built, asked: Asked) -> Looked:
    """Return what is to be known of a freshly built model, which is compiled as for saving.

    Raises TrialError where it does not fit the labels or evaluates no rows.
    """
    from orchestrator.training.backend import Tensors
    from orchestrator.training.compiling import compile_stock
    from orchestrator.training.heads import goal_of, look_at_head, task_of_model
    from orchestrator.training.hyperparameters import DEFAULTS
    from orchestrator.training.keras_internals import layers_of
    from orchestrator.training.reported import reported
    from orchestrator.training.saving import why_not_saved

    task = asked.task
    where = f"model {task.model.text}"
    tensors = Tensors(task.dataset)
    head = look_at_head(built.model, tensors.sample())
    found = task_of_model(built.model, head, task.dataset.labels, asked.kind, where)
    goal = goal_of(built.model, task, tensors.sample())
    if not built.compiled_by_user:
        compile_stock(built.model, DEFAULTS, goal)
    rows: Any = tensors.of("train", goal.labels)
    kinds = {type(layer).__name__ for layer in layers_of(built.model)}
    names = reported(built.model, rows)
    why = why_not_saved(built.model, task, goal)
    scales = bool(kinds & set(SCALING))
    recoded = found.compiled_by_user and goal.labels == "codes"
    return Looked(found, names, scales, why, recoded, head.reach)


def look_again(built: Built, asked: Asked, first: Looked) -> Looked:
    """Return what a further draw's model learns, beside what the first one is.

    Raises as its trial would where that is not of the first one's kind.
    """
    from orchestrator.training.backend import Tensors
    from orchestrator.training.heads import goal_of

    task = replace(asked.task, task=first.task)
    goal = goal_of(built.model, task, Tensors(task.dataset).sample())
    return replace(first, task=goal.task)
