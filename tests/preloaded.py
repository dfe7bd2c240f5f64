"""Processes of ours as forks of one that has done their imports: no seven seconds for Keras, two for a command.

What is forked is a process of its own like the real one, with the caller's folder, environment, stdout and stderr; only
the imports are done. The owner of a trial process is given `INSTEAD` for the module ``subprocess``; a page's commands
are run by `shell_command`. Tests of these processes themselves start the real ones.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import json
import os
import selectors
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
LIGHT = ROOT / "tests" / "light"
"""Python's start where Keras is imported for less."""
PYTHONPATH = f"{ROOT}{os.pathsep}{LIGHT}"
BUILDS = "ORCHESTRATOR_TESTS_BUILDS"
"""Where a forked command finds the server of trial processes."""
SERVERS = "ORCHESTRATOR_TESTS_SERVERS"
"""The folder in which all processes of one pytest find their servers."""


@contextmanager
def no_flushes() -> Iterator[None]:
    """Have nothing wait for the disk: what is asked to be flushed is looked at, so that it must be an open file."""
    flush = os.fsync
    os.fsync = os.fstat  # type: ignore[assignment]
    try:
        yield
    finally:
        os.fsync = flush


class Server:
    """A process that has imported ``modules`` and forks. It starts at the first need and is shared by all processes of
    one pytest; it ends when the last of them has ended it.

    ``of``: it is itself a fork of another server, whose imports it shares and whose builds it asks for.
    """

    def __init__(self, name: str, *modules: str, of: Server | None = None) -> None:
        self._name, self._modules, self._of = name, modules, of
        self._folder = ""
        self._stay: socket.socket | None = None
        self._begun: Fork | subprocess.Popen[bytes] | None = None

    def path(self) -> str:
        """Return the socket at which it is asked, by ``ask``."""
        if self._stay is None:
            self._folder = os.environ.get(SERVERS) or tempfile.mkdtemp(prefix="pre-", dir="/tmp")
            with Path(self._folder, f"{self._name}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not self._joined():
                    self._begin()
        return f"{self._folder}/{self._name}"

    def _joined(self) -> bool:
        """Keep a connection for as long as this process may ask; false where no server answers."""
        stay = socket.socket(socket.AF_UNIX)
        with suppress(OSError):
            stay.connect(f"{self._folder}/{self._name}")
            stay.sendall(b"s")
            if stay.recv(1):
                self._stay = stay
                return True
        stay.close()
        return False

    def _begin(self) -> None:
        builds = self._of.path() if self._of else ""
        place = Path(self._folder, self._name)
        place.unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(place))
            listening.listen(64)
            number = listening.fileno()
            if self._of:
                code = f"from tests.preloaded import serve; serve({self._modules!r}, {builds!r})"
                self._begun = Fork(ask(builds, code, ["-c"], [2, 2, number]))
            else:
                self._begun = subprocess.Popen(
                    [sys.executable, "-P", "-m", "tests.preloaded", str(number), *self._modules],
                    pass_fds=[number], stdin=subprocess.DEVNULL, cwd=ROOT,
                    env={**os.environ, "PYTHONPATH": PYTHONPATH, "TF_CPP_MIN_LOG_LEVEL": "3"},
                )  # fmt: skip
        if not self._joined():
            raise RuntimeError(f"the server {self._name} did not start")

    def leave(self) -> None:
        """Ask no more."""
        if self._stay is not None:
            self._stay.close()
            self._stay = None

    def wait(self) -> None:
        """Wait until all others have left too, where this process began it."""
        if self._begun is not None:
            self._begun.wait()
            self._begun = None
        if self._folder and SERVERS not in os.environ:
            shutil.rmtree(self._folder, ignore_errors=True)


WITH_KERAS = Server(
    "keras", "keras", "orchestrator.training.trial_process", "orchestrator.training.building",
    "orchestrator.training.heads", "orchestrator.training.reported", "orchestrator.training.saving",
    "orchestrator.training.exploring", "keras_tuner", "optuna",
)  # fmt: skip
WITH_COMMANDS = Server(
    "commands", "orchestrator.__main__", "orchestrator.experiment", "pandas", "ray.tune", of=WITH_KERAS
)  # fmt: skip
ALL = (WITH_COMMANDS, WITH_KERAS)


def end_all() -> None:
    """Leave all servers, and wait for those that this process began."""
    for server in ALL:
        server.leave()
    for server in ALL:
        server.wait()


def ask(
    path: str,
    code: str,
    argv: Sequence[str],
    fds: Sequence[int],
    environment: Mapping[str, str] = os.environ,
) -> socket.socket:
    """Have ``code`` run in a fork; the socket tells its pid and later its exit code.

    ``fds`` become its stdout, its stderr and, where there are three, the number that is its last argument.
    """
    told = {
        "code": code,
        "argv": [*argv],
        "folder": str(Path.cwd()),
        "environment": dict(environment),
    }
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    with os.fdopen(os.memfd_create("told"), "w+") as memory:
        json.dump(told, memory)
        memory.flush()
        socket.send_fds(connection, [b"."], [memory.fileno(), *fds])
    return connection


class Fork:
    """One that a server has made, of which it tells."""

    def __init__(self, connection: socket.socket) -> None:
        self._from_server = connection.makefile()
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


