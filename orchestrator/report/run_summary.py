"""A run as one plain value, ``RunSummary``: what pages and texts about it are made of. Pure: records in, values out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from orchestrator.analysis import Finding, Importance, diagnose
from orchestrator.domains import Space
from orchestrator.errors import RecordError
from orchestrator.records import Mode, RunRecords, TrialRecord
from orchestrator.report.axes import Axis, axes_of
from orchestrator.report.curve import Curve, curve_of, finite
from orchestrator.report.formatting import shown_name
from orchestrator.report.panda_summary import PandaSummary, summarize_panda
from orchestrator.report.race_text import (
    confidence_of,
    estimates,
    outcome,
    race_lines,
    scores_of,
)
from orchestrator.report.summary import ended_lines, group_lines
from orchestrator.report.tables import trial_columns
from orchestrator.report.winner_text import details, quality_lines
from orchestrator.schedulers import SCHEDULERS, make_scheduler
from orchestrator.search.plan import findings_of
from orchestrator.search.selection_bias import Corrected, corrected_score

MOST_RUNGS = 12
"""A scheduler that decides more often, such as the median rule, has no rungs to draw."""


@dataclass(frozen=True)
class TrialSummary:
    """A trial: its best ``value`` of the run's metric and its ``best_epoch``, its hyperparameters and its curve."""

    trial: str
    status: str
    value: float | None
    best_epoch: int | None
    hyperparameters: Mapping[str, Any]
    curve: Curve
    error: str | None = None
    error_file: str | None = None
    failure: str | None = None
    repeats: str | None = None
    is_newest: bool = True
    parameters: int | None = None

    @property
    def row(self) -> str:
        """The trial in whose row of the table it stands: of a replicate the one that it repeats."""
        return self.repeats or self.trial


@dataclass(frozen=True)
class Rung:
    """An epoch at which trials were stopped: how many ``reached`` it and ``went_on``; cutoffs lay between two ends."""

    epoch: int
    reached: int
    went_on: int
    lowest: float | None = None
    highest: float | None = None


@dataclass(frozen=True)
class Improvement:
    """A new best ``value`` of a run: by whom, after so many ``epochs`` of all trials and ``seconds`` of work."""

    value: float
    trial: str
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Finalist:
    """A configuration that was trained again: its replicates' ``scores``, their mean and its interval."""

    trial: str
    place: str
    scores: tuple[float, ...]
    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RangeMove:
    """What became of a range when a round began, and why; ``low`` and ``high`` lie on its scale, 0 to 1."""

    round: int
    hyperparameter: str
    move: str
    before: str
    now: str
    why: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class TimeSpent:
    """Seconds of all workers: training, beginning or resuming trials, and the rest of ``workers`` x the run."""

    workers: int
    training: float
    starting: float
    rest: float


@dataclass(frozen=True)
class RunSummary:
    """All that a report says of one run, but for its words. ``trials`` are best first, ``replicates`` apart.

    ``table`` has the columns of ``orchestrator table``, ``remarks`` are sentences on the winner. ``importance`` is None
    unless it was asked for: it takes seconds. ``details`` are those of the winner's examination, ``examples`` the rows
    that it gets most wrong, where the run kept any.
    """

    name: str
    strategy: str
    trained: str
    status: str
    reason: str | None
    metric: str
    mode: Mode
    epochs: int
    seconds: float
    started: str | None
    endings: Mapping[str, int]
    table: Mapping[str, Sequence[Any]]
    trials: tuple[TrialSummary, ...]
    best: TrialSummary | None
    winner: Mapping[str, Any]
    corrected: Corrected | None
    axes: tuple[Axis, ...]
    rungs: tuple[Rung, ...]
    progress: tuple[Improvement, ...]
    epochs_trained: int
    time: TimeSpent | None
    findings: tuple[Finding, ...]
    remarks: tuple[str, ...]
    importance: Importance | None
    panda: PandaSummary | None
    finalists: tuple[Finalist, ...]
    confidence: float
    rounds: tuple[RangeMove, ...]
    details: Mapping[str, Any]
    examples: Mapping[str, Any]
    manifest: Mapping[str, Any]
    experiment: Mapping[str, Any]

    @property
    def chosen(self) -> dict[str, Any]:
        """The best trial's hyperparameters, as tables name them: those it was examined with, where it was."""
        if self.best is None:
            return {}
        examined = self.winner if self.winner.get("trial") == self.best.trial else {}
        found = examined.get("hyperparameters") or self.best.hyperparameters
        return {shown_name(name): value for name, value in found.items()}

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return asdict(self)


