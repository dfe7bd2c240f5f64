"""The journal of a babysat model in sentences, one an entry, and why the model ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from orchestrator.records.run import RunRecords
from orchestrator.records.trial import TrialRecord
from orchestrator.report.formatting import cell, chosen, clock, number, printable, shown_name

Entry = Mapping[str, Any]

RATE_TEST = "learning_rate_test"
_CAUSES = {"schedule": "the schedule", RATE_TEST: "the learning-rate test"}


class JournalFormatter:
    """Turns entries into sentences, in order: some refer to what was said before.

    ``metric`` comes first among a day's metrics.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._asked: dict[str, Entry] = {}
        self._days: dict[tuple[str, int], Entry] = {}

    def format_entry(self, entry: Entry) -> str:
        """Return what an entry says, as one line, and remember it."""
        text = printable(_SENTENCES[entry["kind"]](self, entry))
        if entry["kind"] == "asked" and entry.get("request"):
            self._asked[entry["request"]] = entry
        if entry["kind"] == "day":
            self._days[entry["trial"], int(entry["day"])] = entry
        return text

    def _asking(self, entry: Entry) -> str:
        when = "" if entry.get("at_day") is None else f" at day {entry['at_day']}"
        waits = " (waiting)" if entry.get("waiting") else ""
        return f"{entry.get('who', 'someone')} asked: {describe_request(entry)}{when}{_why(entry)}{waits}"

    def _applied(self, entry: Entry) -> str:
        return f"{describe_action(entry)}{self._by_whom(entry)}"

    def _refused(self, entry: Entry) -> str:
        asked = self._asked.get(entry.get("request") or "")
        unknown = "the schedule" if entry.get("by") == "schedule" else "a request"
        what = f"{describe_request(asked)}, asked by {asked.get('who')}" if asked else unknown
        return f"refused: {what}: {entry.get('reason', 'no reason was given')}"

    def _effect(self, entry: Entry) -> str:
        asked = self._asked.get(entry.get("request") or "")
        cause = describe_request(asked) if asked else _other_cause(str(entry.get("by") or ""))
        text = (
            f"effect of {cause} on day {entry.get('of_day', entry['day'])}: {entry.get('metric')}"
        )
        if entry.get("before") is None:
            return f"{text} {_value(entry.get('after'))}, with no day before it to compare with"
        trend = f" (the trend would have given {_value(entry.get('expected'))})"
        return f"{text} {_value(entry['before'])} -> {_value(entry.get('after'))}{trend}"

    def _advice(self, entry: Entry) -> str:
        return _advice_words(entry)

    def _day(self, entry: Entry) -> str:
        before = self._days.get((entry["trial"], int(entry["day"]) - 1), {})
        facts = [metric_words(self._metric, entry, before)]
        loss = "val_loss" if self._metric != "val_loss" else "loss"
        facts += [metric_words(loss, entry, before)]
        if entry.get("seconds") is not None:
            facts.append(clock(entry["seconds"]))
        if entry.get("bytes") is not None:
            facts.append(f"checkpoint {size(entry['bytes'])}")
        return f"day {entry['day']} ended: {', '.join(fact for fact in facts if fact)}"

    def _verdict(self, entry: Entry) -> str:
        return f"verdict: {entry.get('text', '')}"

    def _by_whom(self, entry: Entry) -> str:
        """Return who stands behind what was done, where the entry or its request knows."""
        asked = self._asked.get(entry.get("request") or "", {})
        by = str(entry.get("by") or "")
        if by.startswith("sitter:"):
            return f" (the sitter, {by.removeprefix('sitter:')})"
        if by in _CAUSES:
            return f" ({_CAUSES[by]})"
        who = asked.get("who") or (by if "@" in by else "")
        return f" (asked by {who})" if who else ""


_SENTENCES: dict[str, Callable[[JournalFormatter, Entry], str]] = {
    "asked": JournalFormatter._asking,
    "applied": JournalFormatter._applied,
    "refused": JournalFormatter._refused,
    "effect": JournalFormatter._effect,
    "advice": JournalFormatter._advice,
    "day": JournalFormatter._day,
    "verdict": JournalFormatter._verdict,
}


