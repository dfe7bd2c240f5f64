"""What a run's winner does, by its examination: which classes it takes for which, and what its probabilities are worth.

``best/details.json`` can be edited by anyone: what is not as it was saved is left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.report.formatting import number
from orchestrator.report.html.charts.chart import (
    BAD,
    FAINT,
    GOOD,
    Chart,
    Option,
    Table,
    axis,
    line,
    option,
)

MOST_CLASSES = 50
"""A confusion matrix of more is in ``details.json`` alone."""
LABELLED = 20
CLEAR = "rgba(86, 180, 233, 0)"
PARTS = ("test", "validation")
OF_LAYERS = ("layer", "kind", "output", "parameters", "trainable")
PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/]+=*")
IN_TABLE = ("class", "precision", "recall", "recall_from", "recall_to", "f1", "support")


@dataclass(frozen=True)
class Mistakes:
    """The rows that a winner gets most wrong: what there is to say, and ``pictures`` or a ``table``.

    ``pictures`` are (address of a PNG, what it is).
    """

    says: str
    pictures: Sequence[tuple[str, str]] = ()
    table: Table | None = None


def mistakes(found: Mapping[str, Any]) -> Mistakes | None:
    """Return what was kept of the rows that the winner gets most wrong; None where nothing was, or it was edited."""
    try:
        examples = list(found["examples"])
        if not examples:
            return None
        says = _mistakes_say(found, len(examples))
        pictures = [(each["picture"], _mistake(each)) for each in examples if "picture" in each]
        if pictures:
            safe = [each for each in pictures if PICTURE.fullmatch(str(each[0]))]
            return Mistakes(says, pictures=safe) if safe else None
        return Mistakes(says, table=_mistakes_table(examples))
    except (AttributeError, KeyError, LookupError, TypeError, ValueError):
        return None


def _mistakes_say(found: Mapping[str, Any], shown: int) -> str:
    rows, wrong = int(found["rows"]), int(found["wrong"])
    if found["kind"] == "quantities":
        return f"Of {rows} {found['part']} rows those {shown} whose predictions are furthest off."
    worst = f", these {shown} with the least probability for what is true" if shown < wrong else ""
    return f"{wrong} of {rows} {found['part']} rows are wrong{worst}."


def _mistake(each: Mapping[str, Any]) -> str:
    sure = f" ({each['of_answer']:.0%})" if "of_answer" in each else ""
    return f"{each['truth']}, taken for {each['answer']}{sure}"


def _mistakes_table(examples: Sequence[Mapping[str, Any]]) -> Table:
    names = list(dict.fromkeys(name for each in examples for name in each.get("values", {})))
    judged = [
        key
        for key in ("truth", "answer", "of_answer", "of_truth")
        if any(key in each for each in examples)
    ]
    has_text = any("text" in each for each in examples)
    heads = {"of_answer": "p(answer)", "of_truth": "p(truth)"}
    head = [
        "row",
        *(heads.get(key, key) for key in judged),
        *names,
        *(["what it is"] if has_text else []),
    ]
    rows = [
        [
            each["row"],
            *(each.get(key) for key in judged),
            *(each.get("values", {}).get(name) for name in names),
            *([each.get("text")] if has_text else []),
        ]
        for each in examples
    ]
    return Table(head, rows)


def winner_charts(details: Mapping[str, Any]) -> list[Chart]:
    """Return the figures of an examination; none where there was none, or its file was edited."""
    try:
        return [*_confusion(details), *_calibration(details)]
    except (AttributeError, KeyError, LookupError, TypeError, ValueError):
        return []


def winner_tables(details: Mapping[str, Any]) -> dict[str, Table]:
    """Return each class's scores, and how far BatchNormalization's averages were off, as tables."""
    try:
        found = {
            f"Classes, {part} rows": _classes(one) for part, one in parts_of(details, "per_class")
        }
        if model := details.get("model"):
            name = f"The model: {len(model['layers']) + model['left_out']} layers, {model['parameters']:,} parameters"
            rows = [[each.get(key) for key in OF_LAYERS] for each in model["layers"]]
            found[f"{name}, {model['trainable']:,} of them trained"] = Table(OF_LAYERS, rows)
        layers = (details.get("batch_norm") or {}).get("layers") or []
        if layers:
            rows = [list(each.values()) for each in layers]
            found["BatchNormalization as trained, against the training rows"] = Table(
                list(layers[0]), rows
            )
    except (AttributeError, KeyError, LookupError, TypeError, ValueError):
        return {}
    return found


def parts_of(details: Mapping[str, Any], key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what is known of test rows, then of validation rows."""
    found = details.get(key) or {}
    return ((part, found[part]) for part in PARTS if isinstance(found.get(part), Mapping))


def _classes(one: Mapping[str, Any]) -> Table:
    return Table(IN_TABLE, [[each.get(name) for name in IN_TABLE] for each in one["classes"]])


