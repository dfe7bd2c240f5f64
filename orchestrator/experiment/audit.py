"""Whether a run's records are true: a random part of its epochs is trained again from the seeds and compared."""

from __future__ import annotations

import contextlib
import math
import os
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from orchestrator.errors import ExperimentFileError, OrchestratorError, RequestError, explain
from orchestrator.experiment.compatibility import recorded_experiment, unlike_surroundings
from orchestrator.experiment.config_drift import check_as_begun, other_versions
from orchestrator.experiment.executors import ExecutorName, find_executor
from orchestrator.experiment.given import Objects, check_needed, given_again
from orchestrator.experiment.manifest import surroundings_of
from orchestrator.experiment.prepared import Prepared, prepare_again
from orchestrator.experiment.remaining import spec_of
from orchestrator.experiment.run import Run
from orchestrator.records import RunFolder, RunRecords, TrialEnd, TrialRecord, read_run
from orchestrator.schedulers.scheduler import CONTINUE, UNKNOWN, Decision, Ties
from orchestrator.search import Search, TrialSpec
from orchestrator.tuning.machine import available_cores

if TYPE_CHECKING:
    from orchestrator.tuning.protocol import Listener

TOLERANCE = 1e-4
"""By how much of the larger one two values may differ, or by that much, and be the same but for rounding."""
SHOWN = 10
NO_EPOCH = "(the epoch)"
"""What stands for a metric where training again did not come to an epoch."""


@dataclass(frozen=True)
class Difference:
    """A value that training again did not give; None where an epoch or a metric of it is not there at all."""

    trial: str
    epoch: int
    metric: str
    recorded: float | None
    retrained: float | None


@dataclass(frozen=True)
class Audit:
    """What training again a part of a run's epochs gave.

    ``verdict``: ``true`` where every epoch compared is the same, to the bit or but for rounding; ``false`` where one is
    not; ``unknown`` where that cannot be told, for the reasons in ``why``. ``epochs`` are those recorded of trials that
    can be trained again. ``differences`` are those beyond rounding, ``untrained`` says why a trial gave no epoch.
    """

    run: str
    verdict: Literal["true", "false", "unknown"]
    epochs: int
    why: tuple[str, ...] = ()
    trials: tuple[str, ...] = ()
    compared: int = 0
    equal: int = 0
    rounded: int = 0
    differences: tuple[Difference, ...] = ()
    untrained: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    def __repr__(self) -> str:
        """Return in a line what it found, in others why it does not know and where the records differ."""
        same = f"{self.equal + self.rounded} of {self.compared} epochs trained again are the same"
        differ = [
            f"trial {each.trial}, epoch {each.epoch}, {each.metric}: {each.recorded} recorded, {each.retrained} now"
            for each in self.differences[:SHOWN]
        ]
        return "\n  ".join([f"Audit of {self.run}: {self.verdict}; {same}", *self.why, *differ])

    @property
    def differing(self) -> int:
        """How many of the epochs compared differ by more than rounding."""
        return self.compared - self.equal - self.rounded


def audit(
    run: str | Path | Run,
    share: float | str = "2 %",
    *,
    seed: int = 0,
    executor: ExecutorName | None = None,
    storage: str | Path = "./runs",
    **objects: Unpack[Objects],
) -> Audit:
    """Train a random ``share`` of a run's recorded epochs again and compare them with the records; change nothing.

    Trials are taken in an order that ``seed`` decides, each from its first epoch, until the share is reached. They are
    trained as the run was, in this process or on Ray, unless ``executor`` says so. Objects: as for ``resume``. Raises
    RequestError for a babysat model, which its seed alone does not make, and for a share that is none.
    """
    wanted = share_of(share)
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    records = read_run(folder.path)
    if records.panda is not None:
        expected = "expected a run of strategy caviar, whose trials follow from their seeds"
        raise RequestError(explain(f"audit {records.name}", expected, "a panda"))
    # A branch or a promoted trial begins from a state, of which its seed tells nothing.
    trials = _repeatable(records)
    epochs = sum(len(records.of(trial.trial).own_epochs) for trial in trials)
    if not epochs:
        expected = "expected recorded epochs of trials that begin from their seeds"
        raise RequestError(explain(f"audit {records.name}", expected, "none"))
    prepared = _as_it_was(records, objects)
    if isinstance(prepared, tuple):
        return Audit(records.name, "unknown", epochs, prepared, seed=seed)
    chosen = _chosen(records, trials, wanted * epochs, random.Random(seed))
    told = _trained_again(prepared, records, chosen, executor or _executor_of(records))
    found = _compared(records, chosen, told)
    return _judged(replace(found, epochs=epochs, seed=seed), records)


