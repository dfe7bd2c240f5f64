"""Which epochs and days of a babysat model live, and which a rollback abandoned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from orchestrator.records.journal import Entry, day_returned_to, is_rollback, stretch_of

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
    starts.pop(0, None)
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

    ``until`` looks with the eyes of that stretch, as though no later one had begun. An epoch that
    was told again after an interruption counts once: the later row is the one that counts.
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
