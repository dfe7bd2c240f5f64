"""What a line of each record file must have to make sense."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError, explain
from orchestrator.records.checking import check_line
from orchestrator.records.journal import REQUIRED
from orchestrator.records.lines import way_out

_TRIAL_EVENTS = {
    "started": ("index", "seed", "hyperparameters", "time"),
    "ended": ("status", "time"),
}
_NEEDED: Mapping[str, tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]] = {
    "trials.jsonl": (("event", "trial"), _TRIAL_EVENTS),
    "epochs.jsonl": (("trial", "epoch", "metrics", "seconds"), {}),
    "events.jsonl": (("event", "time"), {"winner": ("trial", "epoch")}),
    "journal.jsonl": (REQUIRED, {"day": ("metrics",), "applied": ("action",)}),
}
"""By file: the fields of every line, and those that a line of a certain event, or kind of entry, needs besides."""


def check_record(file: Path, number: int, record: Mapping[str, Any]) -> None:
    """Raise RecordError, naming file and line, where a record is not what its file's readers need."""
    where = f"{file}, line {number}"
    required, more = _NEEDED[file.name]
    kind = record.get(required[0])
    try:
        check_line(record, (*required, *more.get(str(kind), ())), where)
        if file.name == "trials.jsonl" and kind not in _TRIAL_EVENTS:
            raise RecordError(explain(where, "an event", kind, _TRIAL_EVENTS))
    except RecordError as error:
        raise RecordError(f"{error} {way_out(file)}") from None
