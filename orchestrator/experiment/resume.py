"""A run taken up again: after an interruption, repaired, with lost states trained again, or for a race of its best."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypedDict

from orchestrator.config import Document, FinalistsOptions, check, with_overrides
from orchestrator.errors import RecordError, RunExistsError
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.experiment.config_drift import check_as_begun, check_unchanged
from orchestrator.experiment.executors import PlaceCheck, check_place
from orchestrator.experiment.given import NOTHING, Given, check_needed
from orchestrator.experiment.prepared import prepare_again
from orchestrator.experiment.remaining import (
    Resumed,
    decisions,
    reached,
    remaining,
    spec_of,
    stops,
)
from orchestrator.experiment.run_lease import driving
from orchestrator.records import (
    JsonLines,
    RunFolder,
    RunRecords,
    TrialEnd,
    TrialRecord,
    TrialStarted,
    check_searched,
    model_is_as_saved,
    read_run,
    write_atomically,
)
from orchestrator.records.events import LANES_CHOSEN
from orchestrator.records.lock.driver import now
from orchestrator.records.reader import ParsedLog, read_events, read_manifest
from orchestrator.schedulers import PassedBefore
from orchestrator.trials import StateStore


def prepare_to_resume(
    folder: RunFolder, given: Given = NOTHING, place: PlaceCheck = check_place
) -> Resumed:
    """Return what is left of a cut-off run, rebuilt from its records alone.

    Its lock is held by the caller; ``given`` are the objects that it was begun with. Raises RunExistsError for a run
    that is over, ExperimentFileError where its experiment, its data, its code or Keras's settings are no longer what
    they were.
    """
    records = read_run(folder.path, exact=True)
    if is_over(records):
        raise RunExistsError(
            f"{records.name}: expected a run that was cut off. Received: a finished one."
        )
    check_as_begun(records)
    check_needed(records, records.experiment, given)
    prepared = prepare_again(recorded_experiment(records), given, place)
    check_unchanged(prepared, records)
    if records.status == "finished":
        examined = replace(
            prepared, plan=replace(prepared.plan, num_trials=0, rounds=None, finalists=None)
        )
        return Resumed(examined, records, reason=records.standing.reason)
    return remaining(prepared, records)


def is_over(records: RunRecords) -> bool:
    """Return whether nothing is left to do of a run: it is finished, and has its winner or nothing to examine."""
    if records.status != "finished":
        return False
    lost = lost_winner(records)
    to_examine = bool(records.contenders) and (lost is None or is_repeatable(lost, records))
    return (records.winner is not None and model_is_as_saved(records)) or not to_examine


def driver() -> dict[str, str | int]:
    """Return who drives a run, for its ``run_started`` event."""
    return {"host": platform.node(), "pid": os.getpid()}


def with_lost_states(resumed: Resumed) -> Resumed:
    """Return what is left of a run, its best trial with it where that has to be trained again for its state.

    Raises RecordError for a babysat model that is to go on from a state that is gone. Nothing is written but the best
    state of a panda, where a copy of it is kept.
    """
    records = resumed.records
    if records is None:
        return resumed
    if resumed.prepared.plan.nursery is not None:
        _check_pandas(resumed, records)
    lost = lost_winner(records)
    search = resumed.search or decisions(resumed.plan, records)[0]
    if lost is None or lost.trial in search.pending or not is_repeatable(lost, records):
        return resumed
    plan = resumed.plan
    if search.is_done:
        plan = replace(plan, limits=type(plan.limits)())  # the run is over: none can be met
    search.scheduler = PassedBefore(search.scheduler, reached(records), stops(records, ()))
    search.add(replace(spec_of(lost, records), group=lost.group))
    prepared = replace(resumed.prepared, plan=plan)
    return replace(resumed, prepared=prepared, search=search, restored=frozenset({lost.trial}))


def with_lanes_as_chosen(resumed: Resumed) -> Resumed:
    """Return what is left of a run with as many lanes as were measured to be best when it began, if they were."""
    events: Iterable[Mapping[str, Any]] = resumed.records.events if resumed.records else ()
    chosen = [event["lanes"] for event in events if event["event"] == LANES_CHOSEN]
    if resumed.plan.lanes != "auto" or not chosen:
        return resumed
    plan = replace(resumed.plan, lanes=chosen[-1])
    return replace(resumed, prepared=replace(resumed.prepared, plan=plan))


def lost_winner(records: RunRecords) -> TrialRecord | None:
    """Return the newest group's best trial where its state is gone; None where it is there, or no trial has a best."""
    best = records.leader
    if best is None or StateStore.of(records.folder).has_best(best.trial):
        return None
    return best