def describe_request(asked: Entry) -> str:
    """Return what was asked for, shortly: ``set learning_rate 0.01``."""
    arguments = asked.get("arguments") or {}
    changes = ", ".join(
        f"{shown_name(name)} {chosen(value)}"
        for name, value in (arguments.get("changes") or {}).items()
    )
    match asked.get("action"):
        case "set":
            return f"set {changes}"
        case "rollback":
            return f"roll back to {_place(arguments)}"
        case "branch":
            place = f" at day {arguments['at_day']}" if arguments.get("at_day") is not None else ""
            return f"branch {arguments.get('name', '')}{place}" + (
                f": {changes}" if changes else ""
            )
        case "note":
            return f"note {arguments.get('text', '')!r}"
    return str(asked.get("action"))


def describe_action(entry: Entry) -> str:
    """Return what was done, shortly: ``learning_rate 0.05 -> 0.01 (live)``."""
    match entry.get("action"):
        case "rollback":
            return f"rolled back to {_place(entry)}{_changes_after(': ', entry)}"
        case "branch":
            place = "" if entry.get("to_day") is None else f" at day {entry['to_day']}"
            return f"branched off {entry.get('branch', '')}{place}{_changes_after(': ', entry)}"
        case "set":
            how = f" ({entry['how']})" if entry.get("how") else ""
            return f"{_changes_after('', entry) or 'nothing changed'}{how}"
    done = {"pause": "paused", "continue": "continued", "stop": "stopped", "note": "noted"}
    done["branch_and_compare"] = "tried branches and kept the best"
    action = str(entry.get("action"))
    return done.get(action, action) + _changes_after(": ", entry)


def metric_words(name: str, day: Entry, before: Entry) -> str:
    """Return a metric at a day's end and its change since yesterday: ``loss 0.2 (-0.01)``."""
    value = (day.get("metrics") or {}).get(name)
    if value is None:
        return ""
    yesterday = (before.get("metrics") or {}).get(name)
    change = "" if yesterday is None else f" ({value - yesterday:+.4f})"
    return f"{name} {number(value)}{change}"


def size(count: float) -> str:
    """Return a number of bytes as ``512 B``, ``12 KB`` or ``3.4 MB`` (powers of 1024)."""
    if count < 1024:
        return f"{count:.0f} B"
    if count < 1024**2:
        return f"{count / 1024:.0f} KB"
    return f"{count / 1024**2:.1f} MB"


def _place(facts: Mapping[str, Any]) -> str:
    """Return a point of return, as ``day 5, epoch 15``."""
    known = (("day", facts.get("to_day")), ("epoch", facts.get("to_epoch")))
    return ", ".join(f"{unit} {value}" for unit, value in known if value is not None) or "before"


def _changes_after(text: str, entry: Entry) -> str:
    changes = entry.get("changes") or {}
    told = [
        f"{shown_name(name)} {chosen(old)} -> {chosen(new)}" for name, (old, new) in changes.items()
    ]
    return text + ", ".join(told) if told else ""


def _why(entry: Entry) -> str:
    return f': "{entry["why"]}"' if entry.get("why") else ""


def _other_cause(by: str) -> str:
    if by.startswith("sitter:"):
        return f"the sitter's change ({by.removeprefix('sitter:')})"
    return f"{_CAUSES[by]}'s change" if by in _CAUSES else "the change"


def _value(value: Any) -> str:
    return "?" if value is None else cell(value) or "NaN"


def _advice_words(advice: Entry) -> str:
    """Return what the sitter said, so that advice cannot be taken for an action, which has an entry of its own."""
    rule, done = str(advice.get("rule")), advice.get("done")
    who = "learning-rate test" if rule == RATE_TEST else f"sitter, {rule}"
    said = str(advice.get("suggests", "")).removesuffix(".")
    if rule == RATE_TEST and not advice.get("changes"):
        return f"{who}: {said}"
    verb = "acts" if done else "advises"
    return f"{who}, {verb}: {said}" + ("; nothing was changed" if done is False else "")


_TIME = "max_trial_time"


def why_ended(records: RunRecords, trial: TrialRecord) -> str:
    """Return ``stopped on day 8 of 14 by ada@vm: "enough"``; nothing for one that lived its days, or still does."""
    if trial.ending not in ("stopped", "diverged"):
        return ""
    journal = records.of(trial.trial).journal
    days = (records.panda or {}).get("days")
    lived = records.of(trial.trial).days
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
