"""A run's folder brought here from wherever its storage is: a folder, or any filesystem that pyarrow knows."""

from __future__ import annotations

import shutil
from pathlib import Path

from orchestrator.errors import PlaceError, RunExistsError, UnknownNameError, explain
from orchestrator.targets.job import Job

_EXTRA = "Is the place reachable, and are its credentials in the environment?"


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
        _copy(job, aside)
        aside.replace(goal)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return goal


def _copy(job: Job, aside: Path) -> None:
    if "://" not in job.results:
        source = Path(job.results) / job.run
        if not (source / "experiment.yaml").is_file():
            raise _absent(job)
        shutil.copytree(source, aside)
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


def _absent(job: Job) -> UnknownNameError:
    return UnknownNameError(
        explain(f"{job.handle}: results", "expected the run's folder", f"{job.results}/{job.run}")
        + " It is not there (yet); target.<name>.results says where this machine reaches it."
    )
