"""Whether this machine can run experiments: findings, and what to do about the bad ones."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from orchestrator.errors import PlaceError
from orchestrator.experiment.executors import available_cores, check_ray_address, visible_gpus
from orchestrator.experiment.manifest import versions

GIB = 2**30
WORKER_GIB = 1.0
"""What one worker with TensorFlow and a small data set takes, generously."""
NEEDED = ("ray", "keras", "numpy", "pandas", "scikit-learn")


@dataclass(frozen=True)
class Check:
    """One finding; ``advice`` says what to do about one that is not ok."""

    status: Literal["ok", "warn", "fail"]
    what: str
    finding: str
    advice: str = ""


def examine(storage: Path, with_ray: bool = True) -> Iterator[Check]:
    """Yield the findings, the quick ones first; Ray is started (or joined) and let go of."""
    yield Check("ok", "Python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield packages(versions())
    yield Check("ok", "cores", f"{available_cores()} for this process")
    yield memory(psutil.virtual_memory().available / GIB, available_cores())
    yield gpus(visible_gpus(), versions())
    yield disk("disk", storage)
    yield disk("temporary", Path(tempfile.gettempdir()))
    yield shared_memory(Path("/dev/shm"))  # noqa: S108  (where Ray keeps its objects)
    if with_ray:
        yield ray_answers()


def packages(found: dict[str, str]) -> Check:
    """Return whether what a run needs is installed."""
    missing = [name for name in NEEDED if name not in found]
    if not {"tensorflow", "tensorflow-cpu"} & found.keys():
        missing.append("tensorflow")
    if missing:
        return Check(
            "fail", "packages", f"missing: {', '.join(missing)}", f"pip install {' '.join(missing)}"
        )
    return Check("ok", "packages", ", ".join(f"{name} {number}" for name, number in found.items()))


def memory(available_gib: float, cores: int) -> Check:
    """Return whether each core's worker has room."""
    finding = f"{available_gib:.1f} GiB available"
    if available_gib >= cores * WORKER_GIB:
        return Check("ok", "memory", finding)
    workers = int(available_gib / WORKER_GIB)
    if workers == 0:
        return Check(
            "fail", "memory", finding, f"free memory: a worker takes about {WORKER_GIB:g} GiB"
        )
    advice = (
        f"set caviar.max_concurrent_trials to {workers}: a worker takes about {WORKER_GIB:g} GiB"
    )
    return Check("warn", "memory", finding, advice)


def gpus(count: int, found: dict[str, str]) -> Check:
    """Return which GPUs trials can ask for."""
    if count == 0:
        return Check("ok", "GPUs", "none visible; trials run on the CPU")
    if "tensorflow-cpu" in found and "tensorflow" not in found:
        advice = "pip uninstall tensorflow-cpu, pip install 'tensorflow[and-cuda]', then set resources.gpu"
        return Check("warn", "GPUs", f"{count}, which tensorflow-cpu cannot use", advice)
    return Check("ok", "GPUs", f"{count}; set resources.gpu to use them")


def disk(what: str, folder: Path) -> Check:
    """Return whether a folder, made or to be made, can be written and has room."""
    place = next(
        parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists()
    )
    if not place.is_dir() or not os.access(place, os.W_OK):
        advice = "choose another place: --storage, storage_path, or TMPDIR for temporary files"
        return Check("fail", what, f"{folder} cannot be written", advice)
    free = shutil.disk_usage(place).free / GIB
    finding = f"{free:.1f} GiB free for {folder}"
    if free < 0.5:
        return Check("fail", what, finding, "free space, or choose another place")
    if free < 5:
        return Check(
            "warn", what, finding, "free space: below 5 GiB checkpoints and Ray's files may not fit"
        )
    return Check("ok", what, finding)


def shared_memory(folder: Path) -> Check:
    """Return whether Ray's object store, which holds the data, fits into shared memory."""
    if not folder.is_dir():
        return Check("ok", "shared", f"no {folder} on this system")
    free = shutil.disk_usage(folder).free / GIB
    finding = f"{free:.1f} GiB free in {folder}"
    if free < 0.5:
        advice = "in a container: --shm-size=2g. Ray keeps data on disk instead, which is slow"
        return Check("warn", "shared", finding, advice)
    return Check("ok", "shared", finding)


def ray_answers() -> Check:
    """Return whether Ray starts on this machine, or answers at RAY_ADDRESS."""
    from orchestrator.tuning.cluster import ray_resources

    address = os.environ.get("RAY_ADDRESS")
    try:
        check_ray_address()
        found = ray_resources(available_cores())
    except PlaceError as error:
        advice = (
            "check RAY_ADDRESS, or unset it" if address else "see whether 'ray start' works here"
        )
        return Check("fail", "Ray", str(error), advice)
    offers = f"{found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs"
    nodes = sum(name.startswith("node:") and name != "node:__internal_head__" for name in found)
    if address:
        return Check("ok", "Ray", f"answers at {address}: {offers}, {nodes} nodes")
    return Check("ok", "Ray", f"starts here: {offers}")