def is_repeatable(trial: TrialRecord, records: RunRecords) -> bool:
    """Return whether a trial gives the same from its seed again.

    One of a caviar does. A babysat model does only where nobody has asked anything of it: what was asked, and when, is
    part of what it is.
    """
    panda = records.panda
    if panda is None:
        return True
    by_the_clock = "epoch" not in str(panda.get("day")) and "step" not in str(panda.get("day"))
    extended = records.state.extensions
    return not (trial.origin or extended or had_requests(records) or by_the_clock)


def had_requests(records: RunRecords) -> bool:
    """Return whether anyone has asked anything of a run's models."""
    return bool(records.requests) or any(entry["kind"] == "asked" for entry in records.journal)


def way_back(trial: TrialRecord, records: RunRecords) -> str:
    """Return what brings a trial's state back."""
    path = records.folder.path
    if is_repeatable(trial, records):
        return f"put it back, or let 'orchestrator resume {path}' train the trial again"
    return (
        f"put it back, then 'orchestrator resume {path}'; or write a file with 'orchestrator replay {path}', to train"
        " again through the same changes"
    )


def _check_pandas(resumed: Resumed, records: RunRecords) -> None:
    """Refuse to restart a babysat model that has trained already: it would become another one."""
    states = StateStore.of(records.folder)
    for name in sorted(resumed.search.pending if resumed.search else ()):
        trial = records.trial(name)
        if trial is None or not records.of(name).own_epochs:
            continue
        last = states.days(name).last
        if is_repeatable(trial, records) and not last.exists():
            continue
        try:
            states.about(last)
        except RecordError as error:
            raise RecordError(
                f"{records.name}: expected the last state of {name}, from which it continues. {error}"
                f" {'It had requests, so it' if had_requests(records) else 'It'} cannot be restarted:"
                f" {way_back(trial, records)}."
            ) from None


_HINT = re.compile(rb'"trial": "([^"]+)", "epoch": ')


@dataclass(frozen=True)
class Repaired:
    """What a repair did: how many lines each file had, and those moved out of it, by number, with the reason."""

    folder: RunFolder
    lines: dict[str, int]
    moved: dict[str, dict[int, str]]


def repair_run(run: str | Path, storage: str | Path = "./runs") -> Repaired:
    """Move the damaged lines of a run's records aside; a finished run that lost something is open again.

    Raises UnknownNameError where there is no such run, RunExistsError where it is being driven.
    """
    folder = RunFolder.open(run, storage)
    read_manifest(folder.manifest_file)
    with driving(folder) as driven:
        done = _repair_records(folder)
        if done.moved.keys() - {folder.journal_file.name}:
            _open_again(folder, driven.taken_from)
    return done


def _open_again(folder: RunFolder, dead: dict[str, object] | None) -> None:
    """Let the records say that a run is not over, so that resume trains what is missing and examines the winner."""
    with JsonLines(folder.events_file) as events:
        if dead:
            events.append({"event": "taken_over", "time": now(), "from": dead})
        known = {event["event"] for event in read_events(folder)}
        if known:
            reason = "its records were repaired"
            events.append({"event": "run_interrupted", "time": now(), "reason": reason})


def _repair_records(folder: RunFolder) -> Repaired:
    """Move the damaged lines of a run's records aside; the caller holds its lock."""
    files = (folder.trials_file, folder.epochs_file, folder.events_file, folder.journal_file)
    logs = [ParsedLog.of(file) for file in files]
    # First the states: a repair that is cut off here finds the same damaged lines again.
    states = StateStore.of(folder)
    for trial in _may_be_ahead(*logs[:2]):
        states.forget_last(trial)
    for log in logs:
        _write(log)
    moved = {log.file.name: log.faults for log in logs if log.faults}
    return Repaired(folder, {log.file.name: len(log.raw) for log in logs}, moved)


