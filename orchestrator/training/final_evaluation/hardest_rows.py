"""The validation rows that a winner gets most wrong, as people see them: pictures, texts, or a table's own values."""

from __future__ import annotations

import base64
import json
import math
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data import Dataset, StreamedDataset, TableRecipe
from orchestrator.data.trees import between, row_count
from orchestrator.errors import OrchestratorError
from orchestrator.records import write_atomically
from orchestrator.training.calibration import Array, JudgedRows
from orchestrator.training.task import TrainingTask

EXAMPLES = "examples.json"
SIDE = 64
"""Pixels: larger pictures are made smaller."""
SMALLEST_SIDE, LONGEST = 4, 4
MOST_LETTERS = 300
MOST_VALUES = 24


def keep_examples(
    best: Path, winner: Mapping[str, Any], details: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the examples of a winner's details to a file of their own, in place of an earlier winner's.

    Returns the other details, with whose they are.
    """
    of = {"trial": winner["trial"], "epoch": winner["epoch"]}
    if "examples" in details:
        content = json.dumps(of | details["examples"], indent=1, ensure_ascii=False)
        write_atomically(best / EXAMPLES, content + "\n")
    else:
        (best / EXAMPLES).unlink(missing_ok=True)
    return of | {key: value for key, value in details.items() if key != "examples"}


def examples_of(task: TrainingTask, rows: JudgedRows | None) -> dict[str, Any]:
    """Return {examples} as ``hardest_rows`` has them, else {no_examples}: the reason; nothing where none are wanted."""
    if not task.examples or rows is None:
        return {}
    try:
        return {"examples": hardest_rows(task.dataset, rows, task.examples)}
    except (OrchestratorError, TypeError, ValueError) as error:  # rows of a kind that NumPy lacks
        return {"no_examples": str(error)}


def hardest_rows(dataset: Dataset | StreamedDataset, rows: JudgedRows, most: int) -> dict[str, Any]:
    """Return {part, kind, rows, wrong, examples} of at most ``most`` rows of the validation split, the worst first.

    Of classes and flags the rows that are wrong, by the probability that was given to what is true (of flags the
    worst one); of quantities all, by their distance in standard deviations of the truth. Each has its ``row`` in the
    split, ``truth``, ``answer``, the probability of each, and what it is made of: see ``_shown``.
    """
    badness = _badness(rows)
    wrong = int((badness > 0).sum())
    order = [int(at) for at in np.argsort(-badness, kind="stable")[:most] if badness[at] > 0]
    places = [at if rows.places is None else int(rows.places[at]) for at in order]
    content = _content(dataset, places)
    examples = [
        {"row": place, **_judged(rows, at), **shown}
        for at, place, shown in zip(order, places, content, strict=True)
    ]
    told = {"part": "validation", "kind": rows.kind, "rows": rows.rows, "wrong": wrong}
    return told | {"examples": examples}


def _badness(rows: JudgedRows) -> Array:
    """Return how wrong each row is (rows,): 0 where it is right."""
    if rows.kind == "classes":
        truth = rows.truth.astype(int)
        given = rows.answers[np.arange(rows.rows), truth]
        right = rows.answers.argmax(axis=1) == truth
        return np.where(right, 0.0, 1.0 + rows.answers.max() - given)
    off = np.abs(rows.answers - rows.truth)
    if rows.kind == "flags":
        return np.asarray(np.where((off > 0.5).any(axis=1), off.max(axis=1), 0.0))
    spread = rows.truth.std(axis=0)
    return np.asarray((off / np.where(spread > 0, spread, 1.0)).max(axis=1))


def _judged(rows: JudgedRows, at: int) -> dict[str, Any]:
    """Return what is true of a row and what was answered."""
    answers, truth = rows.answers[at], rows.truth[at]
    if rows.kind == "classes":
        chosen = int(answers.argmax())
        return {
            "truth": rows.names[int(truth)],
            "answer": rows.names[chosen],
            "of_answer": float(answers[chosen]),
            "of_truth": float(answers[int(truth)]),
        }
    if rows.kind == "flags":
        worst = int(np.abs(answers - truth).argmax())
        said = {True: "yes", False: "no"}
        return {
            "truth": f"{rows.names[worst]}: {said[bool(truth[worst] > 0.5)]}",
            "answer": said[bool(answers[worst] > 0.5)],
            "of_answer": float(max(answers[worst], 1 - answers[worst])),
        }
    return {"truth": _numbers(truth, rows.names), "answer": _numbers(answers, rows.names)}


def _numbers(values: Any, names: Sequence[str]) -> str:
    figures = [f"{float(value):.5g}" for value in values]
    if len(figures) == 1:
        return figures[0]
    return ", ".join(f"{name} {figure}" for name, figure in zip(names, figures, strict=True))


def _content(dataset: Dataset | StreamedDataset, places: Sequence[int]) -> list[dict[str, Any]]:
    """Return what rows of the validation split are made of, in the order of ``places``."""
    found: dict[int, Any] = {}
    begin = 0
    for x in _parts(dataset):
        end = begin + row_count(x)
        found |= {at: between(x, at - begin, at - begin + 1) for at in places if begin <= at < end}
        begin = end
        if len(found) == len(places):
            break
    rows = [found.get(at) for at in places]
    return _shown(rows, dataset.table, dataset.scaling)


def _parts(dataset: Dataset | StreamedDataset) -> Iterator[Any]:
    if isinstance(dataset, StreamedDataset):
        yield from (batch[0] for batch in dataset.validation.batches(256, None))
    else:
        yield dataset.validation.x


def _shown(
    rows: Sequence[Any], table: TableRecipe | None, scaling: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return {picture} (a PNG as a data address), {text} or {values} of rows, by input where there are several.

    Values are as they were before scaling; a table's gaps are as they were filled. Each row is a tree of arrays of one
    row.
    """
    known = [row for row in rows if row is not None]
    if known and isinstance(known[0], Mapping | tuple | list):
        return [{"values": dict(_of_inputs(row))} if row is not None else {} for row in rows]
    arrays = [None if row is None else _unscaled(np.asarray(row)[0], scaling) for row in rows]
    if table is not None:
        return [{} if row is None else {"values": dict(_columns(row, table))} for row in arrays]
    ends = _ends([row for row in arrays if row is not None])
    return [{} if row is None else _of_array(row, ends) for row in arrays]


def _of_inputs(row: Any) -> Iterator[tuple[str, str]]:
    named = (
        row.items()
        if isinstance(row, Mapping)
        else ((f"input {at}", x) for at, x in enumerate(row))
    )
    for name, x in list(named)[:MOST_VALUES]:
        yield str(name), _in_words(np.asarray(x)[0])


def _unscaled(x: Any, scaling: Mapping[str, Any]) -> Any:
    if scaling.get("how", "none") == "none" or x.dtype.kind not in "fiu":
        return x
    if scaling["how"] == "minmax":
        low, high = np.asarray(scaling["min"]), np.asarray(scaling["max"])
        return x * np.where(high > low, high - low, 1.0) + low
    return x * np.asarray(scaling["std"]) + np.asarray(scaling["mean"])


def _columns(features: Any, table: TableRecipe) -> Iterator[tuple[str, str]]:
    """Yield a table's columns of a row from its features: of a text the category."""
    place = 0
    for column in table.columns[:MOST_VALUES]:
        of = features[place : place + len(column.features)]
        place += len(column.features)
        if column.kind == "text":
            known = bool(len(of)) and float(of.max()) > 0.5
            yield column.name, column.categories[int(of.argmax())] if known else "none of the known"
        elif column.kind == "flag":
            yield column.name, "true" if float(of[0]) > 0.5 else "false"
        else:
            yield column.name, f"{float(of[0]):.5g}"


def _of_array(x: Any, ends: tuple[float, float]) -> dict[str, Any]:
    if x.dtype.kind in "OSU":
        return {"text": _in_words(x)}
    image = x[..., None] if x.ndim == 2 else x
    if image.ndim == 3 and image.shape[-1] in (1, 3, 4) and _is_picture(image):
        return {"picture": _picture(image, ends)}
    return {"text": _in_words(x)}


def _is_picture(image: Any) -> bool:
    """Return whether pixels are about as high as wide: a series of a few channels over many steps is not."""
    low, high = sorted(image.shape[:2])
    return bool(low >= SMALLEST_SIDE and high <= LONGEST * low)


def _in_words(x: Any) -> str:
    """Return a row of one input as a text: what it says, or its first numbers."""
    flat = np.asarray(x).reshape(-1)
    if flat.dtype.kind in "OSU":
        words = (
            each.decode(errors="replace") if isinstance(each, bytes) else str(each)
            for each in flat[:MOST_VALUES]
        )
        text = " ".join(words)
        return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 1]}…"
    numbers = ", ".join(f"{float(each):.4g}" for each in flat[:MOST_VALUES])
    return numbers + (f", … ({flat.size:,} numbers)" if flat.size > MOST_VALUES else "")


