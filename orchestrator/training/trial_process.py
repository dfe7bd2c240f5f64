"""A process of its own in which a user's model is built before anything starts: it may end or hang, and harm nobody.

Loads neither TensorFlow nor Keras; the process does.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError

LONGEST_BUILD_SECONDS = 120.0
_CHILD = (
    "import sys; from multiprocessing.connection import Connection;"
    " there = Connection(int(sys.argv[1])); sys.path[:] = there.recv();"
    " from orchestrator.training.trial_builds import serve; serve(there)"
)


@dataclass(frozen=True)
class Setup:
    """What is built: a reference and the ``shape`` of its data, (input_shape, num_classes).

    ``look`` is a module's function of (Built, ``rows``), which tells what else is to be known of the first model,
    ``look_again`` one of (Built, ``rows``, that), which tells it of a further one.
    """

    reference: CallableReference
    shape: tuple[Any, Any]
    rows: Any = None
    look: Callable[[Any, Any], Any] | None = None
    look_again: Callable[[Any, Any, Any], Any] | None = None


@dataclass(frozen=True)
class Seen:
    """A model that was built: what its builder read, whether it compiled it, whether α of its optimizer can be set."""

    reads: frozenset[str]
    compiled: bool
    plain_rate: bool
    looked: Any = None


class NoAnswer(Exception):
    """A model that lacks memory or a connection here: nothing is known of what a worker would make of it."""


class TookTooLong(NoAnswer):
    """A model that was not built after minutes."""


class TrialProcess:
    """Builds models in another process, which ends with the block, and starts anew where a builder ended it."""

    def __init__(self) -> None:
        self._setup: Setup | None = None
        self._child: subprocess.Popen[str] | None = None
        self._echo: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._end()

    def start(self) -> None:
        """Let the process begin to import what it needs, which takes seconds."""
        if self._child is None:
            self._start()

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
        self._here, there = multiprocessing.Pipe()
        self._setup = None
        self._child = subprocess.Popen(
            [sys.executable, "-P", "-c", _CHILD, str(there.fileno())],
            pass_fds=[there.fileno()],
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONBREAKPOINT": "0"},  # nobody is at its terminal
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        there.close()
        self._here.send(sys.path)
        self._echo = threading.Thread(target=self._tell, args=(self._child,), daemon=True)
        self._echo.start()

    def _tell(self, child: subprocess.Popen[str]) -> None:
        """Print on stderr what the process prints: through this one's stream, which lets no secret through."""
        assert child.stdout is not None  # noqa: S101
        with child.stdout as printed:
            for line in printed:
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