def _write(log: ParsedLog) -> None:
    """Move the faulty lines; those in ``.damaged`` are on the disk before the file loses them."""
    if not log.faults:
        return
    file = log.file
    with file.with_name(f"{file.name}.damaged").open("ab") as aside:
        for number, why in log.faults.items():
            aside.write(f"line {number}: {why}\n".encode(errors="replace"))
            aside.write(log.raw[number - 1] + b"\n")
        aside.flush()
        os.fsync(aside.fileno())
    kept = (log.raw[number - 1] + b"\n" for number in log.records)
    write_atomically(file, b"".join(kept))


def _may_be_ahead(trials: ParsedLog, rows: ParsedLog) -> set[str]:
    """Return the trials in flight whose checkpoint may be ahead of their last whole epoch: they begin again.

    Continuing from there would leave a gap that is seen only later.
    """
    of_trials: list[TrialStarted | TrialEnd] = [
        line
        for _, line in sorted(trials.records.items())
        if isinstance(line, TrialStarted | TrialEnd)
    ]
    ended = {
        line.trial
        for line in of_trials
        if isinstance(line, TrialEnd) and line.status != "interrupted"
    }
    told: list[Any] = list(rows.records.values())
    known = {line.trial for line in of_trials} | {str(row["trial"]) for row in told}
    known -= ended
    ahead: set[str] = set()
    for number in rows.faults:
        hint = _HINT.search(rows.raw[number - 1])
        trial = hint[1].decode(errors="replace") if hint else ""
        ahead |= {trial} if trial in known | ended else known
    return ahead & known


class Race(TypedDict, total=False):
    """Who races and for how long: ``top`` configurations, ``seeds`` of each, ``budget`` as ``60 %`` or 0.6."""

    top: int | None
    seeds: int | None
    budget: float | str | None
    confidence: float | None


def prepare_to_verify(
    folder: RunFolder,
    asked: Mapping[str, Any],
    given: Given = NOTHING,
    place: PlaceCheck = check_place,
) -> Resumed:
    """Return what a finished run's race has to do; nothing is written yet. Its lock is held by the caller.

    Without a ``budget`` there is no limit but ``top`` times ``seeds``. Raises RecordError for a run that has nothing to
    race, ExperimentFileError for other options, or where its data, its code or Keras's settings are not what they were.
    """
    records = read_run(folder.path, exact=True)
    _check_can_race(records)
    check_as_begun(records)
    check_needed(records, records.experiment, given)
    options = _options(records, asked)
    prepared = prepare_again(recorded_experiment(records), given, place)
    check_unchanged(prepared, records)
    limits = type(prepared.plan.limits)()  # those of the search, which is over
    plan = replace(prepared.plan, finalists=options, limits=limits)
    search, _ = decisions(plan, records)
    over = {trial.trial for trial in records.all_trials if trial.is_over or not trial.repeats}
    # Nothing is known but over, and no trial is left to draw: the finalists alone have something to train.
    search.take_up({}, over, records.state.group)
    search.close()
    why = search.finalists.why_not
    if why:
        raise RecordError(f"{records.name}: expected a run whose best can race. Received: {why}.")
    return Resumed(replace(prepared, plan=plan), records, search)


def _check_can_race(records: RunRecords) -> None:
    """Refuse a run that is no search, or whose search is not over."""
    check_searched(records, "configurations can be trained again")
    if records.status != "finished":
        path = records.folder.path
        raise RecordError(
            f"{records.name}: expected a finished run. Received: one that was cut off."
            f" 'orchestrator resume {path}' finishes it."
        )
    if not records.contenders:
        raise RecordError(
            f"{records.name}: expected a trial with a finite {records.metric}. Received: none."
            f" 'orchestrator show {records.folder.path}' says why."
        )


def _options(records: RunRecords, asked: Mapping[str, Any]) -> FinalistsOptions:
    """Return the options of a race, checked as those of an experiment's file are."""
    said = {name: value for name, value in asked.items() if value is not None}
    caviar = {**records.experiment.get("caviar", {}), "finalists": {"race": True}}
    document = Document(records.folder.experiment_file, {**records.experiment, "caviar": caviar})
    document = with_overrides(document, [f"caviar.finalists.{k}={v}" for k, v in said.items()])
    flags: dict[tuple[str | int, ...], str] = {
        ("caviar", "finalists", name): f"--{name} {value}" for name, value in said.items()
    }
    document = replace(document, origins={**document.origins, **flags})
    found = check(document).caviar.finalists
    return found if "budget" in said else found.model_copy(update={"budget": math.inf})