class Forked(Fork):
    """What of Popen the owner of a trial process uses."""

    def __init__(
        self,
        command: list[str],
        pass_fds: list[int],
        env: Mapping[str, str] = os.environ,
        **_: Any,
    ) -> None:
        code = command[command.index("-c") + 1]
        path = os.environ.get(BUILDS) or WITH_KERAS.path()
        read, write = os.pipe()
        connection = ask(path, code, ["-c"], [write, write, *pass_fds], env)
        os.close(write)
        self.stdout = os.fdopen(read, errors="replace")
        super().__init__(connection)

    def kill(self) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, 9)


def python(code: str) -> tuple[int, str]:
    """Run ``code`` in a process that has imported Keras and done nothing with it; return its exit code and output."""
    command = [sys.executable, "-c", code]
    if not POSSIBLE:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        return done.returncode, done.stdout
    forked = Forked(command, [])
    with forked.stdout:
        said = forked.stdout.read()
    return forked.wait(), said


def _popen(command: list[str], pass_fds: list[int], **options: Any) -> Any:
    """Fork; another backend of Keras than has been imported needs a process of its own."""
    if options.get("env", {}).get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        return Forked(command, pass_fds, **options)
    return subprocess.Popen(command, pass_fds=pass_fds, **options)


INSTEAD = SimpleNamespace(**vars(subprocess) | {"Popen": _popen})
POSSIBLE = hasattr(os, "pidfd_open") and hasattr(os, "memfd_create")

_CLIENT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from tests.preloaded import command; command()"
_COMMAND = "from orchestrator.__main__ import main; main()"


def shell_command() -> str:
    """Return this checkout's command in a shell's words: forked, or the real one where forks are not possible."""
    python = shlex.quote(sys.executable)
    if not POSSIBLE:
        return f"{python} -m orchestrator"
    path = WITH_COMMANDS.path()
    return f"{python} -S -E -c {shlex.quote(_CLIENT)} {shlex.quote(str(ROOT))} {path}"


def command_line(*words: str) -> list[str]:
    """Return a call of this checkout's command, as `shell_command`, for where no shell reads it."""
    return ["sh", "-c", f'exec {shell_command()} "$@"', "orchestrator", *words]


def command() -> None:
    """Be the command ``orchestrator``: what it does is done in a fork, and this process waits for it.

    ``-c CODE`` as its words runs code instead, as Python's own would.
    """
    path, *words = sys.argv[1:]
    code = words[1] if words[0] == "-c" else _COMMAND
    answers = ask(path, code, ["orchestrator", *words], [1, 2]).makefile()
    answers.readline()
    os._exit(int(answers.readline()) % 256)


def serve(modules: Sequence[str], builds: str) -> None:
    """Be a server in this fork of one, at the socket that is the last argument, until nobody stays.

    What it forks asks for builds at ``builds``, whose server it keeps for as long.
    """
    os.environ[BUILDS] = builds
    os.chdir(ROOT)
    with socket.socket(socket.AF_UNIX) as stay:
        stay.connect(builds)
        stay.sendall(b"s")
        _serve(socket.socket(fileno=int(sys.argv[-1])), modules, stay)


def _serve(listening: socket.socket, modules: Sequence[str], *held: socket.socket) -> None:
    if "ray.tune" in modules:  # it reads its settings while it is imported
        from orchestrator.tuning.cluster import QUIET

        os.environ.update(QUIET)
    for module in modules:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # or each fork's collector looks at all that was imported: 0.4 s of its 0.8
    if BUILDS in os.environ:
        from orchestrator.training import trial_process

        trial_process.subprocess = INSTEAD  # type: ignore[assignment]
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    staying: set[socket.socket] = set()
    left = False
    while not left or len(waiting.get_map()) > 1:
        for key, _ in waiting.select():
            if key.fileobj is listening:
                _answer(waiting, listening.accept()[0], staying, held)
            elif isinstance(key.fileobj, socket.socket):  # somebody has left
                waiting.unregister(key.fileobj)
                staying.remove(key.fileobj)
                key.fileobj.close()
                left = not staying
            else:
                pid, connection = key.data
                waiting.unregister(key.fd)
                os.close(key.fd)
                with connection:
                    _tell(connection, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _answer(
    waiting: selectors.BaseSelector,
    connection: socket.socket,
    staying: set[socket.socket],
    held: Sequence[socket.socket],
) -> None:
    """Fork for one that asks, or have one stay."""
    _, fds, _, _ = socket.recv_fds(connection, 1, 4)
    if fds:
        _fork(waiting, connection, fds, held)
        return
    staying.add(connection)
    waiting.register(connection, selectors.EVENT_READ)
    with suppress(OSError):
        connection.sendall(b"s")


def _tell(connection: socket.socket, number: int) -> None:
    with suppress(OSError):
        connection.sendall(f"{number}\n".encode())


def _fork(
    waiting: selectors.BaseSelector,
    connection: socket.socket,
    fds: list[int],
    held: Sequence[socket.socket],
) -> None:
    pid = os.fork()
    if pid == 0:
        for each in (connection, *held):
            each.close()
        for key in list(waiting.get_map().values()):
            os.close(key.fd)
        _run(*fds)
    for each in fds:
        os.close(each)
    _tell(connection, pid)
    waiting.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))


def _run(memory: int, stdout: int, stderr: int, *more: int) -> None:
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        with os.fdopen(memory) as file:
            file.seek(0)
            told = json.load(file)
        os.chdir(told["folder"])
        environment = told["environment"] | {n: v for n, v in os.environ.items() if n == BUILDS}
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [*told["argv"], *map(str, more)]
        exec(told["code"], {"__name__": "__main__"})  # noqa: S102
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with no_flushes():
        _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2:])
