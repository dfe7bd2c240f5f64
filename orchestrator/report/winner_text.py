"""What is known of a winner beyond its scores, in sentences and tables: how good it really is, and where it fails."""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records import RunRecords
from orchestrator.redaction import redact
from orchestrator.report.formatting import number, printable
from orchestrator.search.selection_bias import Corrected, corrected_score, validation_rows

SHOWN = 3
"""How many failing classes the summary names."""
NEEDED = 2.0
"""A temperature whose logarithm is not so many standard errors from 0 changes nothing that is known to need it."""
MOST_COLUMNS = 12
"""A confusion matrix of more classes is in the file alone."""


_RECALLS = ("recall", "recall_from", "recall_to", "others", "support")
_GAP = ("moving_averages", "batch_statistics", "gap", "batch_size")


def corrected_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return the best score corrected for having been picked, and which rows picked; nothing where nothing was."""
    found = corrected_score(records)
    if found is None:
        return []
    text = (
        f"corrected: {number(found.value)} ({number(found.low)} to {number(found.high)}) for having been picked"
        f" from {_picked_from(found)}"
    )
    return _wrapped(text, width)


def _picked_from(found: Corrected) -> str:
    what = "replicate" if found.replicates else "trial"
    trials = f"{found.trials} {what}{'s' * (found.trials != 1)}"
    return trials if found.epochs == found.trials else f"{trials} and their {found.epochs} epochs"


def quality_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return a line each on calibration, BatchNormalization and failing classes, as far as the record has them."""
    winner = records.winner or {}
    said = [*_failing(winner), *_not_finite(winner), *_calibration(winner), *_batch_norm(winner)]
    return [line for text in said for line in _wrapped(text, width)]


def _failing(winner: Mapping[str, Any]) -> Iterator[str]:
    failing = [one for one in _mappings(winner.get("failing")) if _are_numbers(one, _RECALLS)]
    for one in failing[:SHOWN]:
        yield f"fails: {_failed(one)}"
    if len(failing) > SHOWN:
        yield f"fails: {len(failing) - SHOWN} more classes; 'orchestrator best RUN --details' names them"


def _failed(one: Mapping[str, Any]) -> str:
    name, rows = printable(str(one.get("class"))), one.get("support") or 0
    if one.get("never_predicted"):
        text = f"class {name} is never predicted ({number(rows)} validation rows)"
    else:
        text = (
            f"class {name}: recall {number(one['recall'])} ({number(one['recall_from'])} to"
            f" {number(one['recall_to'])}) on {number(rows)} validation rows, the others' {number(one['others'])}"
        )
    if one.get("taken_for"):
        largest = ", the largest class" if one.get("largest") else ""
        taken = printable(str(one["taken_for"]))
        text += f"; {one['share']:.0%} of those missed are taken for {taken}{largest}"
    return text


def _not_finite(winner: Mapping[str, Any]) -> Iterator[str]:
    found = winner.get("not_finite")
    for part, rows in (found if isinstance(found, Mapping) else {}).items():
        yield f"fails: outputs for {rows} {part} rows are not finite; figures below are of the others"


def _calibration(winner: Mapping[str, Any]) -> Iterator[str]:
    found = winner.get("calibration")
    ece = found.get("ece") if isinstance(found, Mapping) else None
    if not isinstance(found, Mapping) or not _are_numbers(ece, ("validation",)):
        return
    text = f"calibration error: {number(found['ece']['validation'])}"
    if _are_numbers(found, ("ece_by_chance",)):
        text += f" (by chance up to {number(found['ece_by_chance'])})"
    names = ("temperature", "temperature_log_error", "ece_calibrated")
    value, error, after = (found.get(name) or 0.0 for name in names)
    if _are_numbers(found, names) and value > 0 and abs(math.log(value)) > NEEDED * error:
        text += (
            f"; {number(after)} with temperature {number(value)} (predict and export --calibrated)"
        )
    yield text


def _batch_norm(winner: Mapping[str, Any]) -> Iterator[str]:
    found = winner.get("batch_norm")
    if not isinstance(found, Mapping) or not _are_numbers(found, _GAP):
        return
    noise = (winner.get("noise") or {}).get(found["metric"])
    if noise is not None and abs(found["gap"]) <= noise:
        return
    yield (
        f"batch norm: {found['metric']} {number(found['moving_averages'])} with moving averages,"
        f" {number(found['batch_statistics'])} with the statistics of batches of {found['batch_size']}"
    )


def details(records: RunRecords) -> dict[str, Any]:
    """Return all that an examination found of a run's winner, and its corrected score, as JSON has it.

    Raises RecordError where the run has no winner, or was examined before there were details.
    """
    winner, file = records.winner, records.folder.best / "details.json"
    if winner is None:
        raise RecordError(
            f"{records.name}: expected a run whose winner was examined. Received: one without."
        )
    found: dict[str, Any] = {}
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        raise RecordError(f"{file}: expected the winner's details. Received: {error}.") from None
    if not isinstance(found, dict) or found.get("trial", winner["trial"]) != winner["trial"]:
        raise RecordError(f"{file}: expected details of trial {winner['trial']}. Received: others.")
    corrected = corrected_score(records)
    scores = {
        "metric": records.metric,
        "corrected": asdict(corrected) if corrected else None,
        "validation": winner.get("validation"),
        "test": winner.get("test"),
    }
    return {"trial": winner["trial"], "epoch": winner["epoch"], **scores, **found}


