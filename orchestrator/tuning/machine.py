"""What this machine offers a run: its cores, its GPUs, the packages that are installed."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from orchestrator.training.keras_setup import BACKEND, MODULES

PACKAGES = (
    "orchestrator",
    "ray",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
)


def visible_gpus() -> int:
    """Return the NVIDIA GPUs of this machine, as CUDA_VISIBLE_DEVICES shows them."""
    shown = os.environ.get("CUDA_VISIBLE_DEVICES")
    present = (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
        if Path("/proc/driver/nvidia/gpus").exists()
        else 0
    )
    if shown is None:
        return present
    return min(
        present, len([device for device in shown.split(",") if device.strip() not in ("", "-1")])
    )


def available_cores() -> int:
    """Return the cores this process may use; in a job of Slurm those that it was given, bound to them or not."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    given = os.environ.get("SLURM_CPUS_ON_NODE", "")
    return min(cores, int(given)) if given.isdecimal() and int(given) else cores


def versions(backend: str = BACKEND) -> dict[str, str]:
    """Return Python's version and the installed ones of the packages a result depends on, without importing them."""
    found = {"python": platform.python_version()}
    of_backend = () if backend == BACKEND else MODULES[backend]
    for package in (*PACKAGES, *of_backend):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
