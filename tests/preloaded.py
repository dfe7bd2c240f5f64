"""The process that builds models before a run, as a fork of one that has imported Keras: no seven seconds of imports.

What is forked is a process of its own like the real one, with the caller's folder, environment and sys.path; only the
imports are done. Tests of the process itself and of Keras's settings start the real one.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
REAL = subprocess.Popen
_MEBIBYTE = 1 << 20


class Server:
    """The process that has imported Keras and forks; started at the first need, it ends with this one."""

    def __init__(self) -> None:
        self._here: socket.socket | None = None

    def fork(self, code: str, fds: list[int]) -> socket.socket:
        """Run ``code`` in a fork, with the first of ``fds`` as its argument and the second as stdout and stderr.

        The socket tells its pid and later its exit code.
        """
        if self._here is None:
            self._start()
        assert self._here is not None
        ours, theirs = socket.socketpair()
        told = {"code": code, "folder": str(Path.cwd()), "environment": dict(os.environ)}
        with theirs, os.fdopen(os.memfd_create("told"), "w+") as memory:
            json.dump(told, memory)
            memory.flush()
            socket.send_fds(self._here, [b"."], [*fds, theirs.fileno(), memory.fileno()])
        return ours

    def _start(self) -> None:
        self._here, there = socket.socketpair()
        REAL(
            [sys.executable, "-P", "-m", "tests.preloaded", str(there.fileno())],
            pass_fds=[there.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"},
        )  # fmt: skip
        there.close()


SERVER = Server()


class Forked:
    """What of Popen the real process's owner uses."""

    def __init__(self, command: list[str], pass_fds: list[int], **_: Any) -> None:
        code = command[command.index("-c") + 1]
        read, write = os.pipe()
        self._from_server = SERVER.fork(code, [pass_fds[0], write]).makefile()
        os.close(write)
        self.stdout = os.fdopen(read, errors="replace")
        self.returncode: int | None = None
        self.pid = int(self._from_server.readline())

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            with selectors.DefaultSelector() as ready:
                ready.register(self._from_server, selectors.EVENT_READ)
                if not ready.select(timeout):
                    raise subprocess.TimeoutExpired("forked", timeout or 0)
            self.returncode = int(self._from_server.readline())
        return self.returncode

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, 9)


INSTEAD = SimpleNamespace(**vars(subprocess) | {"Popen": Forked})
"""The module ``subprocess`` as the owner of that process is to see it."""


def _serve(there: socket.socket) -> None:
    import keras  # noqa: F401

    import orchestrator.training.trial_builds  # noqa: F401

    children = selectors.DefaultSelector()
    children.register(there, selectors.EVENT_READ)
    while True:
        for ready, _ in children.select():
            if ready.fileobj is there:
                said, fds, _, _ = socket.recv_fds(there, 1, 4)
                if not said:
                    return
                _fork(children, fds)
            else:
                pid, answers = ready.data
                _, status = os.waitpid(pid, 0)
                children.unregister(ready.fileobj)
                os.close(ready.fd)
                with answers:
                    _tell(answers, os.waitstatus_to_exitcode(status))


def _tell(answers: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError):
        answers.sendall(f"{number}\n".encode())


def _fork(children: selectors.BaseSelector, fds: list[int]) -> None:
    argument, printed, answers, memory = fds
    pid = os.fork()
    if pid == 0:
        os.close(answers)
        for key in children.get_map().values():
            os.close(key.fd)
        _run(argument, printed, memory)
    for each in (argument, printed, memory):
        os.close(each)
    connection = socket.socket(fileno=answers)
    _tell(connection, pid)
    children.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))


def _run(argument: int, printed: int, memory: int) -> None:
    code = 1
    try:
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        os.close(printed)
        with os.fdopen(memory) as file:
            file.seek(0)
            told = json.load(file)
        os.chdir(told["folder"])
        os.environ.clear()
        os.environ.update(told["environment"])
        sys.argv = ["-c", str(argument)]
        exec(told["code"], {"__name__": "__main__"})  # noqa: S102
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