def summarize(records: RunRecords, importance: Importance | None = None) -> RunSummary:
    """Return what is to be said of a run."""
    experiment = records.experiment
    trials = tuple(_trial(records, trial) for trial in records.ranked)
    leader = records.leader
    starts = [str(event["time"]) for event in records.events if event["event"] == "run_started"]
    return RunSummary(
        name=records.name,
        strategy=str(experiment.get("strategy", "caviar")),
        trained=trained(experiment),
        status=records.status,
        reason=records.standing.reason,
        metric=records.metric,
        mode=records.mode,
        epochs=int(experiment.get("epochs") or 1),
        seconds=records.seconds,
        started=starts[0] if starts else None,
        table=trial_columns(records),
        endings=dict(Counter(trial.status for trial in records.trials).most_common()),
        trials=trials,
        best=_trial(records, leader) if leader else None,
        winner=records.winner or {},
        corrected=corrected_score(records),
        axes=axes_of(records),
        rungs=tuple(_rungs(records, trials)),
        progress=tuple(_progress(records)),
        epochs_trained=len(records.epochs),
        time=_time_spent(records),
        findings=diagnose(records),
        remarks=tuple(_remarks(records)),
        importance=importance,
        panda=summarize_panda(records),
        finalists=tuple(_finalists(records)),
        confidence=confidence_of(records),
        rounds=tuple(_moves(records)),
        details=_details(records),
        examples=_examples(records),
        manifest=records.manifest,
        experiment=experiment,
    )


def trained(experiment: Mapping[str, Any]) -> str:
    """Return what trials are made of, in a few words."""
    if experiment.get("trial"):
        return str(experiment["trial"])
    return f"{_source(experiment.get('model'))} on {_source(experiment.get('data'))}"


def _source(value: Any) -> Any:
    return value.get("source", value) if isinstance(value, Mapping) else value


def _trial(records: RunRecords, trial: TrialRecord) -> TrialSummary:
    recorded = records.of(trial.trial)
    best = recorded.best
    return TrialSummary(
        trial=trial.trial,
        status=trial.status,
        value=best.value if best else None,
        best_epoch=best.epoch if best else None,
        hyperparameters=trial.hyperparameters,
        curve=curve_of(recorded.epochs),
        error=trial.error,
        error_file=trial.error_file,
        failure=trial.failure,
        repeats=trial.repeats,
        is_newest=trial.group == records.state.group,
        parameters=trial.parameters,
    )


def _rungs(records: RunRecords, trials: Iterable[TrialSummary]) -> Iterator[Rung]:
    last = {t.trial: t.curve.epochs[-1] for t in trials if t.is_newest and t.curve.epochs}
    stops = [record.stopped_by for record in records.trials if record.stopped_by]
    milestones = _milestones(records)
    if not stops or len(milestones) > MOST_RUNGS:
        return
    for epoch in milestones:
        at = [stop.get("cutoff") for stop in stops if stop.get("epoch") == epoch]
        cutoffs = [value for value in map(finite, at) if value is not None]
        reached = sum(epoch <= other for other in last.values())
        went_on = sum(epoch < other for other in last.values())
        ends = (min(cutoffs, default=None), max(cutoffs, default=None))
        yield Rung(epoch, reached, went_on, *ends)


def _milestones(records: RunRecords) -> Sequence[int]:
    """Return the epochs at which a caviar's scheduler decided; none for one of the user's own."""
    written = (records.caviar or {}).get("scheduler")
    if not isinstance(written, Mapping):
        return ()
    [(name, options)] = written.items()
    if name not in SCHEDULERS:
        return ()
    made = make_scheduler(SCHEDULERS[name](**(options or {})), _epochs(records), records.mode)
    return made.milestones


def _epochs(records: RunRecords) -> int:
    return int(records.experiment.get("epochs") or 1)


