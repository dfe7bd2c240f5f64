"""A babysat model as tables: day by day, and its journal, which is also given as lines to read."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.records import Request, RunRecords
from orchestrator.report.formatting import shown_name
from orchestrator.report.journal_text import (
    JournalFormatter,
    describe_action,
    describe_request,
    size,
)
from orchestrator.report.tables import by_column, to_frame
from orchestrator.trials import StateStore

if TYPE_CHECKING:
    import pandas as pd


Entry = Mapping[str, Any]

ABANDONED = "abandoned"
TODAY = "today"


JOURNAL_COLUMNS = (
    *("time", "trial", "day", "epoch", "stretch", "kind", "action", "by", "text", "why", "request"),
    *("metric", "before", "after", "expected"),
)


def days_table(records: RunRecords, trial: str) -> pd.DataFrame:
    """Return one row a day of one trial, in the order in which the days were lived.

    Columns: day, state ("abandoned" by a rollback, "today" while it lasts, else empty), epoch at
    its end, the metric and its change since the day before, ``changed`` (hyperparameters, old ->
    new) and ``done`` (by whom, and what the sitter only advised) during the day, the other metrics,
    every hyperparameter in force at its end, seconds, checkpoint and its bytes (empty where it is
    not kept). A branch's begin with its parent's days up to the fork.
    """
    frame = to_frame(day_columns(records, trial))
    in_force = [name for name in frame.columns if name not in _columns(records)]
    frame.attrs["importance"] = [
        *("day", "state", records.metric, "done", "change", "epoch"),
        *[name for name in in_force if len({repr(value) for value in frame[name]}) > 1],
        "bytes",
    ]
    return frame


def day_columns(records: RunRecords, trial: str) -> dict[str, list[Any]]:
    """Return the columns of ``days_table``, without pandas."""
    rows = list(_rows(records, trial))
    return by_column(rows) or {name: [] for name in _columns(records)}


def checkpoints_line(records: RunRecords, trial: str) -> str:
    """Return how many days' ends of a trial are kept, how large they are together, and where."""
    kept = StateStore.of(records.folder).days(trial)
    sizes = kept.sizes()
    days = "1 day's end is" if len(sizes) == 1 else f"{len(sizes)} days' ends are"
    return f"{days} kept: {size(sum(sizes))} in {kept.folder}"


def _rows(records: RunRecords, trial: str) -> Iterator[dict[str, Any]]:
    gone = {id(entry) for entry in records.of(trial).abandoned_days}
    latest: dict[int, Mapping[str, Any]] = {}
    asked: dict[str, Entry] = {}
    meanwhile: list[Entry] = []
    for entry in _in_order(records, trial):
        if entry["kind"] == "asked":
            asked[str(entry.get("request"))] = entry
        if entry["kind"] != "day":
            meanwhile.append(entry)
            continue
        row = _row(records, entry, latest.get(int(entry["day"]) - 1, {}), _done(meanwhile, asked))
        row["state"] = ABANDONED if id(entry) in gone else None
        if id(entry) in gone or not _is_kept(records, entry):
            row["bytes"] = None
        yield row
        latest[int(entry["day"])] = entry.get("metrics") or {}
        meanwhile = []
    yield from _today(records, trial, latest, _done(meanwhile, asked))


def _in_order(records: RunRecords, trial: str) -> list[Entry]:
    shared = [day for day in records.of(trial).days if day["trial"] != trial]
    return [*shared, *records.of(trial).journal]


def _columns(records: RunRecords) -> tuple[str, ...]:
    first = ("day", "state", "epoch", records.metric, "change", "changed", "done")
    return (*first, "seconds", "checkpoint", "bytes")


def _row(
    records: RunRecords, day: Entry, yesterday: Mapping[str, Any], done: tuple[str, str]
) -> dict[str, Any]:
    metrics = dict(day.get("metrics") or {})
    value, before = metrics.pop(records.metric, None), yesterday.get(records.metric)
    row: dict[str, Any] = {
        "day": day["day"],
        "state": None,
        "epoch": day["epoch"],
        records.metric: value,
        "change": None if None in (value, before) else value - before,  # type: ignore[operator]
        "changed": done[0] or None,
        "done": done[1] or None,
    }
    force = day.get("hyperparameters") or {}
    for name, chosen in force.items():
        metrics.pop(name, None)  # a learning rate among the metrics is the one in force
        shown = shown_name(name)
        row[f"hyperparameter_{shown}" if shown in _columns(records) else shown] = chosen
    row |= {name: metric for name, metric in metrics.items() if name not in row}
    return row | {name: day.get(name) for name in ("seconds", "checkpoint", "bytes")}


