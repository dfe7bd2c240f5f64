"""Removing a run: its folder and nothing else, under its lock, so that no driver loses the run it drives."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import PlaceError, RecordError, RunExistsError, explain
from orchestrator.records.folder import RunFolder
from orchestrator.records.lock.driver_lock import acquire

_FILES = ("experiment.yaml", "manifest.json", "driver.json", "report.html", "card.md")
_ENDINGS = (".jsonl", ".damaged", ".csv", ".npz", ".log")
_FOLDERS = ("best", "logs", "checkpoints", "requests", "reevaluations", "figures")
"""What a run's folder consists of; whatever else lies in it is someone's own, and must not go with it."""


def check_removable(folder: RunFolder) -> None:
    """Raise RecordError where a folder is not a run alone: it has no records, or holds what is no run's."""
    recorded = any(file.is_file() for file in (folder.manifest_file, folder.events_file))
    if not (folder.experiment_file.is_file() and recorded):
        expected = (
            "expected a run's folder, with experiment.yaml, and manifest.json or events.jsonl"
        )
        raise RecordError(explain(str(folder.path), expected, "one without"))
    others = sorted(entry.name for entry in folder.path.iterdir() if not _is_of_a_run(entry))
    if others:
        named = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        expected = "expected a folder in which nothing but the run lies"
        raise RecordError(
            f"{explain(str(folder.path), expected, named)} Move that elsewhere first."
        )


def _is_of_a_run(entry: Path) -> bool:
    if entry.is_symlink():
        return False
    if entry.is_dir():
        return entry.name in _FOLDERS or entry.name.startswith(".")
    return entry.name in _FILES or entry.name.endswith(_ENDINGS) or entry.name.startswith(".")


def remove_run(folder: RunFolder) -> None:
    """Remove a run's folder.

    Raises RunExistsError where the run is being driven, RecordError where it is not a run alone, PlaceError where the
    system does not allow it: then all of it, or the rest, is still there.
    """
    with set_aside(folder):
        pass


@contextmanager
def set_aside(folder: RunFolder) -> Iterator[None]:
    """Free a run's name while the block runs, and remove the run after it; raising, the block puts it back.

    Raises as ``remove_run`` does.
    """
    check_removable(folder)
    try:
        lock = acquire(folder.driver_file)
    except RunExistsError as error:
        raise RunExistsError(f"{error} End it first, with Ctrl-C where it runs.") from None
    aside = folder.path.with_name(f".{folder.name}.{secrets.token_hex(8)}.part")
    try:
        folder.path.rename(aside)
    except OSError as error:
        lock.release()
        raise PlaceError(f"{folder.path}: cannot be removed: {error.strerror}.") from None
    try:
        yield
    except BaseException:
        if not folder.exists:
            aside.rename(folder.path)
            lock.release()
        raise
    try:
        shutil.rmtree(aside)
    except OSError as error:
        raise PlaceError(
            f"{folder.path}: not all of it could be removed: {error.strerror}. The rest lies in {aside}."
        ) from None
