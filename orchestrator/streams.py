"""stdout and stderr that are never worth a run: what they cannot show is replaced, what they cannot take is dropped.

A reader may go away (``| head``, a terminal that is closed) or stall (``| less``, Ctrl-S), a log's disk may be full, a
stream may be closed from the start or take ASCII alone. Training goes on, and no secret gets through.
"""

from __future__ import annotations

import codecs
import contextlib
import errno
import io
import json
import os
import stat
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TextIO, cast

from orchestrator.redaction import redact

NOBODY_READS = (errno.EPIPE, errno.EIO, errno.EBADF, errno.ENXIO, errno.ESHUTDOWN)
"""What a write says where its reader has gone: nothing is wrong, nobody wants more."""
_OUR_CHARACTERS = dict(zip("─━│…×·→▁▂▃▄▅▆▇█", '--|.x.>"_-=+*%#', strict=True))
"""What stands for characters of our own tables and curves where a stream has no such character."""
MOST_BEHIND = 2**20
"""How many bytes are kept for a reader that has stalled."""
LAST_SECONDS = 1.0
"""How long a reader is waited for when a run has ended."""


class Beside:
    """Writes to a descriptor in a thread of its own: whoever prints does not wait for a reader that stalls.

    Beyond ``MOST_BEHIND`` bytes all is dropped until half of them are written; how many lines is told where they are
    missing.
    """

    def __init__(self, stream: TextIO) -> None:
        self._descriptor = stream.fileno()
        self._encoder = codecs.getincrementalencoder(stream.encoding)(stream.errors or "strict")
        self._waiting: deque[bytes] = deque()
        self._bytes = self._lines_dropped = 0
        self._drops = self._over = False
        self._failed: OSError | None = None
        self._changed = threading.Condition()
        self._process = os.getpid()
        self._thread = threading.Thread(target=self._write_all, name="output", daemon=True)
        self._thread.start()

    @property
    def is_of_this_process(self) -> bool:
        """Whether the thread is there: in a fork it is not."""
        return self._process == os.getpid()

    def write(self, text: str) -> None:
        """Have a text written, or drop it. Raises UnicodeEncodeError, and OSError where an earlier one failed."""
        line = self._encoder.encode(text)
        with self._changed:
            most = MOST_BEHIND // 2 if self._drops else MOST_BEHIND
            if self._bytes + len(line) > most:
                self._drops = True
                self._lines_dropped += text.count("\n")
            else:
                self._put(line)
        self.flush()

    def flush(self) -> None:
        """Raise what kept an earlier text from being written; wait for none."""
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def end(self, seconds: float | None) -> bool:
        """Take no more; return whether all was written within so many seconds, None: however long that takes."""
        with self._changed:
            if not self._over:
                self._put(b"")
            self._over = True
            self._changed.notify()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _put(self, line: bytes) -> None:
        if self._drops:
            lines = max(1, self._lines_dropped)
            told = f"\n[{lines} lines were not shown: nobody read what came before]\n"
            line = self._encoder.encode(told) + line
            self._drops, self._lines_dropped = False, 0
        self._waiting.append(line)
        self._bytes += len(line)
        self._changed.notify()

    def _write_all(self) -> None:
        while (line := self._next()) is not None:
            rest = memoryview(line)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as error:
                self._failed = error
            with self._changed:
                self._bytes -= len(line)

    def _next(self) -> bytes | None:
        """Wait for what is to be written; None where nothing will come."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._over)
            return self._waiting.popleft() if self._waiting else None


class Shown:
    """A text stream that raises nothing and lets no known secret through; all but writing is the stream's own.

    ``lost`` is what kept it from taking all that was written, while somebody reads it.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream or open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        self._beside: Beside | None = None
        self._waits = True
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
        self._attempt(self._to().flush)

    def close(self) -> None:
        """Leave it open: it is the process's own, and code of a user's may only write to it."""

    @contextlib.contextmanager
    def waiting_for_nobody(self) -> Iterator[None]:
        """Have nothing that is printed while the block runs wait for a reader; what comes later waits for all of it."""
        if self._beside is not None or not _may_stall(self._stream):
            yield
            return
        self._attempt(self._stream.flush)
        self._beside, self._waits = Beside(self._stream), False
        try:
            yield
        finally:
            self._waits = True
            over = self._beside.end(LAST_SECONDS)
            self._attempt(self._beside.flush)
            self._beside = None if over else self._beside

    def _to(self) -> TextIO | Beside:
        """Return what a text goes to now."""
        beside = self._beside
        return beside if beside is not None and beside.is_of_this_process else self._stream

    def _write(self, text: str) -> None:
        if self._waits and self._beside is not None:
            self._beside.end(None)
            self._beside = None
        try:
            self._to().write(text)
        except UnicodeEncodeError as error:
            self._to().write("".join(_in(error.encoding, sign) for sign in text))

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


def _may_stall(stream: TextIO) -> bool:
    """Return whether a stream is a pipe, a socket or a terminal: who reads those may stop to.

    A notebook's stream has a descriptor, too: where the notebook does not look.
    """
    if not isinstance(stream, io.TextIOWrapper):
        return False
    try:
        kind = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):  # it is no file, or closed
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) or stat.S_ISCHR(kind)


def _in(encoding: str, sign: str) -> str:
    """Return a character, or what stands for it in an encoding that lacks it: one of ours, or JSON's escape."""
    try:
        sign.encode(encoding)
    except UnicodeEncodeError:
        return _OUR_CHARACTERS.get(sign) or json.dumps(sign)[1:-1]
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


@contextlib.contextmanager
def unstalled_streams() -> Iterator[None]:
    """Have nothing that is printed while the block runs wait for a reader, or be worth an error."""
    with shown_streams(), contextlib.ExitStack() as stack:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, Shown):
                stack.enter_context(stream.waiting_for_nobody())
        yield


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
