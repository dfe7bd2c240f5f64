"""stdout and stderr that are never worth a run: what they cannot show is replaced, what they cannot take is dropped.

A reader may go away (``| head``, a terminal that is closed), a log's disk may be full, a stream may be closed from the
start or take ASCII alone. Training goes on, and no secret gets through.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, cast

from orchestrator.redaction import redact

NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN)
"""What a write says where its reader has gone: nothing is wrong, nobody wants more."""
_OUR_SIGNS = dict(zip("─━│…×·→▁▂▃▄▅▆▇█", '--|.x.>"_-=+*%#', strict=True))
"""What stands for signs of our own tables and curves where a stream has no such sign."""


class Shown:
    """A text stream that raises nothing and lets no known secret through; all but writing is the stream's own.

    ``lost`` is what kept it from taking all that was written, while somebody reads it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write what can be written of a text."""
        self._attempt(lambda: self._write(redact(text)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several."""
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        """Let it out."""
        self._attempt(self._stream.flush)

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
        except UnicodeEncodeError as error:
            self._stream.write("".join(_in(error.encoding, sign) for sign in text))

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except OSError as error:
            if error.errno not in NOBODY_READS:
                self.lost = error
        except ValueError:  # it is closed
            pass

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _in(encoding: str, sign: str) -> str:
    """Return a character, or what stands for it in an encoding that lacks it: one of ours, or JSON's escape."""
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return _OUR_SIGNS.get(sign) or json.dumps(sign)[1:-1]
    return sign


@contextlib.contextmanager
def shown_streams() -> Iterator[None]:
    """Have whatever is printed while the block runs, by libraries and tracebacks too, be worth no error."""
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = map(shown, before)
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


def shown(stream: TextIO | None) -> TextIO:
    """Return a stream as one that raises nothing."""
    return stream if isinstance(stream, Shown) else cast(TextIO, Shown(stream))


def what_stdout_lost() -> OSError | None:
    """Return why stdout has not taken all that was written since this was last asked; None where it has."""
    stream = sys.stdout
    if not isinstance(stream, Shown):
        return None
    stream.flush()
    lost, stream.lost = stream.lost, None
    return lost


def open_standard_descriptors() -> None:
    """Open those of 0, 1 and 2 that are closed: a file of ours would get the number, and others' prints with it."""
    descriptor = 0
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def leave_quietly() -> None:
    """Have Python flush nothing into a stream that fails it, when it ends this process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