def share_of(text: float | str) -> float:
    """Return a share such as ``0.02`` or ``"2 %"`` as a number above 0 and at most 1. Raises RequestError."""
    plain = str(text).strip()
    try:
        number = float(plain.removesuffix("%")) / (100 if plain.endswith("%") else 1)
    except ValueError:
        number = math.nan
    if not 0 < number <= 1:
        expected = "expected a share above 0 and at most 1, such as 0.02 or '2 %'"
        raise RequestError(explain("share", expected, text))
    return number


def _repeatable(records: RunRecords) -> list[TrialRecord]:
    """Return the newest group's trials that begin from their seeds: what older groups were made of has changed."""
    return [
        trial
        for trial in records.all_trials
        if trial.origin is None and trial.group == records.state.group
    ]


def _as_it_was(records: RunRecords, objects: Objects) -> Prepared | tuple[str, ...]:
    """Return the experiment as its trials were trained, or what has changed since."""
    given = given_again(objects)
    check_needed(records, records.experiment, given)
    try:
        check_as_begun(records)
        prepared = prepare_again(recorded_experiment(records), given, lambda plan: None)
    except ExperimentFileError as error:
        return (str(error),)
    except OrchestratorError as error:  # its data or its code are not there, or are refused by now
        return (f"the experiment cannot be prepared as it was: {error}",)
    unlike = unlike_surroundings(records, surroundings_of(prepared))
    return tuple(said for _, said in unlike) or prepared


def _executor_of(records: RunRecords) -> ExecutorName:
    """Return how the run's trials were trained: in its driver's process, or on Ray."""
    drivers = {
        f"{event.get('host')}:{event.get('pid')}"
        for event in records.events
        if event["event"] == "run_started"
    }
    workers = {trial.worker for trial in records.all_trials if trial.worker}
    return "inline" if workers and workers <= drivers else "tune"


def _chosen(
    records: RunRecords, trials: Sequence[TrialRecord], epochs: float, rng: random.Random
) -> dict[str, tuple[TrialSpec, int]]:
    """Return trials by name with the epoch to train them to, in a random order until there are so many epochs."""
    chosen: dict[str, tuple[TrialSpec, int]] = {}
    left = max(1, math.ceil(epochs - 1e-9))
    for trial in rng.sample(trials, len(trials)):
        last = max((int(row["epoch"]) for row in records.of(trial.trial).own_epochs), default=0)
        if last and left > 0:
            spec = replace(spec_of(trial, records), repeats=None)  # no race waits for it
            chosen[trial.trial] = spec, min(last, left)
            left -= last
    return chosen


@dataclass
class _Until:
    """A scheduler that stops each trial once it has trained to its epoch."""

    last: Mapping[str, int]
    milestones: tuple[int, ...] = ()
    name: str = "audit"

    def report(self, trial: str, epoch: int, value: Any, ties: Ties = UNKNOWN) -> Decision:
        """Stop at the last epoch that is asked for."""
        return Decision(stop=True) if epoch >= self.last[trial] else CONTINUE

    def review(self, epoch: int) -> Mapping[str, Decision]:
        """Return nothing: no trial is compared with another."""
        return {}


class _Told:
    """Hears of the epochs trained again, and writes nothing down."""

    seconds = 0.0

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Mapping[str, Any]] = {}
        self.endings: dict[str, TrialEnd] = {}

    @property
    def disk(self) -> _Told:
        """Return itself: an audit does not wait for room."""
        return self

    def is_or_was_full(self, needed: int) -> bool:
        """Return False: a trial that finds no room has failed."""
        return False

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Keep finished epochs."""
        before = len(self.rows)
        self.rows |= {(row["trial"], int(row["epoch"])): row for row in rows}
        return len(self.rows) - before

    def ended(self, end: TrialEnd, traceback: str | None) -> None:
        """Keep how a trial ended."""
        self.endings[end.trial] = end

    def verdict(self) -> None:
        """Return None: no winner is examined."""

    def event(self, *said: Any, **facts: Any) -> None:
        """Leave out what else happens."""

    remarked = started = journal = tried_again = judged = not_judged = waits_for = waits = event


def _trained_again(
    prepared: Prepared,
    records: RunRecords,
    chosen: Mapping[str, tuple[TrialSpec, int]],
    executor: ExecutorName,
) -> _Told:
    """Train trials from their seeds, as the run's executor does, with states kept in a folder that is then removed."""
    from orchestrator.tuning.protocol import Sitting

    plan = prepared.plan
    plan = replace(plan, num_trials=0, rounds=None, finalists=None, limits=type(plan.limits)())
    search = Search(plan, _Until({trial: last for trial, (_, last) in chosen.items()}))
    for spec, _ in chosen.values():
        search.add(spec)
    told = _Told()
    listener: Listener = told  # type: ignore[assignment]  # one method stands for what it leaves out
    by = find_executor(executor)
    by.check_place(plan)
    with _aside(records.folder) as folder:
        sitting = Sitting(available_cores(), search)
        by.run_plan(plan, replace(prepared, plan=plan).job(folder), listener, sitting)
    return told