def _confusion(details: Mapping[str, Any]) -> Iterator[Chart]:
    """Yield the confusion matrix, with a switch between test and validation rows."""
    found = {f"{part.capitalize()} rows": one for part, one in confusions(details).items()}
    if not found:
        return
    part, one = next(iter(found.items()))
    names, matrix = [str(each["class"]) for each in one["classes"]], one["confusion"]
    ways: dict[str, Option] = {
        label: {"series": [{"id": "confusion", "data": _cells(one["confusion"])}]}
        for label, one in found.items()
    }
    rows = sum(map(sum, matrix))
    wrong = rows - sum(matrix[i][i] for i in range(len(names)))
    says = (
        f"True classes from above, predicted ones across: {number(wrong)} of {number(rows)} {part.lower()} lie off the"
        " diagonal. The darker, the larger the share of its true class."
    )
    ramp = {"dimension": 3, "min": 0, "max": 1, "inRange": {"color": [CLEAR, "#56b4e9"]}}
    shown = option(
        xAxis=axis("predicted", "category", data=names, position="top"),
        yAxis=axis("true", "category", data=names, inverse=True),
        visualMap=ramp | {"show": False},
        series=[_heat(len(names)) | ways[part]["series"][0]],
        aria={"enabled": True, "label": {"enabled": False}},
    )
    counts = [[name, *row] for name, row in zip(names, matrix, strict=True)]
    table, height = Table(["true \\ predicted", *names], counts), 150 + 28 * len(names)
    yield Chart("confusion", "Confusion", says, shown, table, ways if len(ways) > 1 else {}, height)


def confusions(details: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return what there is to draw of each split's classes: those with one matrix, of not too many."""
    return {part: one for part, one in parts_of(details, "per_class") if _is_drawn(one)}


def _is_drawn(one: Mapping[str, Any]) -> bool:
    """Return whether there is one matrix, of not too many classes: several labels a row have one a label."""
    matrix, count = one.get("confusion") or [], len(one["classes"])
    is_square = all(isinstance(row, list) and len(row) == count == len(matrix) for row in matrix)
    has_several = bool(matrix) and isinstance(matrix[0][0], Sequence)
    return bool(matrix) and is_square and not has_several and count <= MOST_CLASSES


def _heat(classes: int) -> Option:
    border = {"color": "#fff", "textBorderColor": "#333", "textBorderWidth": 2}
    label = {"show": classes <= LABELLED, "formatter": "{@[2]}"} | border
    cell = {"borderWidth": 1, "borderColor": FAINT}
    return {"type": "heatmap", "label": label, "itemStyle": cell}


def _cells(matrix: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return [predicted, true, count, share of the true class] of each cell that has any."""
    return [
        [x, y, count, count / sum(row)]
        for y, row in enumerate(matrix)
        for x, count in enumerate(row)
        if count
    ]


def _calibration(details: Mapping[str, Any]) -> Iterator[Chart]:
    """Yield how often the winner was right, by how sure it was."""
    found = dict(parts_of(details, "calibration"))
    if not found:
        return
    part, one = next(iter(found.items()))
    bins = one["reliability"]
    series = [
        line("as sure as right", [[0, 0], [1, 1]], color=FAINT, lineStyle={"type": "dashed"}),
        _reliability("as trained", bins, GOOD, "circle"),
    ]
    says = (
        f"How often predictions for {part} rows came true, by the probability that the model gave"
        f" {details['calibration']['probability_of']}. Larger points stand for more rows; on the dashed line it would"
        f" be as sure as right. Expected error {number(one['ece'])}, by chance alone up to"
        f" {number(one['by_chance']['at_most'])}."
    )
    if after := one.get("calibrated"):
        series.append(_reliability("with temperature", after["reliability"], BAD, "triangle"))
        says += f" With temperature {number(details['calibration']['temperature'])}: {number(after['ece'])}."
    shown = option(
        legend={"top": 0},
        xAxis=axis("probability given", min=0, max=1),
        yAxis=axis("share that came true", min=0, max=1),
        series=series,
    )
    columns = ("from", "to", "rows", "confidence", "frequency")
    table = Table(columns, [[each.get(name) for name in columns] for each in bins])
    yield Chart("calibration", "Calibration", says, shown, table)


def _reliability(name: str, bins: Sequence[Mapping[str, Any]], color: str, symbol: str) -> Option:
    """Return the bins as points, the larger the more rows they stand for."""
    most = max((float(each["rows"]) for each in bins), default=1.0)
    data = [
        {
            "value": [each["confidence"], each["frequency"], each["rows"]],
            "symbolSize": 5 + 15 * math.sqrt(each["rows"] / most),
        }
        for each in bins
    ]
    shown = {"showSymbol": True, "symbol": symbol, "lineStyle": {"width": 1, "opacity": 0.5}}
    told = {
        "dimensions": ["given", "came true", "rows"],
        "encode": {"x": 0, "y": 1, "tooltip": [0, 1, 2]},
    }
    return line(name, data, color=color) | shown | told
