"""A program of the user's, running for a trial: what it writes to each of its channels, how it ended, that it ends."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from orchestrator.errors import TrialError
from orchestrator.redaction import redact

SUPERVISOR = Path(__file__).with_name("supervisor.py")
MOST_KEPT = 500_000
"""Bytes of each stream that are kept: half of them its beginning, half its end."""
CHUNK = 1 << 16
WRITE_SECONDS = 1.0
LOOK_SECONDS = 2.0
"""How often a trial whose epoch takes long is left for a moment, so that it can be ended there."""
ANSWER_SECONDS = 60.0
OF_OUR_PYTHON = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "__PYVENV_LAUNCHER__")
"""Variables by which the packages of one Python would meet another's."""
LAST_SECONDS = 2.0
"""How long after the end of a program, and of all that it left running, what it printed may take to arrive."""

Sink = Callable[[bytes], None]


class KeptOutput:
    """The beginning and the end of a stream, in a file without secrets; a full disk loses it, never the trial."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._head = bytearray()
        self._tail = bytearray()
        self._left_out = 0
        self._is_new = True
        self._written_at: float | None = 0.0

    def __call__(self, printed: bytes) -> None:
        """Take in what was printed."""
        if self._is_new:
            self._is_new = False
            with contextlib.suppress(OSError):
                self._take(self._file.read_bytes()[: 2 * MOST_KEPT] + b"--- started again ---\n")
        self._take(printed)
        if self._written_at is not None and time.monotonic() - self._written_at > WRITE_SECONDS:
            self.write()

    def _take(self, printed: bytes) -> None:
        room = MOST_KEPT // 2 - len(self._head) if not self._tail else 0
        self._head += printed[:room]
        self._tail += printed[room:]
        over = len(self._tail) - MOST_KEPT // 2
        if over > CHUNK:
            del self._tail[:over]
            self._left_out += over

    @property
    def last_line(self) -> str:
        """The last line that says anything."""
        lines = redact((self._tail or self._head)[-4096:].decode(errors="replace")).split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def write(self) -> None:
        """Write down what is kept."""
        if self._is_new:
            return
        self._written_at = time.monotonic()
        head, tail = self._head, self._tail
        if self._left_out:  # not within a line, where half of a secret would not be known as one
            head = head[: head.rfind(b"\n") + 1]
            tail = tail[tail.find(b"\n") + 1 :]
            out = self._left_out + len(self._head) - len(head) + len(self._tail) - len(tail)
            head = head + f"[... {out} bytes left out ...]\n".encode()
        with contextlib.suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            text = redact((head + tail).decode("utf-8", errors="replace"))
            self._file.write_text(text, encoding="utf-8")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How a program is started: where, with which variables beside this process's, and ``without`` which of those.

    ``hand`` are descriptors that it is given. After SIGTERM it has ``grace`` seconds to end.
    """

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    hand: tuple[int, ...] = ()
    grace: float = 10.0
    without: tuple[str, ...] = ()

    @property
    def variables(self) -> dict[str, str]:
        """The whole environment of the program: this process's, but for those ``without``; prints come at once."""
        ours = {name: text for name, text in os.environ.items() if name not in self.without}
        return {**ours, "PYTHONUNBUFFERED": "1", **self.environment}