@contextlib.contextmanager
def _aside(folder: RunFolder) -> Iterator[RunFolder]:
    """Give a folder for states, beside the run's, which its workers may reach; elsewhere where that is read-only."""
    beside = folder.path.resolve().parent
    place = beside if os.access(beside, os.W_OK) else None
    with tempfile.TemporaryDirectory(
        prefix=f".{folder.name}.audit.", dir=place, ignore_cleanup_errors=True
    ) as made:
        aside = RunFolder(Path(made))
        aside.checkpoints.mkdir()
        yield aside


def _compared(
    records: RunRecords, chosen: Mapping[str, tuple[TrialSpec, int]], told: _Told
) -> Audit:
    """Return how each recorded epoch compares with that trained again; its time is not compared."""
    counts = {"equal": 0, "rounded": 0, "differing": 0}
    differences: list[Difference] = []
    untrained: dict[str, str] = {}
    for trial, (_, last) in chosen.items():
        end, rows = told.endings.get(trial), told.rows
        recorded = [row for row in records.of(trial).own_epochs if row["epoch"] <= last]
        cut_off = end is None or end.status in ("failed", "interrupted")
        if cut_off and not all((trial, int(row["epoch"])) in rows for row in recorded):
            untrained[trial] = (end.error if end else None) or "it was not trained to its end"
            continue
        for row in recorded:
            kind, found = _compare(row, rows.get((trial, int(row["epoch"]))))
            counts[kind] += 1
            differences += found
    compared = sum(counts.values())
    return Audit(
        records.name,
        "unknown",
        0,
        trials=tuple(chosen),
        compared=compared,
        equal=counts["equal"],
        rounded=counts["rounded"],
        differences=tuple(differences),
        untrained=untrained,
    )


def _compare(
    row: Mapping[str, Any], again: Mapping[str, Any] | None
) -> tuple[str, list[Difference]]:
    before, after = row["metrics"], again["metrics"] if again else {}
    names = list(dict.fromkeys([*before, *after])) if again else [NO_EPOCH]
    kinds = {name: _kind(before.get(name), after.get(name)) for name in names}
    found = [
        Difference(row["trial"], int(row["epoch"]), name, before.get(name), after.get(name))
        for name, kind in kinds.items()
        if kind == "differing"
    ]
    return next(
        (kind for kind in ("differing", "rounded") if kind in kinds.values()), "equal"
    ), found


def _kind(before: float | None, after: float | None) -> str:
    if before is None or after is None:
        return "equal" if before is after and before is not None else "differing"
    if before == after or (math.isnan(before) and math.isnan(after)):
        return "equal"
    same = math.isclose(before, after, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return "rounded" if same else "differing"


def _judged(found: Audit, records: RunRecords) -> Audit:
    """Return the verdict: other package versions may make a difference that is no falsehood."""
    if found.untrained or not found.compared:
        why = tuple(f"trial {trial} failed: {said}" for trial, said in found.untrained.items())
        if not found.differences:
            return replace(found, why=why)
    if not found.differences:
        return replace(found, verdict="true")
    # Other kernels give other last digits, which grow over epochs: that is no falsehood.
    versions = other_versions(records)
    if versions:
        said = "; ".join(f"{name}: {old} -> {new}" for name, (old, new) in versions.items())
        return replace(found, why=(f"other versions may have made the difference: {said}",))
    return replace(found, verdict="false")


def audit_lines(found: Audit) -> Iterator[str]:
    """Yield what was found, in sentences."""
    trials = f"{len(found.trials)} trial{'' if len(found.trials) == 1 else 's'}, seed {found.seed}"
    compared, epochs = f"{found.compared:,}", f"{found.epochs:,}"
    yield f"{found.run}: {compared} of {epochs} recorded epochs trained again ({trials})"
    if found.compared:
        rounded, differing = f"{found.rounded:,}", f"{found.differing:,}"
        yield f"  equal to the bit: {found.equal:,}; but for rounding: {rounded}; differing: {differing}"
    for each in found.differences[:SHOWN]:
        recorded, again = (
            "nothing" if value is None else f"{value:.6g}"
            for value in (each.recorded, each.retrained)
        )
        yield f"  trial {each.trial}, epoch {each.epoch}, {each.metric}: recorded {recorded}, trained again {again}"
    if found.differences[SHOWN:]:
        yield f"  and {len(found.differences) - SHOWN:,} more values"
    yield {
        "true": "The records of these epochs are true.",
        "false": "The records of these epochs are not what their trials give.",
        "unknown": "Whether the records are true cannot be told:",
    }[found.verdict]
    yield from (f"  {why}" for why in found.why)
