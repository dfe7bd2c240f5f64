"""Which epochs and days a babysat model's weights come from, and the values in force, by its journal.

A rollback begins a new stretch, whose number its ``applied`` entry and the epochs after it carry.
What an earlier stretch trained beyond the point of return is abandoned: kept, but no longer what
the model's weights come from. What an entry has is declared in ``orchestrator.records.events``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from orchestrator.records.events import EpochRow, JournalEntry

Entry = Mapping[str, Any]


def dedupe_by_id(entries: Iterable[JournalEntry]) -> tuple[JournalEntry, ...]:
    """Return the entries without those that a resumed trainer reported again: the first of an id counts."""
    found: dict[object, JournalEntry] = {}
    for number, entry in enumerate(entries):
        found.setdefault(entry.get("id") or number, entry)
    return tuple(found.values())


def counted(rows: tuple[EpochRow, ...], events: Iterable[Entry]) -> tuple[EpochRow, ...]:
    """Return the epochs without those of trials that were retried since: they began anew, in a later stretch."""
    first = retried_from(events)
    if not first:
        return rows
    return tuple(row for row in rows if stretch_of(row) >= first.get(row["trial"], 0))


def retried_from(events: Iterable[Entry]) -> dict[str, int]:
    """Return {trial: stretch} of the trials that were retried: from which stretch on their epochs count."""
    found: dict[str, int] = {}
    for event in events:
        found |= event.get("retried") or {} if event["event"] == "extended" else {}
    return found


def stretch_of(line: Entry) -> int:
    """Return the stretch a row or an entry belongs to; the first is 0."""
    return int(line.get("stretch") or 0)


def is_rollback(entry: Entry) -> bool:
    """Return whether an entry records a rollback that was done."""
    return entry["kind"] == "applied" and entry.get("action") == "rollback"


def hyperparameters_after(
    start: Mapping[str, Any], entries: Iterable[Entry], history: Iterable[Entry] = ()
) -> dict[str, Any]:
    """Return the hyperparameters in force after one trial's ``entries``, begun with ``start``.

    ``history`` are the days that a branch shares with its parent: it may be rolled back to them.
    """
    force = dict(start)
    at_day: dict[int, Mapping[str, Any]] = {0: dict(start)}
    for day in history:
        at_day[int(day["day"])] = day.get("hyperparameters") or start
    at_day[max(at_day)] = dict(
        start
    )  # a branch's fork is its own, with the changes it was born with
    for entry in entries:
        if entry["kind"] == "day":
            force = dict(entry.get("hyperparameters") or force)
            at_day[int(entry["day"])] = dict(force)
        elif entry["kind"] == "applied" and not _made_another_branch(entry):
            if is_rollback(entry):
                force = dict(at_day.get(day_returned_to(entry), force))
            force |= changed_to(entry)
    return force


def changed_to(entry: Entry) -> dict[str, Any]:
    """Return the new values of the hyperparameters that an entry changed."""
    return {name: new for name, (_, new) in (entry.get("changes") or {}).items()}


def _made_another_branch(entry: Entry) -> bool:
    """Return whether an entry's changes are those of a branch made, not of its own trial."""
    return entry.get("action") == "branch" and entry.get("branch") != entry["trial"]


def day_returned_to(entry: Entry) -> int:
    """Return the last day kept by a rollback."""
    return int(entry["day"] if entry.get("to_day") is None else entry["to_day"])


Line = Mapping[str, Any]


@dataclass(frozen=True)
class TrialLines:
    """One trial's own epochs and days, living and abandoned apart, and its whole journal.

    ``starts`` has the first epoch of each stretch after the first.
    """

    epochs: tuple[Line, ...] = ()
    abandoned_epochs: tuple[Line, ...] = ()
    days: tuple[Line, ...] = ()
    abandoned_days: tuple[Line, ...] = ()
    journal: tuple[Line, ...] = ()
    starts: Mapping[int, int] | None = None

    @classmethod
    def sorted_out(cls, rows: Sequence[Line], journal: Sequence[Line]) -> Self:
        """Return a trial's lines, from its rows of ``epochs.jsonl`` and its journal."""
        starts = stretch_starts(rows, journal)
        days = [entry for entry in journal if entry["kind"] == "day"]
        return cls(*split_living(rows, starts), *split_living(days, starts), tuple(journal), starts)

    def living_at(self, stretch: int | None, what: Literal["epochs", "days"]) -> tuple[Line, ...]:
        """Return what lived when ``stretch`` was the latest (None: now), in order."""
        both = {
            "epochs": (*self.epochs, *self.abandoned_epochs),
            "days": (*self.days, *self.abandoned_days),
        }
        return split_living(both[what], self.starts or {}, until=stretch)[0]

    def shared_at(self, stretch: int | None, shared: Sequence[Line]) -> list[Line]:
        """Return what lived of a branch's ``shared`` lines, its parent's, when ``stretch`` was its latest."""
        starts = (
            start for s, start in (self.starts or {}).items() if stretch is None or s <= stretch
        )
        end = min(starts, default=None)
        return [line for line in shared if end is None or line["epoch"] < end]


def stretch_starts(rows: Iterable[Entry], entries: Iterable[Entry]) -> dict[int, int]:
    """Return the first epoch of each later stretch of one trial.

    ``rows`` are the trial's epochs, ``entries`` its journal. A stretch starts after the epoch that
    its rollback went back to, known as soon as that is applied, before an epoch was trained.
    """
    starts: dict[int, int] = {}
    for row in rows:
        _lower(starts, stretch_of(row), int(row["epoch"]))
    ends_of_days = {0: 0}
    for entry in entries:
        if entry["kind"] == "day":
            ends_of_days[int(entry["day"])] = int(entry["epoch"])
        elif is_rollback(entry):
            _lower(starts, stretch_of(entry), _returned_to(entry, ends_of_days) + 1)
    starts.pop(0, None)  # the first stretch follows no rollback
    return starts


def _returned_to(entry: Entry, ends_of_days: Mapping[int, int]) -> int:
    """Return the last epoch kept by a rollback."""
    if entry.get("to_epoch") is not None:
        return int(entry["to_epoch"])
    return ends_of_days.get(day_returned_to(entry), int(entry["epoch"]))


def split_living(
    lines: Sequence[Line], starts: Mapping[int, int], until: int | None = None
) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Return (living, abandoned) among one trial's rows, or its entries of kind ``day``.

    With ``until``, that stretch is taken as the latest, as though no later one had begun. An epoch that
    was reported again after an interruption counts once: the later row is the one that counts.
    """
    last_told: dict[tuple[int, int], Line] = {}
    for line in lines:
        place = int(line["day" if "kind" in line else "epoch"])
        last_told[stretch_of(line), place] = line
    living: dict[int, Line] = {}
    abandoned: list[Line] = []
    for (stretch, place), line in last_told.items():
        if until is not None and stretch > until:
            continue
        later = (s for s, start in starts.items() if stretch < s and start <= int(line["epoch"]))
        if any(until is None or s <= until for s in later):
            abandoned.append(line)
        else:
            living[place] = line
    return tuple(living[place] for place in sorted(living)), tuple(abandoned)


def _lower(starts: dict[int, int], stretch: int, epoch: int) -> None:
    starts[stretch] = min(starts.get(stretch, epoch), epoch)
