"""A run's status at this moment, from its folder alone: Ray is not asked, and little is read."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records.folder import RunFolder
from orchestrator.records.heartbeat import SeenDriver, seconds_worked, see_driver, standing
from orchestrator.records.reader import read_events, read_experiment_of, read_run
from orchestrator.records.run import options_of


@dataclass(frozen=True)
class RunStatus:
    """One run's state and progress; None where something is not known, or there is nothing.

    ``state`` is running, paused, interrupted, finished, stuck, or damaged, which ``reason`` explains. ``host``
    and ``pid`` are of the driver, the last one where none drives; ``heartbeat_seconds`` is how long ago it was last
    heard of, ``in_training`` how many trials are trained at this moment, ``worked_seconds`` how long the run was worked
    on and ``free_bytes`` the room at its storage. ``damage`` names the damaged lines that all of that leaves out.
    """

    run: str
    folder: str
    state: str
    since: str | None = None
    reason: str | None = None
    host: str | None = None
    pid: int | None = None
    heartbeat_seconds: float | None = None
    trials_done: int | None = None
    trials: int | None = None
    in_training: int | None = None
    epochs: int | None = None
    metric: str | None = None
    best: float | None = None
    best_trial: str | None = None
    worked_seconds: float | None = None
    free_bytes: int | None = None
    damage: str | None = None


def run_status(folder: RunFolder) -> RunStatus:
    """Return how a run stands, as far as its lines are whole. Raises RecordError where its experiment is damaged.

    While a caviar is driven, its driver's heartbeat says how far it is; otherwise the records do.
    """
    seen = see_driver(folder)
    experiment = read_experiment_of(folder)
    if seen is not None and seen.drives and options_of(experiment, "panda") is None:
        facts = _told(folder, experiment, seen)
    else:
        facts = _read(folder)
    process = seen.driver.process if seen else None
    return RunStatus(
        run=folder.name,
        folder=str(folder.path),
        host=process.host if process else None,
        pid=process.pid if process else None,
        heartbeat_seconds=round(seen.age, 1) if seen and seen.drives else None,
        free_bytes=shutil.disk_usage(folder.path).free,
        **facts,
    )


def status_or_damage(folder: RunFolder) -> RunStatus:
    """Return a run's status, even if its experiment file is damaged."""
    try:
        return run_status(folder)
    except RecordError as error:
        return RunStatus(folder.name, str(folder.path), "damaged", reason=str(error))


def _told(folder: RunFolder, experiment: Mapping[str, Any], seen: SeenDriver) -> dict[str, Any]:
    heartbeat, events = seen.driver.heartbeat, read_events(folder)
    stands, named = standing(events, seen), heartbeat.in_training
    return {
        "state": stands.state,
        "since": stands.since,
        "reason": stands.reason,
        "trials_done": heartbeat.trials_done,
        "trials": heartbeat.trials,
        "in_training": len(named.split()) if named is not None else None,
        "epochs": heartbeat.epochs,
        "metric": experiment.get("metric"),
        "best": heartbeat.best,
        "best_trial": heartbeat.best_trial,
        "worked_seconds": round(seconds_worked(events, seen.driver.beat), 1),
    }


def _read(folder: RunFolder) -> dict[str, Any]:
    records = read_run(folder.path)
    leader = records.ranked[0].trial if records.ranked else ""
    best = records.of(leader).best
    return {
        "state": records.status,
        "since": records.standing.since,
        "reason": records.standing.reason,
        "trials_done": records.state.done,
        "trials": records.planned_trials,
        "epochs": len(records.epochs),
        "metric": records.metric,
        "best": best.value if best else None,
        "best_trial": leader if best else None,
        "worked_seconds": round(records.seconds, 1),
        "damage": "; ".join(records.damage) or None,
    }
