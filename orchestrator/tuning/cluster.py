"""Ray, started for this run alone or joined where the user says, and undisturbed by signals meanwhile."""

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from orchestrator.errors import NotStarted, PlaceError, said_by, shortened
from orchestrator.tuning.ray_limits import raise_open_files, said_in_logs
from orchestrator.tuning.scratch import end_processes_in, scratch_folder, short_temporary_folder

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    "PL_DISABLE_FORK": "1",
    "RAY_ROTATION_MAX_BYTES": str(16 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
}
"""Tune's own loggers and snapshots are off: our records hold what they would. Ray's logs stay small, however long."""

TOO_SLOW = "timed out during startup"
"""What Ray says of a node that did not start in time, in a bare Exception (ray-project/ray#50474)."""

_STARTS_HERE = "Ray: expected its processes to start on this machine"
STARTS = 3
"""How many starts of Ray are tried."""

OPEN_BY_RAY = "r"
"""Ray opens the folder that it is given, and those that it makes there, to everybody: it is given one in ours."""


@contextlib.contextmanager
def running_ray(
    cores: int, stopping: Callable[[], bool] = bool, forks: Path | None = None
) -> Iterator[None]:
    """Have Ray while the block runs.

    A process that is connected already keeps its connection; ``RAY_ADDRESS`` is joined; otherwise a cluster of
    ``cores`` starts on this machine, whatever other cluster runs here, and ends with the block. Its workers are forks
    of the server whose socket is ``forks``, if there is one.

    Raises NotStarted where Ray cannot be had. Its slow start is given up once ``stopping`` says so.
    """
    import ray

    from orchestrator.tuning.ray_internals import groups_of_their_own, installed_first

    _have_ray_say_little()
    if ray.is_initialized():
        yield
        return
    address = ray_address()
    with contextlib.ExitStack() as stack:
        how = {"address": address} if address else _started_here(stack, cores, forks)
        do = stack.enter_context(deferred_signals())
        stack.callback(do, ray.shutdown)
        init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, **how)
        with groups_of_their_own(), installed_first():
            _start(partial(do, init), how.get("_temp_dir"), address, stopping)
        yield


def _started_here(stack: contextlib.ExitStack, cores: int, forks: Path | None) -> dict[str, Any]:
    """Have what starts while ``stack`` is open be a cluster of this run's; return what ``ray.init`` is told of it."""
    from orchestrator.tuning.ray_internals import (
        closed_to_others,
        forked_workers,
        without_what_serves_nobody,
    )

    raise_open_files()
    stack.enter_context(closed_to_others())
    own = stack.enter_context(scratch_folder("orch-", short_temporary_folder()))
    # A worker that was about to start would make its folders again.
    stack.callback(end_processes_in, own)
    stack.enter_context(without_what_serves_nobody())
    stack.enter_context(forked_workers(forks))
    folder = str(Path(own, OPEN_BY_RAY))
    return {"address": "local", "num_cpus": cores, "include_dashboard": False, "_temp_dir": folder}


def _have_ray_say_little() -> None:
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What it calls an error, a trial that failed, has its row and its file in our records.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)


def ray_address() -> str:
    """Return the cluster that ``RAY_ADDRESS`` names, "" where one is to be started here."""
    address = os.environ.get("RAY_ADDRESS", "")
    return "" if address == "local" else address


def _start(
    ray_init: Callable[[], object], folder: str | None, address: str, stopping: Callable[[], bool]
) -> None:
    """Start or join Ray. Raises NotStarted with what it says, or its logs do, where it cannot be."""
    try:
        start(ray_init, folder, stopping)
    except PlaceError as error:
        raise NotStarted(str(error)) from None
    except Exception as error:  # noqa: BLE001 (a bare one where its processes end, besides others)
        said = said_in_logs(folder) or " ".join(said_by(error).split())
        where = f"RAY_ADDRESS: expected to join the Ray at {address}" if address else _STARTS_HERE
        raise NotStarted(f"{where}. Received: {shortened(said, 300)}") from None


