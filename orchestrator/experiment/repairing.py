"""Repairing a run's records while nobody drives it."""

from __future__ import annotations

from pathlib import Path

from orchestrator.experiment.driving import driving
from orchestrator.records import JsonLines, RunFolder
from orchestrator.records.lock.driver import now
from orchestrator.records.reader import read_events, read_manifest
from orchestrator.records.repair import Repaired, repair_records


def repair_run(run: str | Path, storage: str | Path = "./runs") -> Repaired:
    """Move the damaged lines of a run's records aside; a finished run that lost something is open again.

    Raises UnknownNameError where there is no such run, RunExistsError where it is being driven.
    """
    folder = RunFolder.open(run, storage)
    read_manifest(folder.manifest_file)
    with driving(folder) as driven:
        done = repair_records(folder)
        if done.moved.keys() - {folder.journal_file.name}:
            _open_again(folder, driven.taken_from)
    return done


def _open_again(folder: RunFolder, dead: dict[str, object] | None) -> None:
    """Let the records say that a run is not over, so that resume trains what is gone and examines the winner."""
    with JsonLines(folder.events_file) as events:
        if dead:
            events.append({"event": "taken_over", "time": now(), "from": dead})
        known = {event["event"] for event in read_events(folder)}
        if known:
            reason = "its records were repaired"
            events.append({"event": "run_interrupted", "time": now(), "reason": reason})
