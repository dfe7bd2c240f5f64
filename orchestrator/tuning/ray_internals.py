"""What Ray keeps to itself and we use, each with its reason; tests/tuning/test_ray_internals.py says when it breaks."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import ray
from ray._private import node, ray_constants, services, utils, worker
from ray._raylet import AuthenticationTokenLoader, Config, GcsClient  # type: ignore[attr-defined]
from ray.job_config import JobConfig

from orchestrator.training.fork_server import SOCKET

INTERRUPTED = 130
_SHOW_CURSOR = "\x1b[?25h"
LOOK_SECONDS = 5.0
"""How often it is looked whether a cluster that was joined is there."""
MISSED = 4
"""How many looks in a row have to fail: Ray itself gives a cluster up after a minute."""
_TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


STAND_INS = Path(__file__).parent / "stand_ins"
PIPES = "RAY_enable_pipe_based_agent_to_parent_health_check"
METRICS = "RAY_enable_metrics_collection"
_IDLE = "--num_prestart_python_workers="
_AGENTS = ("--dashboard_agent_command=", "--runtime_env_agent_command=")


class _GroupLeader(subprocess.Popen[bytes]):
    def __init__(self, *words: Any, **options: Any) -> None:
        super().__init__(*words, **options, process_group=0)


@contextlib.contextmanager
def without_what_serves_nobody() -> Iterator[None]:
    """Have a cluster that starts in the block be without the processes of Ray's that nothing asks for anything.

    Its autoscaler, dashboard and reader of logs are not started, nor idle workers, which Tune's trials with their
    placement groups never take; for its two agents small processes stand in until they are asked for something. That is
    half of the processor time that Ray takes to start, and all that it waits for.
    There is no switch for them (ray-project/ray#19420). Who asks Ray for metrics, by its own variable, gets all of
    them, as does whoever is not under Linux.
    """
    if sys.platform != "linux" or os.environ.get(METRICS) != "0":
        yield
        return
    usual = {name: getattr(node.Node, name) for name in _UNASKED}
    command, pipes = services.start_ray_process, os.environ.get(PIPES)
    can_agents_start = utils.get_dashboard_dependency_error  # imports all that they need, to tell
    utils.get_dashboard_dependency_error = lambda: None
    for name in _UNASKED:
        setattr(node.Node, name, _start_nothing)
    services.start_ray_process = lambda words, *rest, **options: command(
        [_by_stand_in(word) for word in words], *rest, **options
    )
    os.environ[PIPES] = "1"  # by which agents know of their raylet's end
    try:
        yield
    finally:
        services.start_ray_process = command
        utils.get_dashboard_dependency_error = can_agents_start
        for name, method in usual.items():
            setattr(node.Node, name, method)
        os.environ.pop(PIPES) if pipes is None else os.environ.update({PIPES: pipes})


_UNASKED = ("start_monitor", "start_api_server", "start_log_monitor")


def _start_nothing(self: Any, **options: Any) -> None:
    """Start nothing."""


def _by_stand_in(word: str) -> str:
    """Return an argument of the raylet's, in which an agent's command is that of its stand-in, and no worker idle."""
    if word.startswith(_IDLE):
        return f"{_IDLE}0"
    name = next((name for name in _AGENTS if word.startswith(name)), None)
    if name is None:
        return word
    stand_in = [sys.executable, "-I", "-S", str(STAND_INS / "agent.py")]
    return f"{name}{subprocess.list2cmdline(stand_in)} {word.removeprefix(name)}"


@contextlib.contextmanager
def groups_of_their_own() -> Iterator[None]:
    """Have Ray start each process in the block as the leader of a new process group.

    ``timeout``, a shell's ``kill %1`` and many CI runners signal a whole process group, as Ctrl-C does, for which Ray
    once had sessions of their own (ray-project/ray#6008). Ray's GCS would end first, and
    a driver without it waits for a minute and is aborted before any trial's state is kept. Only under Linux: there
    Ray's processes end with their driver; elsewhere Ray ends them by the driver's group.
    """
    usual = services.ConsolePopen
    if sys.platform == "linux":
        services.ConsolePopen = _GroupLeader
    try:
        yield
    finally:
        services.ConsolePopen = usual


@contextlib.contextmanager
def forked_workers(server: Path | None) -> Iterator[None]:
    """Have the workers of a cluster that starts in the block be forked from a server, given its socket.

    A runtime environment's ``py_executable`` would do it too, but for Ray's agent, which takes a second to start.
    """
    if server is None:
        yield
        return
    usual = ray_constants.SETUP_WORKER_FILENAME
    ray_constants.SETUP_WORKER_FILENAME = str(STAND_INS / "worker.py")  # joined to a folder
    os.environ[SOCKET] = str(server)
    try:
        yield
    finally:
        del os.environ[SOCKET]
        ray_constants.SETUP_WORKER_FILENAME = usual


@contextlib.contextmanager
def workers_like_all_others() -> Iterator[None]:
    """Have Tune's workers need no environment of their own, for which Ray starts an agent and each of them anew.

    Tune gives them variables of the driver's, and PL_DISABLE_FORK=1 (ray-project/ray#28197). What this process has
    started has inherited them; a cluster that was joined has not.
    """
    if not core_processes():
        yield
        return
    from ray.tune.execution import class_cache

    usual = class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE
    class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = {}, set()
    try:
        yield
    finally:
        class_cache.DEFAULT_ENV_VARS, class_cache.ENV_VARS_TO_PROPAGATE = usual


@contextlib.contextmanager
def installed_first() -> Iterator[None]:
    """Have the workers of a connection made in the block find modules where they are installed.

    Ray puts the driver's current folder, and its script's, first on their paths (ray-project/ray#43182): a
    ``numpy.py`` there would end each of them before it says a word. ``Worker`` puts them last.
    """
    usual = JobConfig._serialize

    def without_paths(self: Any) -> Any:
        self._py_driver_sys_path.clear()
        self._cached_pb = None
        return usual(self)

    JobConfig._serialize = without_paths
    try:
        yield
    finally:
        JobConfig._serialize = usual


@contextlib.contextmanager
def closed_to_others() -> Iterator[None]:
    """Have a cluster that starts in the block listen on the loopback interface alone, and ask for a token there.

    Ray listens on every interface under Linux, and on loopback under macOS. Its switch between the two
    (ray-project/ray#32409) is a variable that is read when Ray is imported. Its token would go into a file
    in the home directory that turns later clusters' tokens on (ray-project/ray#57835); this one is in memory, and Ray
    is made to forget it after the block.
    """
    shared, asked = ray_constants.ENABLE_RAY_CLUSTER, set(os.environ) & set(_TOKEN)
    if ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR not in os.environ:
        ray_constants.ENABLE_RAY_CLUSTER = False
    if not asked:
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
        AuthenticationTokenLoader.instance().reset_cache()
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = shared
        if not asked:
            for name in _TOKEN:
                os.environ.pop(name, None)
            AuthenticationTokenLoader.instance().reset_cache()
            Config.initialize("")  # it remembers the mode


def ask_gcs(address: str) -> None:
    """Ask the cluster at HOST:PORT who it is. Raises ConnectionError where it runs not, or lets us not in."""
    try:
        GcsClient(address=address)
    except (ray.exceptions.RayError, RuntimeError, ValueError) as error:
        raise ConnectionError(str(error)) from None


def core_processes() -> dict[str, Any]:
    """Return what a Ray started by this process cannot live without, {name: Popen}; nothing of one that was joined."""
    started = getattr(getattr(worker, "_global_node", None), "all_processes", {})
    names = (ray_constants.PROCESS_TYPE_GCS_SERVER, ray_constants.PROCESS_TYPE_RAYLET)
    return {name: each.process for name in names for each in started.get(name, ())}


def gcs_address() -> str:
    """Return HOST:PORT of the cluster that this process is connected to."""
    return str(getattr(getattr(worker, "_global_node", None), "gcs_address", ""))


def worker_of(trial: Any) -> Any:
    """Return the actor that trains one of Tune's trials, None before it starts; Tune tells its schedulers none."""
    return trial.temporary_state.ray_actor


def error_of(trial: Any) -> BaseException | None:
    """Return what Ray said of a trial's worker, None where it said nothing.

    Tune has just written it into the driver's own scratch, below a line of the time; its ``get_error`` looks where
    that is copied later.
    """
    file = trial.error_file
    if file is None or not Path(file).is_file():
        return None
    said = Path(file).read_text(encoding="utf-8", errors="replace").partition("\n")[2]
    return ray.exceptions.RayError(said)  # type: ignore[no-any-return]


@contextlib.contextmanager
def ended_with_ray(tell: Callable[[str], object]) -> Iterator[None]:
    """End this process where Ray's core ends while the block runs, once ``tell`` has been told why.

    Ray's code in the driver ends it by itself then, with twenty lines of its state and the exit code of a failure, at
    once (its raylet) or after a minute (its GCS). Here it is told in time: an event, a sentence, the exit code of a run
    that can continue.

    Nothing is watched where processes cannot be waited for (but under Linux), or where Ray is not ours to watch.
    """
    if not hasattr(os, "pidfd_open"):
        yield
        return
    processes = core_processes()
    over, told = os.pipe()
    watch = _watch_processes if processes else _watch_address
    watching = threading.Thread(target=watch, args=(processes, over, tell), daemon=True)
    watching.start()
    try:
        yield
    finally:
        os.write(told, b".")
        watching.join()
        os.close(over)
        os.close(told)


def _watch_processes(
    processes: Mapping[str, Any], over: int, tell: Callable[[str], object]
) -> None:
    """Wait for the end of the block, or of a process."""
    names = {os.pidfd_open(process.pid): name for name, process in processes.items()}
    looked = select.poll()
    for descriptor in (over, *names):
        looked.register(descriptor, select.POLLIN)
    ready = [descriptor for descriptor, _ in looked.poll()]
    for descriptor in names:
        os.close(descriptor)
    if over not in ready:
        _end(f"Ray's process {names[ready[0]]} ended", tell)


def _watch_address(processes: Mapping[str, Any], over: int, tell: Callable[[str], object]) -> None:
    """Wait for the end of the block, or of the cluster that was joined."""
    host, _, port = gcs_address().rpartition(":")
    missed = 0
    while port and not select.select([over], [], [], LOOK_SECONDS)[0]:
        try:
            socket.create_connection((host.strip("[]"), int(port)), LOOK_SECONDS).close()
            missed = 0
        except OSError:
            missed += 1
        if missed >= MISSED:
            _end(f"the Ray cluster at {host}:{port} no longer answers", tell)


def _end(reason: str, tell: Callable[[str], object]) -> None:
    """Tell, and end this process: its main thread may never return from Ray's code, which would print its state."""
    kept = os.dup(2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    try:
        tell(reason)
        cursor = _SHOW_CURSOR if os.isatty(kept) else ""
        os.write(kept, f"{cursor}{reason}: the run is interrupted; resume continues it\n".encode())
    finally:
        os._exit(INTERRUPTED)
