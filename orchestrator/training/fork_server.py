"""A process that has imported Keras, and forks: whatever else needs it on this machine is there at once, for nothing.

It starts before an experiment is read through, so that Keras is imported beside that and beside Ray's start. It holds
no Ray, no data and no model, and has computed nothing: TensorFlow has no threads yet, and a fork is what a process
of its own is after its imports. Whoever asks sends a script, its arguments, environment, folder and three files, as
``stand_ins/worker.py`` in the room of Ray's workers does. The fork leads a process group; it ends when the asking
process does, and is forked from nothing else than a process of the same user's, in whose folder the socket lies.

Only under Linux, and where there is no GPU: what CUDA's libraries do at a fork is not known.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from orchestrator.training.keras_setup import import_keras, without_collecting

SOCKET = "ORCHESTRATOR_FORK_SERVER"
"""The variable by which a process that Ray starts finds the server's socket."""
WAITING = 128
"""How many may ask before the imports are done."""
LIBRARIES = ("pandas", "pyarrow", "fsspec", "orchestrator.search")
"""What Ray Tune imports, and Ray's own part is not."""
USED = ("trainer", "trial_session", "live_keras", "final_evaluation", "workbench")
"""Modules of this room that a worker imports for its first trial."""
_RUNNING: dict[str, Path] = {}
"""The sockets of this process's servers, by backend."""


@contextlib.contextmanager
def fork_server(folder: Path, backend: str) -> Iterator[Path]:
    """Have a fork server while the block runs; yield its socket, in ``folder``, which is the user's alone.

    It ends with this process, too, however that ends.
    """
    path = folder / "forks"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(WAITING)
        server = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.PIPE,  # closed by the system where this process is killed
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "KERAS_BACKEND": backend},
            process_group=0,
        )
    _RUNNING[backend] = path
    try:
        yield path
    finally:
        del _RUNNING[backend]
        server.kill()
        server.communicate()


def running_server(backend: str) -> Path | None:
    """Return the socket of a server that this process has with ``backend``, if there is one."""
    return _RUNNING.get(backend)


class Forked:
    """A script in a fork of a server: what is used of a Popen whose stdout is a pipe, which stderr goes to as well.

    It need not be there yet: the server may import for some seconds more.
    """

    def __init__(
        self, server: Path, words: Sequence[str], stdin: int, environment: Mapping[str, str]
    ) -> None:
        asked = {"words": [*words], "environment": {**environment}, "folder": str(Path.cwd())}
        self._said = b""
        self._code: int | None = None
        self._server = socket.socket(socket.AF_UNIX)
        reading, writing = os.pipe()
        self.stdout: IO[str] = os.fdopen(reading, encoding="utf-8", errors="replace")
        try:
            self._server.connect(str(server))
            socket.send_fds(self._server, [b" "], [stdin, writing, writing])
            self._server.sendall(json.dumps({**asked, "modules": []}).encode() + b"\n")
        except OSError:
            self.stdout.close()
            self._server.close()
            raise
        finally:
            os.close(writing)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit code. Raises TimeoutExpired where it has none after ``timeout`` seconds."""
        if self._code is None:
            self._server.settimeout(timeout)
            try:
                while self._said.count(b"\n") < 2 and (more := self._server.recv(64)):
                    self._said += more
            except TimeoutError:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0) from None
            self._end_with(int([*self._said.split(), b"1", b"1"][1]))
        assert self._code is not None  # noqa: S101
        return self._code

    def kill(self) -> None:
        """Have the server end it; one that is not there yet is not waited for."""
        if not self._said:
            self._end_with(-signal.SIGKILL)
        elif self._code is None:
            self._server.shutdown(socket.SHUT_WR)

    def _end_with(self, code: int) -> None:
        self._code = code
        self._server.close()


@dataclass(frozen=True)
class _Asked:
    """A script to be run in a fork, and all that makes a process of it."""

    words: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]
    modules: list[str]


def main(listening: socket.socket) -> None:
    """Import what is needed, and be the server until its owner ends, or in a fork the script."""
    with without_collecting():
        import_keras(os.environ["KERAS_BACKEND"])
        for name in (*LIBRARIES, *(f"orchestrator.training.{used}" for used in USED)):
            importlib.import_module(name)
    gc.freeze()
    asked = _Server(listening).serve()
    if asked is not None:
        _become(asked)


class _Server:
    """Forks for each process that asks, and tells it how its fork ended."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self._selector = selectors.DefaultSelector()
        self._over = False
        self._asked: _Asked | None = None

    def serve(self) -> _Asked | None:
        """Serve until the owner closes stdin; return what a fork is to be, in that fork."""
        self._selector.register(self._listening, selectors.EVENT_READ, self._fork)
        self._selector.register(0, selectors.EVENT_READ, self._end)
        while not self._over:
            for key, _ in self._selector.select():
                if (
                    key.fd in self._selector.get_map()
                ):  # may have been the fork whose end came first
                    key.data()
                if self._over:
                    break
        return self._asked

    def _end(self) -> None:
        self._over = True

    def _fork(self) -> None:
        asking = self._listening.accept()[0]
        asked = _received(asking)
        if asked is None:
            asking.close()
            return
        child = os.fork()
        if child == 0:
            self._asked, self._over = asked, True
            self._leave(asking)
            return
        for file in asked.files:
            os.close(file)
        with contextlib.suppress(OSError):
            asking.sendall(f"{child}\n".encode())
        ended = os.pidfd_open(child)
        self._selector.register(
            ended, selectors.EVENT_READ, partial(self._tell, child, ended, asking)
        )
        # Whatever ends the asking process is to end its fork: it sends nothing more.
        self._selector.register(
            asking, selectors.EVENT_READ, partial(os.kill, child, signal.SIGKILL)
        )

    def _leave(self, asking: socket.socket) -> None:
        """Close, in a fork, what is the server's."""
        mine = [key.fileobj for key in self._selector.get_map().values() if key.fd]
        self._selector.close()
        for one in (asking, *mine):
            if isinstance(one, socket.socket):
                one.close()
            elif isinstance(one, int):
                os.close(one)

    def _tell(self, child: int, ended: int, asking: socket.socket) -> None:
        """Tell the asking process how its fork ended."""
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for one in (ended, asking):
            self._selector.unregister(one)
        os.close(ended)
        with contextlib.suppress(OSError), asking:
            asking.sendall(f"{code}\n".encode())


def _received(asking: socket.socket) -> _Asked | None:
    """Return what a process asks for; None of one that ended while it did."""
    said, files, _, _ = socket.recv_fds(asking, 2**16, 3)
    while said and not said.endswith(b"\n"):
        more = asking.recv(2**16)
        said = said + more if more else b""
    if not said or len(files) != 3:
        for file in files:
            os.close(file)
        return None
    return _Asked(files=files, **json.loads(said))


def _become(asked: _Asked) -> None:
    """Be the process that was asked for."""
    for number, file in enumerate(asked.files):
        os.dup2(file, number)
        os.close(file)
    os.setpgid(0, 0)  # Ray ends the group of a worker that is gone
    os.environ.clear()
    os.environ.update(asked.environment)
    os.chdir(asked.folder)
    sys.argv = asked.words
    with without_collecting(), contextlib.suppress(ImportError):  # the script meets it again
        for name in asked.modules:
            importlib.import_module(name)
    runpy.run_path(asked.words[0], run_name="__main__")


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
