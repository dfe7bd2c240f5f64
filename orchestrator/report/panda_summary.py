"""A babysat model as one plain value: what it went through, who changed what to what effect, and its branches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.records import RunRecords, TrialRecord
from orchestrator.report.curve import Curve, curve_of
from orchestrator.report.formatting import minute
from orchestrator.report.journal_text import JournalFormatter, describe_action
from orchestrator.report.panda_tables import day_columns, who_acted

SEEN = ("set", "rollback", "branch", "branch_and_compare", "stop")
"""What was done that a curve may show."""


@dataclass(frozen=True)
class Effect:
    """What became of the metric on the day after a change, and what its trend would have given."""

    before: float | None
    after: float | None
    expected: float | None


@dataclass(frozen=True)
class Change:
    """What was done to a model after an epoch, by whom and why, and its effect where one was measured."""

    trial: str
    epoch: int
    day: int
    what: str
    who: str
    why: str
    effect: Effect | None


@dataclass(frozen=True)
class Lineage:
    """A model's own epochs, those that were rolled back apart, and from which day of which trial it branched off.

    ``days`` are the last epochs of its days; ``start`` are the hyperparameters it began with, ``in_force`` those at the
    ends of its days.
    """

    trial: str
    parent: str | None
    parent_day: int | None
    parent_epoch: int | None
    value: float | None
    curve: Curve
    abandoned: tuple[Curve, ...]
    days: tuple[int, ...]
    start: Mapping[str, Any]
    in_force: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class PandaSummary:
    """All that a report says of a babysat model besides what it says of any run.

    ``days`` has the columns of ``orchestrator days`` for each trial; ``journal`` is (trial, time, day, epoch, text);
    ``findings`` are the sitter's: (trial, day, epoch, rule, what it suggests, evidence, whether it was done).
    """

    lines: tuple[Lineage, ...]
    changes: tuple[Change, ...]
    days: Mapping[str, Mapping[str, Sequence[Any]]]
    journal: tuple[tuple[Any, ...], ...]
    findings: tuple[tuple[Any, ...], ...]


def summarize_panda(records: RunRecords) -> PandaSummary | None:
    """Return what is to be said of a panda; None for a caviar."""
    if records.panda is None:
        return None
    formatter = JournalFormatter(records.metric)
    return PandaSummary(
        lines=tuple(_line(records, trial) for trial in records.trials),
        changes=tuple(c for trial in records.trials for c in _changes(records, trial.trial)),
        days={trial.trial: day_columns(records, trial.trial) for trial in records.trials},
        journal=tuple(
            (e["trial"], minute(str(e["time"])), e["day"], e["epoch"], formatter.format_entry(e))
            for e in records.journal
        ),
        findings=tuple(_findings(records)),
    )


def _line(records: RunRecords, trial: TrialRecord) -> Lineage:
    recorded = records.of(trial.trial)
    origin = trial.origin if trial.is_branch and trial.origin else {}
    stretches: dict[int, list[Mapping[str, Any]]] = {}
    for row in recorded.abandoned_epochs:
        stretches.setdefault(int(row.get("stretch") or 0), []).append(row)
    own = [day for day in recorded.days if day["trial"] == trial.trial]
    return Lineage(
        trial=trial.trial,
        parent=origin.get("trial"),
        parent_day=origin.get("day"),
        parent_epoch=origin.get("epoch"),
        value=recorded.best.value if recorded.best else None,
        curve=curve_of(recorded.own_epochs),
        abandoned=tuple(curve_of(rows) for rows in stretches.values()),
        days=tuple(int(day["epoch"]) for day in own),
        start=trial.hyperparameters,
        in_force=tuple(day.get("hyperparameters") or {} for day in own),
    )


def _changes(records: RunRecords, trial: str) -> Iterator[Change]:
    journal = records.of(trial).journal
    asked = {e.get("request"): e for e in journal if e["kind"] == "asked" and e.get("request")}
    for place, entry in enumerate(journal):
        if entry["kind"] != "applied" or entry.get("action") not in SEEN:
            continue
        request = asked.get(entry.get("request"), {})
        yield Change(
            trial,
            int(entry["epoch"]),
            int(entry["day"]),
            describe_action(entry),
            who_acted(entry, request),
            str(request.get("why") or ""),
            _effect(entry, journal[place + 1 :]),
        )


def _effect(done: Mapping[str, Any], later: Sequence[Mapping[str, Any]]) -> Effect | None:
    """Return what was measured of a change: the first effect of its request, or of whoever else made it."""
    key = "request" if done.get("request") else "by"
    mine = (e for e in later if e["kind"] == "effect" and e.get(key) == done.get(key))
    found = next(mine, None)
    if found is None:
        return None
    return Effect(found.get("before"), found.get("after"), found.get("expected"))


def _findings(records: RunRecords) -> Iterator[tuple[Any, ...]]:
    for entry in records.journal:
        if entry["kind"] == "advice":
            told = (entry.get("rule"), entry.get("suggests"), entry.get("evidence") or {})
            yield entry["trial"], entry["day"], entry["epoch"], *told, bool(entry.get("done"))
