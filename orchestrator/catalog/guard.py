"""The door between our code and a user's: what theirs raises becomes one sentence, what it prints goes to stderr."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from orchestrator.errors import OrchestratorError, TrialError


@contextlib.contextmanager
def printed_aside() -> Iterator[None]:
    """Have what is printed in the block go to stderr, by C code and child processes too: stdout is the table's."""
    flush_printed()
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # one of them is closed: then nothing of C's can be seen
            stack.callback(_put_back, os.dup(1))
            os.dup2(2, 1)
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        yield


def _put_back(stdout: int) -> None:
    flush_printed()
    os.dup2(stdout, 1)
    os.close(stdout)


def flush_printed() -> None:
    """Let Python and C write what they hold back to where it was meant to go."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


_ROWS = re.compile(r"\[[\[\]\s\d.,eE+-]{40,}")
"""Numbers of an array, as a message shows them: rows of somebody's data."""


def _without_rows(said: str) -> str:
    return _ROWS.sub("[…]", said)


class UsersCode:
    """A block in which a user's code runs: its exceptions become ours, with file and line; it prints on stderr.

    ``with UsersCode("model ./net.py:build", path): ...`` raises TrialError (or the class given)
    from the user's own exception. Errors of this project, and Ctrl-C, pass as they are.
    """

    def __init__(
        self, where: str, file: str | None = None, error: type[OrchestratorError] = TrialError
    ) -> None:
        self._where = where
        self._file = file
        self._error = error

    def __enter__(self) -> None:
        """Enter the user's code."""
        self._aside = printed_aside()
        self._aside.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        raised: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Turn an exception of the user's code into one sentence."""
        self._aside.__exit__(None, None, None)
        if isinstance(raised, Exception) and not isinstance(raised, OrchestratorError):
            said = str(raised).strip().splitlines()
            what = ": ".join([type(raised).__name__, *map(_without_rows, said[:1])])
            message = f"{self._where}: its code raised {what}{self._spot(trace)}."
            raise self._error(message) from raised

    def _spot(self, trace: TracebackType | None) -> str:
        """Return `` (net.py line 3, in build)``: the deepest frame that is the user's own."""
        frames = traceback.extract_tb(trace)
        own = [frame for frame in frames if self._file and frame.filename == self._file]
        chosen = (own or frames[1:] or frames)[-1:]
        return "".join(f" ({Path(f.filename).name} line {f.lineno}, in {f.name})" for f in chosen)
