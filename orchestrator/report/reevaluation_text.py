"""What a re-evaluation came to on one page, and a run's history of them as a table with its trend."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from orchestrator.records import RunRecords
from orchestrator.report.formatting import brief, minute, number, printable

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "number", "time", "decision", "then", "now", "sd", "old_model", "best_challenger", "difference", "drift",
)  # fmt: skip
FINDINGS_SHOWN = 8
TREND = 3
"""Of how many re-evaluations a trend is told at least."""


def reevaluation_lines(record: Mapping[str, Any], width: int = 80) -> list[str]:
    """Return the decision, what it rests on, and what to type next, as lines of a page."""
    lines = _wrapped(f"Decision: {record['decision']}: {record['why']}.", width)
    lines += ["", *_configurations(record, width)]
    lines += ["", *_model(record, width)]
    lines += ["", *_findings(record, width)]
    following = record.get("next") or ()
    return [*lines, "", *(line for said in following for line in _wrapped(said, width))]


def _configurations(record: Mapping[str, Any], width: int) -> Iterator[str]:
    rows = record["configurations"]
    metric = record["metric"]
    yield f"Retrained, {metric}:"
    yield f"  {'':12}{'then':>8}{'now':>8}{'seeds':>7}  better than the incumbent by"
    for row in rows:
        scores = [score for score in row["scores"] if score is not None]
        cells = "".join(f"{_short(row[name]):>8}" for name in ("then", "now"))
        yield f"  {row['name']:12}{cells}{len(scores):>7}  {_difference(row['difference'])}"
    correlation = record.get("rank_correlation")
    if correlation:
        text = (
            f"rank correlation of then and now {correlation['value']:+.2f} (of {correlation['of']})"
        )
        yield f"  {text}"
    yield from _wrapped(
        "A challenger wins if its interval, which holds the noise of seeds and of judging rows, lies above 0 and the"
        f" difference is more than {number(record['margin'])}.",
        width,
        "  ",
    )
    best = next((row for row in rows if row["name"] == record["best"]), rows[0])
    yield from _wrapped(f"{best['name']}: {brief(best['hyperparameters'])}", width, "  ")


def _difference(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["mean"] is None:
        return "no score"
    text = f"{found['mean']:+.4f}"
    if found["low"] is not None:
        text += f"  [{found['low']:+.4f}, {found['high']:+.4f}]"
    return text + ("  wins" if found["wins"] else "")


def _model(record: Mapping[str, Any], width: int) -> Iterator[str]:
    old = record.get("old_model")
    if old:
        yield from _wrapped(f"The old model: {old['said']}", width)
    yield from _wrapped(
        f"The retrained incumbent: {record['folder']}/incumbent of the run's folder", width
    )


def _findings(record: Mapping[str, Any], width: int) -> Iterator[str]:
    findings = record.get("drift") or ()
    yield "What changed:" if findings else "What changed: nothing that was looked at."
    compared = (record.get("data") or {}).get("compared") or ()
    if compared:
        yield from _wrapped(f"Compared were {', and '.join(compared)}.", width, "  ")
    for finding in findings[:FINDINGS_SHOWN]:
        yield from _wrapped(finding["said"], width, "  ")
    if len(findings) > FINDINGS_SHOWN:
        yield f"  and {len(findings) - FINDINGS_SHOWN} more (--format json)"


def history_table(records: RunRecords) -> pd.DataFrame:
    """Return one row a re-evaluation, oldest first: decision, the incumbent's score then and now, findings."""
    from orchestrator.report.tables import to_frame

    frame = to_frame(history_columns(records))
    frame.attrs["importance"] = list(HISTORY_IMPORTANCE)
    return frame


HISTORY_IMPORTANCE = ("number", "decision", "now", "old_model", "difference", "drift")
"""Which of its columns to keep first where a terminal is too narrow."""


def history_columns(records: RunRecords) -> dict[str, list[Any]]:
    """Return the columns of ``history_table``, without pandas."""
    rows = [_row(event) for event in _done(records)]
    return {name: [row[name] for row in rows] for name in COLUMNS}


def _done(records: RunRecords) -> list[Mapping[str, Any]]:
    return [event for event in records.events if event["event"] == "reevaluated"]


def _row(event: Mapping[str, Any]) -> dict[str, Any]:
    incumbent, *others = event["configurations"]
    compared = [each["difference"] for each in others if each["difference"]["mean"] is not None]
    best = max(compared, key=lambda each: float(each["mean"]), default=None)
    scores = [score for score in incumbent["scores"] if score is not None]
    return {
        "number": int(event["number"]),
        "time": minute(str(event["time"])),
        "decision": event["decision"],
        "then": incumbent["then"],
        "now": incumbent["now"],
        "sd": _deviation(scores),
        "old_model": (event.get("old_model") or {}).get("now"),
        "best_challenger": best and best["name"],
        "difference": best and best["mean"],
        "drift": ", ".join(dict.fromkeys(f["what"] for f in event.get("drift") or ())) or None,
    }


def _deviation(scores: Sequence[float]) -> float | None:
    if len(scores) < 2:
        return None
    mean = sum(scores) / len(scores)
    return float((sum((score - mean) ** 2 for score in scores) / (len(scores) - 1)) ** 0.5)


def history_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return the trend of a run's re-evaluations in sentences; what to type where there is none."""
    rows = [_row(event) for event in _done(records)]
    if not rows:
        return [f"no re-evaluation yet: orchestrator reevaluate {records.folder.path}"]
    return [line for said in _trends(rows, records.metric) for line in _wrapped(said, width)]


def _trends(rows: Sequence[Mapping[str, Any]], metric: str) -> Iterator[str]:
    for name, words in (("now", "retrained incumbent"), ("old_model", "old model")):
        values = [float(row[name]) for row in rows if row[name] is not None]
        if len(values) >= TREND:
            slope = _slope(values)
            yield (
                f"{words}: {metric} {number(values[0])} -> {number(values[-1])} over {len(values)} re-evaluations,"
                f" {slope:+.4f} each"
            )
    decisions = [str(row["decision"]) for row in rows]
    kept = 0
    while kept < len(decisions) and decisions[-1 - kept] == decisions[-1]:
        kept += 1
    if len(decisions) > 1:
        yield f"decision: {decisions[-1]}, {kept} in a row of {len(decisions)}"


def _slope(values: Sequence[float]) -> float:
    """Return the slope of the least-squares line through values at 0, 1, 2, ..."""
    middle = (len(values) - 1) / 2
    squares = sum((at - middle) ** 2 for at in range(len(values)))
    return sum((at - middle) * value for at, value in enumerate(values)) / squares


def _short(value: float | None) -> str:
    return "" if value is None else number(value)


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        printable(text),
        width,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_on_hyphens=False,
        break_long_words=False,
    )