def detail_lines(records: RunRecords, width: int = 80) -> list[str]:
    """Return ``details`` for people: which rows chose and judged, classes, confusion, reliability, layers."""
    found = details(records)
    try:
        return _told(records, found, width)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        file = records.folder.best / "details.json"
        expected = "expected the winner's details as they were saved"
        raise RecordError(f"{file}: {expected}. Received: others.") from None


def _told(records: RunRecords, found: Mapping[str, Any], width: int) -> list[str]:
    lines = [f"Winner: trial {found['trial']}, epoch {found['epoch']}"]
    lines += [line for text in _who_judged(records, found) for line in textwrap.wrap(text, width)]
    if found.get("not_detailed"):
        lines += textwrap.wrap(f"No details: {printable(found['not_detailed'])}", width)
    for part, one in _parts(found.get("per_class")):
        lines += ["", f"Classes, {part} rows", *_class_rows(one), *_confusion_rows(one, part)]
    for part, one in _parts(found.get("calibration")):
        lines += ["", *_calibration_rows(found["calibration"], one, part, width)]
    for part, columns in (found.get("residuals") or {}).items():
        lines += ["", f"Prediction - truth, {part} rows", *_table(_mappings(columns))]
    if layers := _mappings((found.get("batch_norm") or {}).get("layers")):
        lines += ["", "BatchNormalization as trained, against the training rows", *_table(layers)]
    return lines


def _who_judged(records: RunRecords, found: Mapping[str, Any]) -> Iterator[str]:
    rows = validation_rows(records)
    these = f"The same {rows} validation rows" if rows else "The same validation rows"
    corrected = found["corrected"]
    if corrected:
        yield (
            f"{records.metric} {number(corrected['raw'])}, corrected {number(corrected['value'])}"
            f" ({number(corrected['low'])} to {number(corrected['high'])}, 95 %)."
        )
    yield f"{these} chose each trial's best epoch, then the trial: the raw score is too good by that."
    if corrected and corrected["replicates"]:
        yield (
            "The race trained its finalists again with fresh seeds: their means owe nothing to a lucky seed, but they"
            " were judged on the rows that had chosen the finalists."
        )
    if found["test"]:
        yield "Test rows chose nothing, and were used once, for the winner."


def _class_rows(found: Mapping[str, Any]) -> list[str]:
    names = ("class", "precision", "recall", "recall_from", "recall_to", "f1", "support")
    rows = [{name: one.get(name) for name in names} for one in _mappings(found.get("classes"))]
    lines = _table(rows)
    if found.get("left_out"):
        lines.append(f"{found['left_out']} rows are left out: their outputs are not finite.")
    return lines


def _confusion_rows(found: Mapping[str, Any], part: str) -> list[str]:
    matrix, classes = found.get("confusion") or [], _mappings(found.get("classes"))
    names = [str(one.get("class")) for one in classes]
    flags = bool(matrix) and isinstance(matrix[0][0], Sequence)
    # What is wide is in the file, and in JSON, whole.
    if not matrix or flags or len(names) > MOST_COLUMNS:
        return []
    rows = [
        {"true \\ predicted": name, **dict(zip(names, row, strict=True))}
        for name, row in zip(names, matrix, strict=True)
    ]
    return ["", f"Confusion, {part} rows", *_table(rows)]


def _calibration_rows(
    whole: Mapping[str, Any], found: Mapping[str, Any], part: str, width: int
) -> list[str]:
    chance = found["by_chance"]
    text = (
        f"Calibration, {part} rows, of the probability of {printable(whole['probability_of'])}: expected error"
        f" {number(found['ece'])} over 15 bins of equal width; by chance alone {number(chance['mean'])}, up to"
        f" {number(chance['at_most'])} in 95 of 100. NLL {number(found['nll'])}, Brier {number(found['brier'])}."
    )
    if after := found.get("calibrated"):
        text += (
            f" With temperature {number(whole['temperature'])}, fitted on validation rows: expected error"
            f" {number(after['ece'])}, NLL {number(after['nll'])}, Brier {number(after['brier'])}."
        )
    elif whole.get("why_none"):
        text += f" No temperature: {printable(whole['why_none'])}."
    names = ("from", "to", "rows", "confidence", "frequency")
    rows = [{name: one.get(name) for name in names} for one in _mappings(found["reliability"])]
    return [*textwrap.wrap(text, width), *_table(rows)]


def _table(rows: Sequence[Mapping[str, Any]], width: int = 80) -> list[str]:
    from orchestrator.report.render import text_table
    from orchestrator.report.tables import by_column, to_frame

    return text_table(to_frame(by_column(rows)), width).rstrip("\n").splitlines() if rows else []


def _parts(found: Any) -> Iterator[tuple[str, Any]]:
    for part in ("validation", "test"):
        if isinstance(found, Mapping) and isinstance(found.get(part), Mapping):
            yield part, found[part]


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    """Return the mappings of a list: a record can be edited by hand."""
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _are_numbers(found: Any, names: Sequence[str]) -> bool:
    """Return whether a mapping, which may have been edited by hand, has a finite number of each name."""
    values = [found.get(name) if isinstance(found, Mapping) else None for name in names]
    return all(isinstance(value, int | float) and math.isfinite(value) for value in values)


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(redact(text), width, initial_indent="  ", subsequent_indent="    ")
