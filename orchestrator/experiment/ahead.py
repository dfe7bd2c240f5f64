"""The process that Ray's workers are forked from: the first epoch waits for it, so it begins as early as can be.

A command begins it by a guess at what its file says, before that is read through, which takes half a second of imports.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from orchestrator.training.fork_server import fork_server
from orchestrator.training.keras_setup import BACKEND
from orchestrator.tuning.machine import visible_gpus
from orchestrator.tuning.scratch import scratch_folder, short_temporary_folder

_MODEL = re.compile(r'^model:|"model"\s*:', re.MULTILINE)
_OTHERWISE = re.compile(r'^(trial|backend)\b|"(trial|backend)"\s*:', re.MULTILINE)


class _Guessed:
    """The server that a command has begun by a guess, if there is one."""

    def __init__(self) -> None:
        self.forks: Path | None = None
        self._stack = ExitStack()

    def begin(self) -> None:
        self.forks = self._stack.enter_context(_server(BACKEND))

    def end(self) -> None:
        self.forks = None
        self._stack.close()


_GUESSED = _Guessed()


@contextmanager
def begun_by_guess(file: Path, overrides: Sequence[str]) -> Iterator[None]:
    """Have a server begin, and last as long as the block, where a file looks like one whose trials are forks."""
    with suppress(OSError, UnicodeDecodeError):
        text = file.read_text(encoding="utf-8")
        otherwise = any(_OTHERWISE.search(each) for each in (text, *overrides))
        if _MODEL.search(text) and not otherwise and may_fork("keras", BACKEND):
            _GUESSED.begin()
    try:
        yield
    finally:
        _GUESSED.end()


@contextmanager
def server_of_forks(kind: str, backend: str) -> Iterator[Path | None]:
    """Yield the socket of a server, begun before or here, None where trials of that kind cannot be forks."""
    needed = may_fork(kind, backend)
    if not needed:
        _GUESSED.end()
    if _GUESSED.forks is not None or not needed:
        yield _GUESSED.forks
        return
    with _server(backend) as forks:
        yield forks


@contextmanager
def _server(backend: str) -> Iterator[Path | None]:
    with ExitStack() as stack:
        forks = None
        with suppress(OSError):  # what is wrong here is said where Ray's own folder is made
            folder = stack.enter_context(scratch_folder("orch-", short_temporary_folder()))
            forks = stack.enter_context(fork_server(Path(folder), backend))
        yield forks


def may_fork(kind: str, backend: str) -> bool:
    """Return whether an experiment's workers can be forks: they train Keras on TensorFlow, here, on no GPU."""
    is_there = getattr(sys.modules.get("ray"), "is_initialized", bool)()
    return (
        hasattr(os, "pidfd_open")
        and os.environ.get("RAY_ADDRESS", "local") in ("", "local")
        and kind in ("keras", "keras_tuner")
        and backend == BACKEND
        and not visible_gpus()
        and not is_there
    )
