"""Ray, started for this run alone or joined where the user says."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray._private import ray_constants
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from orchestrator.errors import PlaceError
from orchestrator.tuning.apart import groups_of_their_own
from orchestrator.tuning.scratch import end_processes_in, scratch_folder
from orchestrator.tuning.undisturbed import undisturbed

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
    "RAY_ROTATION_MAX_BYTES": str(16 * 2**20),
    "RAY_ROTATION_BACKUP_COUNT": "1",
}
"""Tune's own loggers and snapshots are off: our records hold what they would. Ray's logs stay small, however long."""

TOO_SLOW = "timed out during startup"
"""What Ray says of a node that did not start in time."""

STARTS = 3
"""How many starts of Ray are tried."""

LONGEST_PLACE = 27
"""Bytes of a path below which Ray's sockets still have names that Linux takes: 107 bytes, most of them Ray's own."""
OPEN_BY_RAY = "r"
"""Ray opens the folder that it is given, and those that it makes there, to everybody: it is given one in ours."""
_TOKEN = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@contextlib.contextmanager
def running_ray(cores: int) -> Iterator[None]:
    """Have Ray while the block runs.

    A process that is connected already keeps its connection; ``RAY_ADDRESS`` is joined; otherwise a cluster of
    ``cores`` starts on this machine, whatever other cluster runs here, and ends with the block.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # What it calls an error, a trial that failed, has its row and its file in our records.
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    with contextlib.ExitStack() as stack:
        how: dict[str, Any] = {"address": address}
        if not address:
            stack.enter_context(closed_to_others())
            own = stack.enter_context(scratch_folder("orch-", _short_temporary_folder()))
            # A worker that was about to start would make its folders anew.
            stack.callback(end_processes_in, own)
            how = {
                "address": "local",
                "num_cpus": cores,
                "include_dashboard": False,
                "_temp_dir": str(Path(own, OPEN_BY_RAY)),
            }
        do = stack.enter_context(undisturbed())
        stack.callback(do, ray.shutdown)
        init = partial(ray.init, log_to_driver=False, logging_level=logging.ERROR, **how)
        with groups_of_their_own():
            start(partial(do, init), how.get("_temp_dir"))
        yield


def start(ray_init: Callable[[], object], folder: str | None) -> None:
    """Start Ray, in ``folder``; again where its processes took longer than the 30 s that it gives them.

    Raises PlaceError where no start was quick enough, and whatever else ``ray_init`` raises.
    """
    for _ in range(STARTS):
        try:
            ray_init()
            return
        except Exception as error:
            if TOO_SLOW not in str(error):
                raise
            if folder is not None:
                end_processes_in(folder)
    load = " ".join(f"{each:.0f}" for each in os.getloadavg())
    raise PlaceError(
        f"Ray: expected its processes to start within 30 s. Received: {STARTS} starts that took longer; the load of"
        f" this machine was {load} over the last 1, 5 and 15 minutes. Try again when it is less busy."
    )


@contextlib.contextmanager
def closed_to_others() -> Iterator[None]:
    """Have a cluster that starts in the block listen on the loopback interface alone, and ask for a token there.

    Ray listens on every interface under Linux, and on loopback under macOS; this is its switch between the two. Its
    token would go into a file in the home directory that turns later clusters' tokens on; this one is in memory.
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


def _short_temporary_folder() -> str:
    """Return where Ray's files go: its sockets' paths, below it, may not exceed some hundred characters."""
    asked = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    return asked if len(os.fsencode(asked)) <= LONGEST_PLACE else "/tmp"  # noqa: S108