def _done(entries: list[Entry], asked: Mapping[str, Entry]) -> tuple[str, str]:
    """Return (hyperparameters changed, things done and by whom) of one day's entries."""
    changed, actions = [], []
    for entry in entries:
        request = asked.get(str(entry.get("request")), {})
        match entry["kind"]:
            case "applied" if entry.get("action") == "set":
                changed.append(describe_action({**entry, "how": None}))
                actions.append(f"{changed[-1]} by {who_acted(entry, request)}")
            case "applied" if entry.get("action") == "note":
                actions.append(describe_request(request) if request else "note")
            case "applied":
                actions.append(f"{describe_action(entry)} by {who_acted(entry, request)}")
            case "refused":
                unknown = "the schedule" if entry.get("by") == "schedule" else "a request"
                what = describe_request(request) if request else unknown
                actions.append(f"refused: {what}")
            case "advice" if not entry.get("done"):  # what was done has an entry of its own
                note = " (not done)" if entry.get("done") is False else ""
                actions.append(f"sitter advised: {entry.get('rule')}{note}")
    return "; ".join(changed), "; ".join(actions)


def who_acted(entry: Entry, request: Entry) -> str:
    """Return who stands behind what was done: the sitter by a rule, a person, or the schedule."""
    by = str(entry.get("by") or "")
    if by.startswith("sitter:"):
        return f"sitter ({by.removeprefix('sitter:')})"
    return str(request.get("who") or by or "someone") if by != "schedule" else by


def _is_kept(records: RunRecords, day: Entry) -> bool:
    checkpoint = day.get("checkpoint")
    return bool(checkpoint) and (records.folder.path / str(checkpoint)).is_file()


def _today(
    records: RunRecords,
    trial: str,
    latest: Mapping[int, Mapping[str, Any]],
    done: tuple[str, str],
) -> Iterator[dict[str, Any]]:
    """Yield a row for the day that has begun but not ended, if one has."""
    days, epochs = records.of(trial).days, records.of(trial).epochs
    day, epoch = (days[-1]["day"], days[-1]["epoch"]) if days else (0, 0)
    today = [row for row in epochs if row["epoch"] > epoch]
    if not today:
        return
    so_far = {
        "day": day + 1,
        "epoch": today[-1]["epoch"],
        "metrics": today[-1]["metrics"],
        "hyperparameters": records.of(trial).current_hyperparameters,
        "seconds": sum(float(row.get("seconds") or 0) for row in today),
    }
    yield _row(records, so_far, latest.get(day, {}), done) | {"state": TODAY}


def journal_table(records: RunRecords, trial: str | None = None) -> pd.DataFrame:
    """Return one row an entry of a trial's journal (None: of every trial's), oldest first.

    ``day`` and ``epoch`` are those finished by then. Requests that the model has not seen yet
    stand at the end, their day and epoch empty. ``text`` is the entry as a sentence.
    """
    formatter = JournalFormatter(records.metric)
    rows = []
    for entry in _entries(records, trial):
        row: dict[str, Any] = {name: entry.get(name) for name in JOURNAL_COLUMNS}
        row["stretch"] = entry.get("stretch") or 0
        row["by"] = entry.get("who") or entry.get("by") or _rule(entry)
        row["text"] = formatter.format_entry(entry)
        rows.append(row)
    frame = to_frame(by_column(rows) or {name: [] for name in JOURNAL_COLUMNS})
    frame.attrs["importance"] = ["day", "epoch", "kind", "text", "by", "why", "trial", "time"]
    return frame


def journal_lines(records: RunRecords, trial: str | None = None, width: int = 80) -> list[str]:
    """Return the journal as lines no wider than ``width``, under a line for each date (UTC).

    A line begins with the time and the day and epoch that were finished by then.
    """
    formatter = JournalFormatter(records.metric)
    entries = _entries(records, trial)
    several = len({entry["trial"] for entry in entries}) > 1
    lines, date = [], ""
    for entry in entries:
        time = str(entry["time"])
        if time[:10] != date:
            date = time[:10]
            lines.append(f"{date}, times in UTC; days and epochs finished by then")
        text = formatter.format_entry(entry)
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
    waiting = {request.id: request for name in trials for request in records.of(name).unanswered}
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
