"""The journal of a babysat model as a table, and as lines to read."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.records import Request, RunRecords
from orchestrator.report.frames import by_column, to_frame
from orchestrator.report.narrator import Narrator

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    *("time", "trial", "day", "epoch", "stretch", "kind", "action", "by", "text", "why", "request"),
    *("metric", "before", "after", "expected"),
)


def journal_table(records: RunRecords, trial: str | None = None) -> pd.DataFrame:
    """Return one row an entry of a trial's journal (None: of every trial's), oldest first.

    ``day`` and ``epoch`` are those finished by then. Requests that the model has not seen yet
    stand at the end, their day and epoch empty. ``text`` is the entry as a sentence.
    """
    narrator = Narrator(records.metric)
    rows = []
    for entry in _entries(records, trial):
        row: dict[str, Any] = {name: entry.get(name) for name in COLUMNS}
        row["stretch"] = entry.get("stretch") or 0
        row["by"] = entry.get("who") or entry.get("by") or _rule(entry)
        row["text"] = narrator.hear(entry)
        rows.append(row)
    frame = to_frame(by_column(rows) or {name: [] for name in COLUMNS})
    frame.attrs["importance"] = ["day", "epoch", "kind", "text", "by", "why", "trial", "time"]
    return frame


def journal_lines(records: RunRecords, trial: str | None = None, width: int = 80) -> list[str]:
    """Return the journal as lines no wider than ``width``, under a line for each date (UTC).

    A line begins with the time and the day and epoch that were finished by then.
    """
    narrator = Narrator(records.metric)
    entries = _entries(records, trial)
    several = len({entry["trial"] for entry in entries}) > 1
    lines, date = [], ""
    for entry in entries:
        time = str(entry["time"])
        if time[:10] != date:
            date = time[:10]
            lines.append(f"{date}, times in UTC; days and epochs finished by then")
        text = narrator.hear(entry)
        if several:
            text = f"[{entry['trial']}] {text}"
        lines += entry_lines(entry, text, width)
    return lines


def entry_lines(entry: Mapping[str, Any], text: str, width: int = 80) -> list[str]:
    """Return one entry as a line, and more where it is longer than ``width``."""
    place = f"day {entry['day']:<2} epoch {entry['epoch']:<3}" if entry["day"] is not None else ""
    begin = f"  {str(entry['time'])[11:16]}  {place:<17}"
    return textwrap.wrap(
        text,
        width,
        initial_indent=begin,
        subsequent_indent=" " * len(begin),
        break_on_hyphens=False,
    )


def _entries(records: RunRecords, trial: str | None) -> list[Mapping[str, Any]]:
    """Return the journal and, as though asked, the requests it does not speak of yet.

    One that was asked and is neither applied nor refused is ``waiting``.
    """
    trials = [trial] if trial is not None else [found.trial for found in records.trials]
    waiting = {request.id: request for name in trials for request in records.unanswered(name)}
    entries: list[Mapping[str, Any]] = []
    for entry in records.journal:
        if entry["trial"] not in trials:
            continue
        is_open = entry["kind"] == "asked" and entry.get("request") in waiting
        entries.append({**entry, "waiting": True} if is_open else entry)
        if is_open:
            del waiting[str(entry["request"])]
    return [*entries, *(_unseen(request) for request in waiting.values())]


def _unseen(request: Request) -> dict[str, Any]:
    return {
        "kind": "asked",
        "trial": request.trial,
        "time": request.time,
        "day": None,
        "epoch": None,
        "request": request.id,
        "action": request.action,
        "arguments": request.arguments,
        "who": request.who,
        "why": request.why,
        "at_day": request.at_day,
        "waiting": True,
    }


def _rule(entry: Mapping[str, Any]) -> str | None:
    return f"sitter:{entry['rule']}" if entry.get("rule") else None
