"""The one way to the terminal: no secret, and nothing but signs, whatever a record or a file name holds."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import typer

from orchestrator.errors import RecordWarning
from orchestrator.redaction import redact


def say(text: str, err: bool = False, nl: bool = True) -> None:
    """Print lines on stdout, or on stderr; without ``nl`` the last one is not ended."""
    typer.echo("\n".join(visible(line) for line in redact(text).split("\n")), err=err, nl=nl)


def visible(line: str) -> str:
    """Return a line with a sign in place of whatever could move a terminal's cursor or hide other signs."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


@contextmanager
def warned() -> Iterator[None]:
    """Print, while the block runs, what of a run cannot be read as ``warning: ...`` on stderr: each sentence once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, RecordWarning):
                others(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                say(f"warning: {message}", err=True)

        warnings.showwarning = show
        warnings.simplefilter("always", RecordWarning)
        yield


class _Redacting:
    """A text stream that lets no known secret through; all but writing is the stream's own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(redact(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def redacted_streams() -> Iterator[None]:
    """Let whatever is printed while the block runs, by libraries and tracebacks too, hold no secret."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _Redacting(sys.stdout), _Redacting(sys.stderr)  # type: ignore[assignment]
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
