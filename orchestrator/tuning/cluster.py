"""Ray, started for this run alone or joined where the user says."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import ray

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "3600",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_WARN_THRESHOLD_S": "60",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Tune's own loggers and snapshots are off: our records hold what they would."""


@contextlib.contextmanager
def running_ray(cores: int) -> Iterator[None]:
    """Have Ray while the block runs.

    A process that is connected already keeps its connection; ``RAY_ADDRESS`` is joined; otherwise a cluster of
    ``cores`` starts on this machine, whatever other cluster runs here, and ends with the block.
    """
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    for name in ("ray", "ray.tune", "ray.data", "ray.train"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    if address:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    else:
        _start_here(cores)
    try:
        yield
    finally:
        ray.shutdown()


def _start_here(cores: int) -> None:
    own = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "orchestrator-ray"
    ray.init(
        address="local",
        num_cpus=cores,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
        _temp_dir=str(own),
    )


def cluster_cpus() -> float:
    """Return the CPUs of the cluster that is connected."""
    return float(ray.cluster_resources().get("CPU", 0.0))