def start(
    ray_init: Callable[[], object], folder: str | None, stopping: Callable[[], bool] = bool
) -> None:
    """Start Ray, in ``folder``; again where its processes took longer than the 30 s that it gives them.

    No further start is tried once ``stopping`` says so. Raises PlaceError where no start was quick enough, or its logs
    say why, and whatever else ``ray_init`` raises.
    """
    tries = 0
    while tries < STARTS and not (tries and stopping()):
        tries += 1
        try:
            ray_init()
            return
        except Exception as error:
            if TOO_SLOW not in str(error):
                raise
            said = said_in_logs(folder)
            if folder is not None:
                end_processes_in(folder)
            if said is not None:
                raise PlaceError(f"{_STARTS_HERE}. Received: {said}") from None
    load = " ".join(f"{each:.0f}" for each in os.getloadavg())
    raise PlaceError(
        f"Ray: expected its processes to start within 30 s. Received: {tries} starts that took longer; the load of"
        f" this machine was {load} over the last 1, 5 and 15 minutes. Try again when it is less busy."
    )


def ray_resources(cores: int, seconds: float = 60.0) -> dict[str, float]:
    """Return what the cluster at ``RAY_ADDRESS`` offers, or one of ``cores`` started to be asked.

    A process of its own asks: it can be ended where Ray does not answer.

    Raises PlaceError where Ray fails or has not answered after ``seconds``. Nothing is left running
    or on disk.
    """
    here, there = multiprocessing.Pipe(duplex=False)
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as scratch:
        asking = multiprocessing.get_context("spawn").Process(
            target=_ask, args=(there, cores, scratch), daemon=True
        )
        asking.start()
        there.close()
        try:
            answer = _answer(here, seconds)
            asking.join(10 if isinstance(answer, dict) else 0)
        finally:
            asking.kill()  # the daemons it started end with it
            asking.join()
    if isinstance(answer, str):
        raise PlaceError(f"expected a response from Ray. Received: {answer}")
    return dict(answer)


def _answer(here: Connection, seconds: float) -> dict[str, float] | str:
    """Return the resources, or a sentence of why there are none."""
    try:
        return here.recv() if here.poll(seconds) else f"nothing in {seconds:g} s."  # type: ignore[no-any-return]
    except EOFError:
        return "the end of the process that asked."


def _ask(there: Connection, cores: int, scratch: str) -> None:
    """Send the cluster's resources, or a sentence of why there are none."""
    os.environ["RAY_TMPDIR"] = scratch
    sys.stdout = sys.stderr = io.StringIO()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    import ray

    try:
        with running_ray(cores):
            there.send({str(name): float(many) for name, many in ray.cluster_resources().items()})
    except (ConnectionError, OSError, RuntimeError, ValueError, PlaceError) as error:
        there.send(f"{type(error).__name__}: {str(error).strip().splitlines()[0]}")


ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DONE = signal.SIGURG
"""Wakes the thread that waits: ignored by default, and nothing else here sends it."""


@contextlib.contextmanager
def deferred_signals() -> Iterator[Callable[[Callable[[], object]], object]]:
    """Yield what does an action; a signal that comes meanwhile is delivered right after it.

    Ray takes SIGTERM over: from the middle of ``ray.init`` on it would end the process with SIGABRT
    (ray-project/ray#37288), and after ``ray.shutdown`` at once.

    All actions of a block happen in one thread, which lives as long as the block (a Ray whose first thread has ended
    takes 15 s to shut down). The main thread waits for signals meanwhile: the system hands a process's signals to its
    main thread wherever that waits for them, so none gets to a handler that an action installs. The handlers are
    afterwards what they were. Outside the main thread signals are not ours, and actions are simply called.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda action: action()
        return
    # What Ray starts inherits the thread's mask, and must hear of signals.
    usual = (signal.SIG_SETMASK, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
    with ThreadPoolExecutor(1, initializer=signal.pthread_sigmask, initargs=usual) as beside:
        yield lambda action: _do(action, beside)


def _do(action: Callable[[], object], beside: ThreadPoolExecutor) -> None:
    """Do ``action`` beside this thread, and raise what it raises, signals first."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    handlers[_DONE] = signal.signal(_DONE, _nothing)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, handlers)
    try:
        waiting, arrived = threading.get_ident(), []
        doing = beside.submit(action)
        doing.add_done_callback(lambda _: signal.pthread_kill(waiting, _DONE))
        while (number := signal.sigwait(handlers)) != _DONE:
            arrived.append(number)
    finally:
        for number, handler in handlers.items():
            if handler is not None:  # one that was not installed from Python
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number in arrived:
        signal.raise_signal(number)
    doing.result()


def _nothing(number: int, frame: Any) -> None:
    """Do nothing: the signal only ends ``sigwait``."""
