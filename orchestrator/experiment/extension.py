"""A run made longer: what is asked for, and more trials, epochs or days trained as after an interruption."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypedDict, cast

from orchestrator.config import Document, Experiment, check, with_overrides
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.compatibility import (
    Changes,
    changes_between,
    check_stands_alone,
    flat_values,
    last_epoch_of,
    recorded_experiment,
    unlike_conditions,
    unlike_first_epochs,
)
from orchestrator.experiment.config_drift import check_as_begun
from orchestrator.experiment.executors import PlaceCheck, check_place
from orchestrator.experiment.given import KEYS, NOTHING, Given, check_needed
from orchestrator.experiment.manifest import manifest_of, of_the_run
from orchestrator.experiment.prepared import prepare_again
from orchestrator.experiment.remaining import (
    Extension,
    Resumed,
    decisions,
    going_on,
    last_epoch,
    remaining,
    reopened,
    retried,
    stopped,
    trained_seconds,
)
from orchestrator.records import RunFolder, RunRecords, TrialEnd, TrialRecord, read_run
from orchestrator.records.events import RunEvent
from orchestrator.records.lineage import counted
from orchestrator.records.run import effective_manifest, with_latest_extension
from orchestrator.report.journal_text import why_ended
from orchestrator.schedulers import make_scheduler
from orchestrator.schedulers.scheduler import deepens
from orchestrator.search import Plan
from orchestrator.search.replay import replay
from orchestrator.search.users_own import scheduler_of
from orchestrator.trials import StateStore

OF_THIS_TIME = ("command", "versions", "environment", "git", "machine")


def prepare_to_extend(
    folder: RunFolder,
    growth: Growth,
    force: bool = False,
    given: Given = NOTHING,
    place: PlaceCheck = check_place,
) -> Resumed:
    """Return what a run has left to do once it is extended; nothing is written yet. Its lock is held by the caller.

    Raises ExperimentFileError for what does not extend it, or would leave it nothing to train, and where further trials
    could not be compared with those it has, unless ``force`` keeps them apart in a group of their own.
    """
    records = read_run(folder.path, exact=True)
    check_as_begun(records)
    check_stands_alone(records)
    old, new = growth.of(records)
    check_needed(records, new.model_dump(include=set(KEYS)), given)
    prepared = prepare_again(new, given, place)
    facts = manifest_of(prepared)
    changes = changes_between(old, new, prepared.space)
    babysat = prepared.plan.nursery is not None
    conditions = unlike_conditions(records, old, new, facts)
    forced = (*conditions, *unlike_first_epochs(records, old, new))
    if forced and (not force or (babysat and conditions)):
        raise _incomparable(records, forced, _advice(records, babysat, conditions))
    if not changes and not forced:
        raise _nothing_changed(records)
    before = _plan_before(prepared.plan, old)
    if forced and not babysat:
        fate, endings = new_group(records, facts)
    else:
        fate, endings = _same_group(records, before, prepared.plan)
    event = {**_asked(records, changes, forced), **fate}
    endings = _first_of_each((*decisions(before, records)[1], *endings))
    left = remaining(prepared, with_extension(records, event), endings)
    if left.search is not None and not left.search.pending and left.search.exhausted:
        raise _all_tried(records, left.search.exhausted)
    if left.search is None or left.search.is_done:
        raise _nothing_left(records, event)
    return replace(left, extension=Extension(event, manifest_after(records, event, facts)))


def _asked(records: RunRecords, changes: Changes, forced: Sequence[str]) -> dict[str, Any]:
    """Return what the event of an extension tells of how it was asked for."""
    return {
        "changes": {key: list(pair) for key, pair in changes.items()},
        "forced": list(forced),
        "epochs_before": len(records.epochs),
    }


def _first_of_each(endings: Sequence[TrialEnd]) -> tuple[TrialEnd, ...]:
    """Return one ending of each trial."""
    first: dict[str, TrialEnd] = {}
    for end in endings:
        first.setdefault(end.trial, end)
    return tuple(first.values())


class EventWriter(Protocol):
    """Writes a run's events."""

    def event(self, event: str, **facts: Any) -> None:
        """Record what happened to the run as a whole."""


def write_down(resumed: Resumed, folder: RunFolder, writer: EventWriter) -> None:
    """Write the event that makes a run longer, and then all that follows from it; again after an interruption."""
    records = resumed.records
    if records is None or not records.state.extensions:
        return
    if resumed.extension is not None:
        writer.event("extended", **resumed.extension.event)
        folder.write_manifest(resumed.extension.manifest)
    prepared, states = resumed.prepared, StateStore.of(folder)
    place = {"storage_path": records.experiment.get("storage_path", "./runs")}
    moved = replace(prepared, experiment=prepared.experiment.model_copy(update=place))
    folder.write_experiment(moved.document)
    further = going_on(prepared.plan, records) | reopened(records)
    anew = retried(records, begun=False)
    for trial in records.trials:
        if trial.trial in anew:
            states.forget(trial.trial)
        elif trial.group < records.state.group:
            states.forget_last(trial.trial)
        elif trial.trial in further:
            epoch, plan = last_epoch(records, trial.trial), prepared.plan
            states.go_on_from_best(trial.trial, epoch, plan.metric, plan.mode)


