"""How a run's rounds went from coarse to fine: a table, and the sentences of ``orchestrator rounds``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from orchestrator.records import RunRecords
from orchestrator.redaction import redact
from orchestrator.report.formatting import number, printable
from orchestrator.report.tables import to_frame
from orchestrator.search.plan import findings_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("round", "first", "trials", "hyperparameter", "move", "before", "now", "why")


def rounds_table(records: RunRecords) -> pd.DataFrame:
    """Return one row for each round and hyperparameter: how its range moved, and why."""
    rows = [
        {**_of(event), **{name: finding.get(name) for name in COLUMNS[3:]}}
        for event in _began(records)
        for finding in findings_of(event)
    ]
    frame = to_frame({name: [row.get(name) for row in rows] for name in COLUMNS})
    frame.attrs["importance"] = ["round", "hyperparameter", "move", "now", "before"]
    return frame


def _began(records: RunRecords) -> list[Mapping[str, Any]]:
    return [event for event in records.events if event["event"] == "round_began"]


def _of(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in ("round", "first", "trials")}


def rounds_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return each round with its trials and its best, and how each range moved and why."""
    began = _began(records)
    last = records.planned_trials if not began else int(began[0]["first"])
    lines = [_head(records, 1, last, "the search space")]
    for event in began:
        share = event.get("share_of_whole")
        whole = f", {share:.0%} of them from the whole search space" if share else ""
        lines += ["", *_wrapped(_head(records, event["round"], event["trials"], whole), width)]
        lines += finding_lines(findings_of(event), width)
    if not began:
        lines.append("no further round has begun")
    return lines


def _head(records: RunRecords, round_number: int, trials: int, more: str) -> str:
    """Return a round's first line."""
    best = _best_of(records, round_number)
    found = f"; best {records.metric} {number(best)}" if best is not None else ""
    more = more if more.startswith(",") or not more else f" from {more}"
    return f"Round {round_number}: {trials} trials{more}{found}"


def _best_of(records: RunRecords, round_number: int) -> float | None:
    for trial in records.contenders:
        if records.state.round_of(trial.trial) == round_number:
            found = records.of(trial.trial).best
            return found.value if found else None
    return None


def finding_lines(findings: Iterable[Mapping[str, Any]], width: int) -> Iterator[str]:
    """Yield what became of each range, and why below it."""
    for finding in findings:
        move, before, now = (str(finding.get(name)) for name in ("move", "before", "now"))
        ranges = before if before == now else f"{before} -> {now}"
        text = f"{finding['hyperparameter']}: {move}: {ranges}"
        yield from _indented(text, width, "  ", "    ")
        yield from _indented(str(finding.get("why")), width, "    ", "    ")


def _indented(text: str, width: int, first: str, more: str) -> list[str]:
    return textwrap.wrap(
        redact(printable(text)),
        width,
        initial_indent=first,
        subsequent_indent=more,
        break_on_hyphens=False,
    )


def _wrapped(text: str, width: int) -> list[str]:
    return _indented(text, width, "", "  ")
