"""Whether this machine can run experiments: findings, and what to do about the bad ones."""

from __future__ import annotations

import codecs
import os
import platform
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from orchestrator.catalog.hidden import hidden_in
from orchestrator.errors import PlaceError
from orchestrator.tuning.machine import available_cores, versions, visible_gpus
from orchestrator.tuning.ray_limits import check_ray_address, check_ray_form, local_limits
from orchestrator.tuning.scratch import left_by_the_dead, processes_in

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


def examine(storage: Path, with_ray: bool = False) -> Iterator[Check]:
    """Yield the findings, within three seconds, or five more where the address of a Ray answers nothing.

    ``with_ray`` it is started (or joined) and let go of, too.
    """
    yield Check("ok", "Python", f"{platform.python_version()} on {platform.platform(terse=True)}")
    yield packages(versions())
    yield Check("ok", "cores", f"{available_cores()} for this process")
    yield memory(psutil.virtual_memory().available / GIB, available_cores())
    yield gpus(visible_gpus(), versions())
    yield disk("disk", storage)
    yield disk("temporary", Path(tempfile.gettempdir()))
    yield shared_memory(Path("/dev/shm"))  # noqa: S108  (where Ray keeps its objects)
    yield encodings(sys.getfilesystemencoding(), sys.stdout.encoding or "none")
    yield limits()
    yield hidden_files(Path.cwd())
    yield folder_modes(storage)
    yield leftovers()
    yield ray_answers() if with_ray else ray_can_be_reached()


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


def encodings(of_names: str, of_stdout: str) -> Check:
    """Return whether files' names and what is printed can hold every character."""
    finding = f"file names in {of_names}, output in {of_stdout}"
    if {codecs.lookup(of_names).name, codecs.lookup(of_stdout).name} <= {"utf-8"}:
        return Check("ok", "text", finding)
    advice = "set LANG=C.UTF-8 (and unset PYTHONIOENCODING, PYTHONUTF8): other characters are replaced or refused"
    return Check("warn", "text", finding, advice)


def limits() -> Check:
    """Return whether this process may do what Ray does."""
    found = local_limits()
    if found:
        return Check(
            "fail", "limits", " ".join(found), "raise them: ulimit -v, -f, -n; or --inline"
        )
    return Check("ok", "limits", "of memory, files' sizes and open files: none in Ray's way")


def hidden_files(folder: Path) -> Check:
    """Return which files here have names that are taken."""
    found = [each.name for each in hidden_in(folder)]
    if not found:
        return Check("ok", "names", f"no file in {folder} has the name of an installed module")
    advice = "rename them, if your code is to import them: the installed modules come first"
    return Check("warn", "names", f"hidden by modules of those names: {', '.join(found)}", advice)


def folder_modes(storage: Path) -> Check:
    """Return whether others may change what lies in the runs' folder, or in that of temporary files."""
    open_to_all = [
        folder
        for folder in (storage, Path(tempfile.gettempdir()))
        if folder.is_dir() and folder.stat().st_mode & 0o1002 == stat.S_IWOTH
    ]
    if not open_to_all:
        return Check("ok", "modes", "nobody else may change runs or temporary files")
    names = ", ".join(map(str, open_to_all))
    return Check("warn", "modes", f"any user may change what lies in {names}", f"chmod o-w {names}")


def leftovers() -> Check:
    """Return what drivers that are dead have left on this machine."""
    folders = left_by_the_dead()
    if not folders:
        return Check("ok", "left over", "nothing of drivers that died")
    many = sum(len(processes_in(str(folder))) for folder in folders)
    finding = f"{len(folders)} folders and {many} processes of drivers that died: {folders[0]}"
    return Check("warn", "left over", finding, "the next run on this machine removes them")


def ray_can_be_reached() -> Check:
    """Return whether Ray can be expected to start or to be joined, without doing either."""
    address = os.environ.get("RAY_ADDRESS", "")
    try:
        check_ray_form()
    except PlaceError as error:
        return Check("fail", "Ray", str(error), "see RAY_ADDRESS, RAY_TMPDIR and ulimit -a")
    what = f"something listens at {address}" if address else "nothing is in its way"
    return Check("ok", "Ray", f"{what}; doctor --ray {'joins' if address else 'starts'} it")


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