def _progress(records: RunRecords) -> Iterator[Improvement]:
    """Yield each new best value of the newest group's trials, and where the run is now."""
    sign = 1.0 if records.mode == "max" else -1.0
    newest = {t.trial for t in records.trials if t.group == records.state.group}
    best: Improvement | None = None
    count, seconds = 0, 0.0
    worked = _Worked(records)
    for row in records.epochs:
        if row["trial"] not in newest:
            continue
        count += 1
        seconds = max(seconds, worked.at(row.get("time")))
        value = finite(row["metrics"].get(records.metric))
        if value is not None and (best is None or sign * value > sign * best.value):
            best = Improvement(value, str(row["trial"]), count, seconds)
            yield best
    if best is not None and count > best.epochs:
        yield Improvement(best.value, best.trial, count, seconds)


class _Worked:
    """Turns a time into the seconds that a run had been worked on by then, without the pauses between its drivers."""

    def __init__(self, records: RunRecords) -> None:
        self._sittings: list[tuple[datetime, float]] = []
        begun: datetime | None = None
        for event in records.events:
            time = datetime.fromisoformat(str(event["time"]))
            if event["event"] == "run_started":
                begun = time
                self._sittings.append((time, self._sittings[-1][1] if self._sittings else 0.0))
            elif event["event"] in ("run_interrupted", "run_finished") and begun is not None:
                start, before = self._sittings[-1]
                self._sittings[-1] = (start, before + (time - begun).total_seconds())
                begun = None
        # Each sitting with what had been worked before it: the sums are those at a sitting's end, so shifted by one.
        ends = [worked for _, worked in self._sittings]
        starts = [0.0, *ends][: len(ends)]
        self._sittings = [(start, w) for (start, _), w in zip(self._sittings, starts, strict=True)]

    def at(self, time: Any) -> float:
        if not time:
            return 0.0
        now = datetime.fromisoformat(str(time))
        for start, before in reversed(self._sittings):
            if now >= start:
                return before + (now - start).total_seconds()
        return 0.0


def _time_spent(records: RunRecords) -> TimeSpent | None:
    workers = len({trial.worker for trial in records.all_trials if trial.worker})
    if not workers or not records.epochs:
        return None
    training = sum(float(row.get("seconds") or 0.0) for row in records.epochs)
    starting = sum(float(row.get("start_seconds") or 0.0) for row in records.epochs)
    rest = max(0.0, workers * records.seconds - training - starting)
    return TimeSpent(workers, training, starting, rest)


def _finalists(records: RunRecords) -> Iterator[Finalist]:
    order = (records.state.race_result or {}).get("order") or ()
    found = estimates(records)
    for name in sorted(
        found, key=lambda trial: order.index(trial) if trial in order else len(order)
    ):
        each = found[name]
        scores = tuple(scores_of(records, name))
        yield Finalist(name, outcome(records, name) or "", scores, each.mean, each.low, each.high)


def _moves(records: RunRecords) -> Iterator[RangeMove]:
    whole = records.space.domains if records.space else {}
    for event in records.state.events:
        if event["event"] != "round_began":
            continue
        domains = Space.parse(event["space"]).domains
        for finding in findings_of(event):
            name = str(finding["hyperparameter"])
            low, high = _span(whole.get(name), domains.get(name))
            move, before, now, why = (
                str(finding.get(key) or "") for key in ("move", "before", "now", "why")
            )
            yield RangeMove(int(event["round"]), name, move, before, now, why, low, high)


def _span(whole: Any, now: Any) -> tuple[float | None, float | None]:
    """Return where a round's range lies on the scale of the whole one."""
    if not hasattr(whole, "ends") or not hasattr(now, "ends"):
        return None, None
    return whole.to_unit(now.ends[0]), whole.to_unit(now.ends[1])


def _remarks(records: RunRecords) -> Iterator[str]:
    """Yield what the winner's lines in a terminal say besides its scores, one sentence each."""
    unbroken = 10**6
    for lines in (group_lines, ended_lines, race_lines, quality_lines):
        yield from (line.strip() for line in lines(records, unbroken))
    yield from ((records.manifest.get("task") or {}).get("said") or ())


def _details(records: RunRecords) -> Mapping[str, Any]:
    try:
        return details(records)
    except RecordError:  # no winner was examined, or its file was edited: the rest can be told
        return {}


def _examples(records: RunRecords) -> Mapping[str, Any]:
    """Return the rows that were kept of this winner; a file that was edited is as good as none."""
    try:
        found = json.loads((records.folder.best / "examples.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    is_of_winner = isinstance(found, dict) and found.get("trial") == (records.winner or {}).get(
        "trial"
    )
    return found if is_of_winner else {}