def _ends(rows: Sequence[Any]) -> tuple[float, float]:
    """Return what is black and white: 0 and 1, or 0 and 255, where all lie within, else the ends of these rows."""
    numbers = [row for row in rows if row.dtype.kind in "fiub" and row.size]
    if not numbers:
        return 0.0, 1.0
    low, high = min(float(x.min()) for x in numbers), max(float(x.max()) for x in numbers)
    slack = 1e-3
    for top in (1.0, 255.0):
        if low >= -slack * top and top / 4 < high <= top * (1 + slack):
            return 0.0, top
    return (low, high) if math.isfinite(low) and high > low else (0.0, 1.0)


def _picture(image: Any, ends: tuple[float, float]) -> str:
    """Return pixels (height, width, 1, 3 or 4) as the address of a PNG (W3C 2003, sections 7 to 11)."""
    low, high = ends
    step = max(1, -(-max(image.shape[:2]) // SIDE))
    tall, wide = (max(1, size // step) for size in image.shape[:2])
    cut = np.asarray(image[: tall * step, : wide * step], np.float64)
    small = cut.reshape(tall, step, wide, step, -1).mean(axis=(1, 3))
    pixels = np.nan_to_num((small - low) / (high - low)).clip(0, 1) * 255
    content = pixels.round().astype(np.uint8)
    lines = b"".join(b"\0" + line.tobytes() for line in content)
    kinds = {1: 0, 3: 2, 4: 6}
    header = struct.pack(">IIBBBBB", wide, tall, 8, kinds[image.shape[-1]], 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b""))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, *zip(*parts, strict=True)))
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _chunk(kind: bytes, content: bytes) -> bytes:
    check = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
