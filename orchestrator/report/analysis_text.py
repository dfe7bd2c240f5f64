"""What mattered in a run and what stands out, as sentences and tables."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.analysis import RULES, USUAL, Estimate, Finding, Importance, diagnose, number
from orchestrator.records import RunRecords
from orchestrator.redaction import redact
from orchestrator.report.formatting import printable
from orchestrator.report.tables import by_column, to_frame

if TYPE_CHECKING:
    import pandas as pd

IMPORTANT = 3
"""How many findings a run's summary has."""


def importance_table(found: Importance) -> pd.DataFrame:
    """Return one row a hyperparameter, most important first: shares from 0 to 1 and their 95 % intervals."""
    rows = [
        {
            "hyperparameter": each.hyperparameter,
            "variance": each.variance.value if each.variance else None,
            "variance_low": each.variance.low if each.variance else None,
            "variance_high": each.variance.high if each.variance else None,
            "top": each.top.value,
            "top_low": each.top.low,
            "top_high": each.top.high,
            "beyond_chance": each.matters,
            "usual": each.usual,
            "trials": each.trials,
        }
        for each in found.weights
    ]
    return to_frame(by_column(rows))


def importance_lines(found: Importance, width: int = 80) -> list[str]:
    """Return what mattered as a table for people, and sentences on what the figures are and where they surprise."""
    head = ("hyperparameter", "variance explained", f"sets the best {found.best} apart", "usual")
    rows = [
        (
            each.hyperparameter + (" *" if each.matters else ""),
            _percent(each.variance),
            _percent(each.top),
            str(each.usual),
        )
        for each in found.weights
    ]
    lines = _columns([head, *rows]) if rows else []
    return [*lines, *([""] if rows else []), *_said(found, width)]


def _said(found: Importance, width: int) -> list[str]:
    said = [
        f"{number(found.trials, 'trial')} compared by {found.metric} at epoch {found.epoch}; those stopped before stand"
        " behind, diverged ones last. 95 % intervals over trials drawn anew with replacement.",
        "Variance explained: by it alone, of a forest fitted to the trials' ranks (fANOVA); the rest lies in"
        f" interactions. Sets apart: its share of what sets the best {found.best} apart (PED-ANOVA). *: more than by"
        " chance.",
    ]
    some = [w for w in found.weights if w.trials < found.trials]
    if some:
        had = ", ".join(f"{each.hyperparameter} ({each.trials} trials)" for each in some)
        said.append(
            f"Not every trial has {had}. Optuna's fANOVA takes no conditional spaces: variance is among the trials that"
            " have it; PED-ANOVA weighs how often the best have it."
        )
    if any(each.variance is None for each in found.weights):
        said.append("-: fANOVA cannot tell from these trials.")
    if found.fixed:
        said.append(f"Never varied: {', '.join(found.fixed)}.")
    if found.rare:
        said.append(f"Too few trials have {', '.join(found.rare)} to tell.")
    usual = "; ".join(", ".join(names) for names in USUAL)
    against = [f"{more} mattered more than {less}" for more, less in found.against]
    other = f"against it, {_listed(against)}" if against else "these trials do not contradict it"
    said.append(f"Usual order: {usual}; the rest. Here {other}.")
    return [line for text in said for line in _wrapped(text, width)]


def _percent(found: Estimate | None) -> str:
    if found is None:
        return "-"
    return f"{100 * found.value:.0f} % ({100 * found.low:.0f} to {100 * found.high:.0f})"


def _listed(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{'; '.join(texts[:-1])}; and {texts[-1]}"


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(size) if place == 0 else text.rjust(size)
            for place, (text, size) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def diagnosis_lines(found: Sequence[Finding], width: int = 80) -> list[str]:
    """Return each finding and what to type next, a command on a line of its own."""
    if not found:
        return _wrapped(
            f"Nothing stands out: none of {len(RULES)} rules has anything to say.", width
        )
    lines: list[str] = []
    for finding in found:
        says = printable(finding.says)
        lines += [
            "",
            *_wrapped(f"{says[0].upper()}{says[1:]}.", width),
            *next_lines(finding, width),
        ]
    return lines[1:]


def next_lines(finding: Finding, width: int) -> list[str]:
    """Return what to type next, broken between words in the way that its language goes on in the next line."""
    text = redact(printable(finding.next))
    if not text.startswith("orchestrator "):  # a call in Python
        return textwrap.wrap(text, width, initial_indent="  ", subsequent_indent="    ")
    words = [shlex.quote(word) for word in shlex.split(text)]
    parts: list[str] = []
    for word in words:
        if parts and parts[-1].startswith("--") and " " not in parts[-1]:
            parts[-1] += f" {word}"  # an option and its value
        else:
            parts.append(word)
    lines: list[str] = []
    for part in parts:
        if lines and len(lines[-1]) + len(part) + 3 <= width:
            lines[-1] += f" {part}"
        else:
            lines.append(f"  {'  ' if lines else ''}{part}")
    return [*(f"{line} \\" for line in lines[:-1]), lines[-1]]


def hint_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return the few findings that matter most, for the end of a run."""
    found = diagnose(records)
    lines: list[str] = []
    for finding in found[:IMPORTANT]:
        lines += _wrapped(f"Hint: {printable(finding.says)}.", width)
        lines += next_lines(finding, width)
    more = len(found) - IMPORTANT
    if more > 0:
        lines += _wrapped(f"{more} more: orchestrator diagnose {records.folder.path}", width)
    return lines


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(redact(text), width, subsequent_indent="  ", break_on_hyphens=False)