def _plan_before(plan: Plan, old: Experiment) -> Plan:
    """Return how trials were judged, and how long they were, before the extension."""
    nursery = plan.nursery
    if nursery is not None and old.panda is not None:
        nursery = replace(nursery, days=old.panda.days)
    return replace(
        plan,
        epochs=last_epoch_of(old),
        metric=old.metric,
        mode=old.direction or plan.mode,
        scheduler=scheduler_of(old) if nursery is None else plan.scheduler,
        nursery=nursery,
    )


def new_group(
    records: RunRecords, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[TrialEnd, ...]]:
    """Return what the event says of a new group, and the endings of the trials in training: none goes on."""
    fate = {
        "group": records.state.group + 1,
        "going_on": [],
        "now": of_the_run(facts),
    }
    cut_off = [trial.trial for trial in records.trials if trial.ending is None]
    return fate, tuple(
        TrialEnd(name, "interrupted", trained_seconds(records, name)) for name in cut_off
    )


def _same_group(
    records: RunRecords, before: Plan, plan: Plan
) -> tuple[dict[str, Any], tuple[TrialEnd, ...]]:
    """Return what the event says of the trials that go on beyond the old end, and the endings of those held back there.

    The old end may be one of its rungs now: it is decided with the whole rung known, whatever the order.
    """
    current = [trial for trial in records.trials if trial.group == records.state.group]
    further = sorted(going_on(before, records))
    rows = [row for row in records.epochs if row["trial"] in {t.trial for t in current}]
    scheduler = replay(make_scheduler(plan.scheduler, plan.epochs, plan.mode), rows, plan.metric)
    if deepens(scheduler):
        return _deepened(records, plan, current), ()
    if plan.nursery is not None:
        longer = before.nursery is not None and plan.nursery.days > before.nursery.days
        finished = [trial.trial for trial in current if trial.ending == "finished"]
        return _going_on(records, finished if longer else further), ()
    if plan.epochs == before.epochs:
        return _going_on(records, further), ()
    decided = scheduler.review(before.epochs)
    held_back = []
    for trial in current:
        ended = trial.ending not in (None, "interrupted", "finished")
        if ended or last_epoch(records, trial.trial) != before.epochs:
            continue
        decision = decided.get(trial.trial)
        if decision is not None and decision.stop:
            row = records.of(trial.trial).own_epochs[-1]
            held_back.append(stopped(records, trial, scheduler.name, row, decision))
        elif trial.ending == "finished":
            further.append(trial.trial)
    return _going_on(records, further), tuple(held_back)


