"""What a line of each record file must have to make sense, and of which type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError, explain
from orchestrator.records.lines import way_out

Fields = Mapping[str, type | tuple[type, ...]]
_TRIALS: Mapping[str, Fields] = {
    "started": {"index": int, "seed": int, "hyperparameters": dict, "time": str},
    "ended": {"status": str, "time": str},
}
_FIELDS: Mapping[str, Fields] = {
    "trials.jsonl": {"event": str, "trial": str},
    "epochs.jsonl": {"trial": str, "epoch": int, "metrics": dict},
    "events.jsonl": {"event": str},
    "journal.jsonl": {"kind": str, "trial": str, "time": str, "epoch": int, "day": int},
}
_IF_THERE: Fields = {"time": str, "seconds": (int, float, type(None))}


def check_record(file: Path, number: int, record: Mapping[str, Any]) -> None:
    """Raise RecordError, naming file and line, where a record lacks what its file's readers need."""
    where = f"{file}, line {number}"
    _check(record, _FIELDS[file.name], where, file)
    if file.name == "trials.jsonl":
        if record["event"] not in _TRIALS:
            raise RecordError(
                f"{explain(where, 'an event', record['event'], _TRIALS)} {way_out(file)}"
            )
        _check(record, _TRIALS[record["event"]], where, file)
    there = {name: kind for name, kind in _IF_THERE.items() if name in record}
    _check(record, there, where, file)


def _check(record: Mapping[str, Any], fields: Fields, where: str, file: Path) -> None:
    for name, kind in fields.items():
        if name not in record:
            missing = explain(where, f"the field {name!r}", sorted(record))
            raise RecordError(f"{missing} {way_out(file)}")
        if not isinstance(record[name], kind):
            wrong = explain(where, f"another type of value for {name!r}", record[name])
            raise RecordError(f"{wrong} {way_out(file)}")
