"""A run's folder brought here from wherever its storage is: a folder, or any filesystem that pyarrow knows."""

from __future__ import annotations

import shutil
import time
from functools import partial
from pathlib import Path

from orchestrator.errors import PlaceError, RunExistsError, UnknownNameError, explain
from orchestrator.targets.job import Job

_PASSES = 6
_PAUSE_SECONDS = 0.2
_EXTRA = "Is it reachable, and are its credentials in the environment?"


def reachable_run(job: Job) -> Path | None:
    """Return the folder of a job's run where this machine sees it."""
    if not job.run or not job.results or "://" in job.results:
        return None
    folder = Path(job.results) / job.run
    return folder if (folder / "experiment.yaml").is_file() else None


def fetch_run(job: Job, to: Path) -> Path:
    """Copy the run's folder, whole, to ``to / <run>`` and return it.

    Raises RunExistsError rather than overwrite one, UnknownNameError where there is no run there yet.
    """
    if not job.results:
        raise UnknownNameError(
            f"{job.handle}: expected a job whose results this machine reaches. Received: one submitted without"
            f" target.{job.target}.results."
        )
    goal = to / job.run
    if goal.exists():
        raise RunExistsError(
            f"{goal}: it exists and is not overwritten; --to takes another folder."
        )
    to.mkdir(parents=True, exist_ok=True)
    aside = to / f".{job.run}.part"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        _bring(job, aside)
        aside.replace(goal)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return goal


def _bring(job: Job, aside: Path) -> None:
    if "://" not in job.results:
        source = Path(job.results) / job.run
        if not (source / "experiment.yaml").is_file():
            raise _absent(job)
        _copy_folder(source, aside)
        return
    # Imported here: half a second that no other command waits for.
    from pyarrow import ArrowInvalid, fs

    try:
        filesystem, path = fs.FileSystem.from_uri(f"{job.results.rstrip('/')}/{job.run}")
        if filesystem.get_file_info(f"{path}/experiment.yaml").type != fs.FileType.File:
            raise _absent(job)
        aside.mkdir()
        fs.copy_files(path, str(aside), source_filesystem=filesystem)
    except (OSError, ArrowInvalid) as error:
        raise PlaceError(f"{job.results}: {' '.join(str(error).split())}. {_EXTRA}") from None


def _copy_folder(source: Path, aside: Path) -> None:
    """Copy a folder that may be written into meanwhile: again, for what is new, where a file disappeared meanwhile.

    Raises PlaceError where that goes on, or a file cannot be read.
    """
    for _ in range(_PASSES):
        missed = _pass(source, aside)
        if not missed:
            return
        time.sleep(_PAUSE_SECONDS)
    raise PlaceError(
        f"{source}: expected files that stay while they are copied. Received: {missed[0]}, gone each time. Try"
        " again, or when the run has ended."
    )


def _pass(source: Path, aside: Path) -> list[str]:
    """Copy what is new; return what was listed and is gone."""
    missed: list[str] = []
    try:
        shutil.copytree(source, aside, copy_function=partial(_copy, missed), dirs_exist_ok=True)
    except shutil.Error as error:
        for path, _there, why in error.args[0]:
            if Path(path).exists():
                raise PlaceError(f"{path}: expected to copy it. Received: {why}.") from None
            missed.append(path)
    return missed


def _copy(missed: list[str], source: str, there: str) -> str:
    """Copy a file unless that was done before; note one that is gone."""
    try:
        new, old = Path(source).stat(), Path(there)
        known = old.stat() if old.is_file() else None
        if known is None or (new.st_size, new.st_mtime_ns) != (known.st_size, known.st_mtime_ns):
            shutil.copy2(source, there)
    except FileNotFoundError:
        missed.append(source)
    return there


def _absent(job: Job) -> UnknownNameError:
    return UnknownNameError(
        explain(f"{job.handle}: results", "expected the run's folder", f"{job.results}/{job.run}")
        + " It is not there (yet); target.<name>.results says where this machine reaches it."
    )