def _deepened(records: RunRecords, plan: Plan, current: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return what the event says where the scheduler promotes: those that finished or stayed paused may be promoted."""
    finished = [
        trial.trial
        for trial in current
        if trial.ending == "finished" and last_epoch(records, trial.trial) < plan.epochs
    ]
    paused = [
        t.trial for t in current if t.ending == "stopped" and (t.stopped_by or {}).get("paused")
    ]
    return {**_going_on(records, finished), "reopened": paused}


def _going_on(records: RunRecords, further: list[str]) -> dict[str, Any]:
    return {"group": records.state.group, "going_on": further}


def with_extension(records: RunRecords, event: Mapping[str, Any]) -> RunRecords:
    """Return the records as they are once the event is written."""
    extended = cast(RunEvent, {"event": "extended", **event})
    events = (*records.events, extended)
    experiment = with_latest_extension(records.experiment, events)
    epochs = counted(records.epochs, events)
    return replace(records, events=events, experiment=experiment, epochs=epochs)


def manifest_after(
    records: RunRecords, event: Mapping[str, Any], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest with how the run was extended, and what its data and model were before a forced one."""
    about = {name: facts[name] for name in OF_THIS_TIME}
    now = event.get("now") or {}
    before = effective_manifest(records)
    about |= {f"{name}_before": before.get(name) for name in now}
    earlier = records.manifest.get("extensions", [])
    return {**records.manifest, **now, "extensions": [*earlier, about]}


def _incomparable(records: RunRecords, unlike: Sequence[str], advice: str) -> ExperimentFileError:
    return ExperimentFileError(
        f"{records.name}: the new trials could not be compared with the existing ones, since these differ:"
        f" {'; '.join(unlike)}. {advice}"
    )


def _advice(records: RunRecords, babysat: bool, conditions: Sequence[str]) -> str:
    """Return what one can do instead: one model cannot be in two groups."""
    if not babysat:
        return "Train them as a separate group with --force, or as a run of another name."
    if conditions:
        promote = f"'orchestrator promote {records.folder.path}'"
        return f"{promote} writes a file for a panda of another name that starts from its weights."
    return "--force trains it anyway."


def _nothing_changed(records: RunRecords) -> ExperimentFileError:
    return ExperimentFileError(
        f"{records.name}: expected something to change, such as --num-samples +64. Received: nothing."
    )


def _all_tried(records: RunRecords, said: str) -> ExperimentFileError:
    return ExperimentFileError(
        f"{records.name}: expected trials to start or to continue. Received: nothing to train: {said}. A larger"
        " search_space has more."
    )


def _nothing_left(records: RunRecords, event: Mapping[str, Any]) -> ExperimentFileError:
    """Return why there would be nothing to train, and what would be."""
    if event["group"] > records.state.group:
        why = "a new group without trials of its own: add --num-samples +64, for example"
    elif ended := [why for trial in records.trials if (why := why_ended(records, trial))]:
        raise ExperimentFileError(
            f"{records.name}: expected a panda that completed its days. Received: one that was {ended[0].rstrip('.')}."
            f" It stays so; 'orchestrator promote {records.folder.path}' writes a file for a panda that starts from its"
            " weights."
        )
    elif records.panda is not None:
        why = "a panda that completed its days: add --days +5, for example, or promote it"
    else:
        why = "nothing to train: add --num-samples +64, for example, or --epochs"
    return ExperimentFileError(
        f"{records.name}: expected trials to start or to continue. Received: {why}."
    )


OPTIONS = {
    "num_samples": "caviar.num_samples",
    "epochs": "epochs",
    "scheduler": "caviar.scheduler",
    "days": "panda.days",
}
GROWING = ("caviar.num_samples", "epochs", "panda.days")
FIXED = ("name", "storage_path", "strategy", "seed")


class More(TypedDict, total=False):
    """How much longer a run becomes: a number is the new total, ``"+64"`` is on top; and by which scheduler."""

    num_samples: int | str | None
    epochs: int | str | None
    scheduler: str | Mapping[str, Any] | None
    days: int | str | None


@dataclass(frozen=True)
class Growth:
    """What was asked for: by name, and as ``key.path=value``."""

    more: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    def of(self, records: RunRecords) -> tuple[Experiment, Experiment]:
        """Return a run's experiment as it was and as it is to be.

        Raises ExperimentFileError for what the experiment file refuses too, and for what is no growth.
        """
        old = recorded_experiment(records)
        asked = {name: value for name, value in self.more.items() if value is not None}
        self._check_strategy(asked, old)
        said = {name: _option(name, value) for name, value in asked.items()}
        forms = [f"{OPTIONS[name]}={_new(name, asked[name], old, said[name])}" for name in asked]
        content = {**records.experiment, "storage_path": old.storage_path}
        document = with_overrides(
            Document(records.folder.experiment_file, content), [*forms, *self.overrides]
        )
        flags: dict[tuple[str | int, ...], str] = {
            tuple(OPTIONS[name].split(".")): said[name] for name in asked
        }
        document = replace(document, origins={**document.origins, **flags})
        new = check(document).at(old.folder)
        _check_growth(old, new)
        return old, new

    def _check_strategy(self, asked: Mapping[str, Any], old: Experiment) -> None:
        """Refuse what the other strategy has."""
        options = old.strategy_options.extended_by
        for name, value in asked.items():
            if name not in options:
                known = ", ".join(map(_option, options))
                raise ExperimentFileError(
                    f"{_option(name, value)}: expected an option that extends a {old.strategy}. Known: {known}."
                )


def _check_growth(old: Experiment, new: Experiment) -> None:
    """Refuse another value of what cannot change, and less of what can only grow."""
    before, after = flat_values(old), flat_values(new)
    for key in (*FIXED, *old.strategy_options.fixed):
        if before.get(key) != after.get(key):
            expected = f"expected what the run began with, {before.get(key)!r}, which an extension cannot change"
            raise ExperimentFileError(explain(key, expected, after.get(key)))
    key = "caviar.points"
    if before.get(key) != after.get(key) and after.get(key) != "none":
        expected = "expected the points that the run began with, since they come first, or none"
        raise ExperimentFileError(explain(key, expected, after.get(key)))
    for key in GROWING:
        if before.get(key) is not None and (after.get(key) or 0) < before[key]:
            raise ExperimentFileError(_no_growth(key, before[key], after.get(key)))


def _new(name: str, asked: Any, old: Experiment, said: str) -> str:
    """Return the value that was asked for, as ``--set`` takes it: a sum where it was ``+64``."""
    if name == "scheduler":
        return asked if isinstance(asked, str) else json.dumps(asked)
    before = int(flat_values(old)[OPTIONS[name]])
    text = str(asked).strip()
    if not text.removeprefix("+").isdecimal():
        expected = "expected a new total, or a number to add, such as +64"
        raise ExperimentFileError(explain(said, expected, asked))
    new = int(text) + (before if text.startswith("+") else 0)
    if new <= before:
        raise ExperimentFileError(_no_growth(said, before, new))
    return str(new)


def _no_growth(where: str, before: int, received: Any) -> str:
    return explain(where, f"expected more than the {before} there are", received)


def _option(name: str, value: Any = None) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is None else f"{option} {value}"
