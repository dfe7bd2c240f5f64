"""Why a babysat trial ended before its days were over, in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.records.run import RunRecords
from orchestrator.records.trial import TrialRecord

_TIME = "max_trial_time"


def why_ended(records: RunRecords, trial: TrialRecord) -> str:
    """Return ``stopped on day 8 of 14 by ada@vm: "enough"``; nothing for one that lived its days, or still does."""
    if trial.ending not in ("stopped", "diverged"):
        return ""
    journal = records.journal_of(trial.trial)
    days = (records.experiment.get("panda") or {}).get("days")
    lived = records.days_of(trial.trial)
    today = int(lived[-1]["day"]) if lived else 0
    when = f"after day {today}" + (f" of {days}" if days else "")
    return f"{trial.ending} {when}{_cause(journal, trial)}"


def _cause(journal: Iterable[Mapping[str, Any]], trial: TrialRecord) -> str:
    """Return who ended it and why: the last of those that could have."""
    if (trial.stopped_by or {}).get("scheduler") == _TIME:
        return ": limits.max_trial_time was used up"
    said, asked, rule = "", {}, ""
    for entry in journal:
        match entry["kind"]:
            case "asked":
                asked[entry.get("request")] = entry
            case "advice":
                rule = str(entry.get("rule"))
            case "verdict":
                rule = str(entry.get("rule") or rule)
                by = f" by the sitter ({rule})" if trial.ending == "stopped" and rule else ""
                said = f"{by}: {entry.get('text', '')}"
            case "applied" if entry.get("action") == "stop":
                why = asked.get(entry.get("request"), {}).get("why")
                said = f" by {entry.get('by') or 'someone'}" + (f': "{why}"' if why else "")
    return said