class Program:
    """A running program. It ends with ``end``, and with the process that started it, however that ends."""

    def __init__(
        self, arguments: Sequence[str], launch: Launch, stdout: Sink, stderr: Sink | None
    ) -> None:
        """Start it; without a sink of its own, stderr goes where stdout does, in the order of printing.

        Raises TrialError where it cannot be started.
        """
        self._grace = launch.grace
        self._said = bytearray()
        self._closes_at: float | None = None
        say, theirs = os.pipe()
        hand = [str(each) for each in launch.hand]
        ours = [sys.executable, "-I", "-S", str(SUPERVISOR), str(launch.grace), str(theirs), *hand]
        try:
            self._supervisor = subprocess.Popen(
                [*ours, "--", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if stderr is None else subprocess.PIPE,
                pass_fds=[theirs, *launch.hand],
                cwd=launch.folder,
                env=launch.variables,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            os.close(say)
            raise TrialError(f"{arguments[0]}: the program was not started: {error}.") from None
        finally:
            os.close(theirs)
        self._channels = selectors.DefaultSelector()
        self._say = os.fdopen(say, "rb", buffering=0)
        self._channels.register(self._say, selectors.EVENT_READ, self._said.extend)
        for stream, sink in ((self._supervisor.stdout, stdout), (self._supervisor.stderr, stderr)):
            if stream is not None and sink is not None:
                self._channels.register(stream, selectors.EVENT_READ, sink)

    def listen(self, channel: int, sink: Sink) -> None:
        """Have what arrives on a descriptor, which is this object's from here on, go to a sink."""
        stream = os.fdopen(channel, "rb", buffering=0)
        self._channels.register(stream, selectors.EVENT_READ, sink)

    @property
    def ending(self) -> str | None:
        """How it ended, as ``exit 3``, ``signal 9`` or ``error …``; None while it runs."""
        said = self._said.decode(errors="replace").strip().split("\n")
        over = [line for line in said if line and not line.startswith(("started ", "paused"))]
        return over[-1] if over else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be heard of it."""
        return not self._channels.get_map()

    def read(self, enough: Callable[[], bool], seconds: float | None = None) -> bool:
        """Hand what it writes to the sinks until there is ``enough``; return False where it has ended before.

        After ``seconds`` it is left as it is; that is True too.
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not enough():
            if self.is_over:
                return False
            ends = [at for at in (until, self._closes_at) if at is not None]
            left = max(0.0, min(ends) - time.monotonic()) if ends else None
            for key, _ in self._channels.select(left):
                self._take(key)
            now = time.monotonic()
            if self._closes_at is not None and now >= self._closes_at:
                self._close()
            elif until is not None and now >= until:
                return True
        return True

    def _take(self, key: selectors.SelectorKey) -> None:
        stream = key.fileobj
        chunk = os.read(key.fd, CHUNK)
        if chunk:
            key.data(chunk)
            return
        self._channels.unregister(stream)
        stream.close()  # type: ignore[union-attr]
        if stream is self._say:  # something that nobody can end may keep another channel open
            self._closes_at = time.monotonic() + LAST_SECONDS
        if stream is self._say and self.ending is None and self._said:
            with contextlib.suppress(OSError):  # its supervisor is gone: nobody else ends its group
                os.killpg(int(self._said.split()[1]), signal.SIGKILL)

    def pause(self) -> None:
        """Stop it and its group where they are, until ``go_on``; what they had written by then is heard."""
        before = self._said.count(b"paused")
        self._ask(b"p")
        self.read(lambda: self._said.count(b"paused") > before, LOOK_SECONDS)
        self.read(lambda: False, 0.0)

    def written(self, folder: Path) -> set[tuple[int, int, str]]:
        """Return what it has open to write below a folder: process, descriptor, path. What it appends to is none."""
        found = []
        with contextlib.suppress(psutil.Error, IndexError):
            leader = psutil.Process(int(self._said.split()[1]))
            for process in (leader, *leader.children(recursive=True)):
                found += [(process.pid, file) for file in process.open_files()]
        return {
            (pid, file.fd, file.path)
            for pid, file in found
            if getattr(file, "mode", "r") not in ("r", "a")  # Linux alone tells
            and Path(file.path).is_relative_to(folder)
        }

    def go_on(self) -> None:
        """Let it run."""
        self._ask(b"c")

    def _ask(self, what: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):  # it has ended
            assert self._supervisor.stdin is not None  # noqa: S101
            self._supervisor.stdin.write(what)

    def end(self, patience: float = 0.0) -> None:
        """Have it end, by itself within ``patience`` seconds; else by SIGTERM, and SIGKILL after its grace."""
        if patience:
            self.go_on()
            self.read(lambda: False, patience)
        assert self._supervisor.stdin is not None  # noqa: S101
        self._supervisor.stdin.close()
        self.read(lambda: False, self._grace + LAST_SECONDS)
        self._close()
        try:
            self._supervisor.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def _close(self) -> None:
        for key in list((self._channels.get_map() or {}).values()):
            self._channels.unregister(key.fileobj)
            key.fileobj.close()  # type: ignore[union-attr]


def answer_of(arguments: Sequence[str]) -> str:
    """Return what a command prints that is over in no time, or why it does not."""
    try:
        done = subprocess.run(
            arguments,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ANSWER_SECONDS,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    said = done.stdout if done.returncode == 0 else done.stderr or f"exit code {done.returncode}"
    return said.strip()


def said_of(ending: str | None) -> str:
    """Return in words how a program ended."""
    if ending is None:
        return "was lost together with the process that watched over it"
    how, _, what = ending.partition(" ")
    if how == "exit":
        return f"ended with exit code {what}"
    if how == "error":
        return f"could not be started: {what}"
    with contextlib.suppress(ValueError):
        return f"was ended by signal {what} ({signal.Signals(int(what)).name})"
    return f"was ended by signal {what}"
