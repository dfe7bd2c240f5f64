"""An experiment file that fits the data it is for: the data are looked at, and what was decided is said.

Nobody is asked. What the reader of the data refuses is settled as its own sentence says: a column left out, or taken
for numbers. What is then written was read by the same reader, so that the file runs as it stands.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from orchestrator.catalog import find_data
from orchestrator.config.data_options import DataOptions
from orchestrator.config.document import dump
from orchestrator.config.load import name_of
from orchestrator.data import Dataset, StreamedDataset, load_dataset
from orchestrator.data.csv_form import read_form
from orchestrator.data.table_file import TableFile, read_table, reading
from orchestrator.errors import DataError, ExperimentFileError, explain

LABELS = (
    *("label", "labels", "target", "class", "y", "outcome", "category", "response", "diagnosis"),
    *("species", "survived", "quality", "price", "output", "result", "churn", "default"),
)
"""What a label column is usually called; else it is the last one."""
MOST_CLASSES = 20
MOST_TEXTS = 256
MOST_REMEDIES = 60
_IMAGE_SIZE = re.compile(r"data\.image_size: \[(\d+), (\d+)\]")
_SAVED_INDEX = re.compile(r"|__index_level_\d+__")
_IDENTIFIER = re.compile(r"(.*[_ -])?(id|uuid|guid|index|rownum|row)|unnamed: 0", re.IGNORECASE)
_COLUMN = re.compile(r"column '((?:[^'\\]|\\.)*)'")
_RARE = 0.8
"""Where one class has this share of the rows, accuracy says little."""


@dataclass
class Decided:
    """What was decided of the data so far: their options, the label, and why, in sentences."""

    options: dict[str, Any] = field(default_factory=dict)
    task: str = "auto"
    said: list[str] = field(default_factory=list)

    def drop(self, column: str, why: str) -> None:
        """Leave a column out."""
        self.options.setdefault("drop", []).append(column)
        self.said.append(f"left out {column}: {why}")


def write_starting_file(data: str, file: Path) -> list[str]:
    """Write an experiment file for ``data``, as a file names them, and return what was decided, in sentences.

    Raises what reading the data raises where that cannot be settled, ExperimentFileError where the file is there.
    """
    if file.exists():
        expected = "expected a file that does not exist, since none is overwritten"
        raise ExperimentFileError(explain("init", expected, str(file)))
    reference = _reference(data, file.absolute().parent)
    found = find_data(reference, file.absolute().parent)
    decided = Decided({"source": reference})
    if found.kind in ("csv", "parquet"):
        _decide_of_table(found.place, found.kind, f"data {reference}", decided)
    dataset = _loaded(found, decided)
    content = _content(dataset, decided, file)
    with file.open("x", encoding="utf-8") as new:
        new.write(_written(content, decided))
    return decided.said


def _reference(data: str, folder: Path) -> str:
    """Return how the file names what a shell names relative to here; a bundled set or a module as it is."""
    place, colon, member = data.partition(":")
    if not Path(place).exists():
        return data
    relative = Path(os.path.relpath(place, folder)).as_posix()
    return f"{relative if relative.startswith('..') else f'./{relative}'}{colon}{member}"


def _decide_of_table(
    place: str, form: Literal["csv", "parquet"], where: str, decided: Decided
) -> None:
    names = _names(place, form, where, decided)
    named = {name.strip().lower(): name for name in reversed(names)}
    known = next((named[each] for each in LABELS if each in named), None)
    decided.options["label"] = known or names[-1]
    table, content = _readable(place, form, where, decided)
    columns = {column.name: column.kind for column in (*table.columns, *table.targets)}
    label = known or _label_by_place(names, columns, content)
    decided.options["label"] = label
    decided.options["columns"] = {
        n: k for n, k in decided.options.get("columns", {}).items() if n != label
    }
    if not decided.options["columns"]:
        del decided.options["columns"]
    different = len(content.column(label).unique())
    if columns[label] in ("number", "whole") and different > MOST_CLASSES:
        decided.task = "regression"
    how = (
        "by its name" if known else "the last column" if label == names[-1] else "the first column"
    )
    decided.said.insert(0, f"label: {label}, {how} (another: data.label)")
    _decide_of_columns(
        {name: kind for name, kind in columns.items() if name != label}, content, decided
    )
    if len(decided.options.get("drop", ())) >= len(names) - 1:
        raise DataError(
            f"{where}: a column that a model can learn from was expected beside {label!r}. Received: none:"
            f" {'; '.join(decided.said[1:])}. Turn texts and dates into numbers in a function: data: ./load.py:load."
        )


def _names(place: str, form: Literal["csv", "parquet"], where: str, decided: Decided) -> list[str]:
    """Return a table's columns by name, without an index that was saved with it."""
    if form == "parquet":
        import pyarrow.parquet as pq

        with reading(place, where):
            names = list(pq.read_schema(place).names)
    else:
        written = read_form(place, "auto", where)
        names = list(written.names)
        if written.starts_with_data:
            names = list(read_form(place, False, where).names)
            decided.options["header"] = False
            decided.said.append(f"the first line is data: columns are {names[0]} to {names[-1]}")
    kept = [name for name in names if not _SAVED_INDEX.fullmatch(name)]
    if len(kept) < 2:
        raise DataError(
            f"{where}: a label and at least one more column were expected. Received: {_listed(kept) or 'none'}."
        )
    return kept


def _decide_of_columns(columns: Mapping[str, str], content: Any, decided: Decided) -> None:
    """Leave out what is no feature, and fill what is missing."""
    rows, gaps = content.num_rows, []
    for name, kind in columns.items():
        column = content.column(name)
        different = len(column.unique())
        if different <= 1:
            decided.drop(name, "it has the same value in every row")
        elif kind == "text" and (different > MOST_TEXTS or different == rows > MOST_CLASSES):
            decided.drop(name, _why_text(column, different))
        elif _is_identifier(name, kind, different == rows, column):
            decided.drop(name, "each row has a number of its own, as an identifier has")
        elif _has_gaps(column):
            gaps.append(name)
    if gaps:
        decided.options["missing"] = "median"
        decided.said.append(
            f"missing values in {_listed(gaps)} become the median, or the most frequent"
        )


def _readable(place: str, form: Any, where: str, decided: Decided) -> tuple[TableFile, Any]:
    """Return the table, read under options that settle whatever the reader asks about a column."""
    for _ in range(MOST_REMEDIES):
        options = DataOptions(**decided.options)
        try:
            return read_table(place, form, options, where)
        except DataError as error:
            _settle(str(error), decided)
    return read_table(place, form, DataOptions(**decided.options), where)


def _settle(refusal: str, decided: Decided) -> None:
    """Do what the reader's sentence says of a column; raise it again where it says nothing that can be done."""
    column = _COLUMN.search(refusal)
    name = column[1].encode().decode("unicode_escape") if column and "\\" in column[1] else ""
    name = name or (column[1] if column else "")
    what = refusal.partition("Received: ")[2].partition(". ")[0]
    if (
        name
        and name != decided.options.get("label")
        and "data.columns: {" in refusal
        and "number}" in refusal
    ):
        decided.options.setdefault("columns", {})[name] = "number"
        decided.said.append(
            f"{name} is a column of numbers, what is none counts as missing ({what})"
        )
    elif name and "data.drop: [" in refusal:
        decided.drop(name, what)
    elif (size := _IMAGE_SIZE.search(refusal)) and "image_size" not in decided.options:
        decided.options["image_size"] = [int(size[1]), int(size[2])]
        decided.said.append(
            f"pictures are resized to {size[1]}x{size[2]} (data.image_size), since theirs differ"
        )
    elif "data.decimal" in refusal and "decimal" not in decided.options:
        decided.options["decimal"] = "."
        decided.said.append("a comma in numbers separates thousands (data.decimal)")
    elif "write task: regression" in refusal and decided.task == "auto":
        decided.task = "regression"
    elif "data.missing" in refusal and "missing" not in decided.options:
        decided.options["missing"] = "median"
        decided.said.append("missing values become the median, or the most frequent")
    else:
        raise DataError(refusal)


def _label_by_place(names: list[str], columns: Mapping[str, str], content: Any) -> str:
    """Return the last column, or the first where that alone looks like classes, as in many old collections."""
    first, last = names[0], names[-1]
    if first not in columns or last not in columns:
        return last
    few = {name: len(content.column(name).unique()) for name in (first, last)}
    return first if 2 <= few[first] <= MOST_CLASSES < few[last] else last


def _has_gaps(column: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    if column.null_count:
        return True
    return pa.types.is_floating(column.type) and bool(pc.any(pc.is_nan(column)).as_py())


def _why_text(column: Any, different: int) -> str:
    words = [len(str(text).split()) for text in column.slice(0, 200).to_pylist() if text]
    if words and sum(words) / len(words) > 3:
        return "it is free text, which no bundled model reads"
    return f"{different} different texts, as an identifier has"


def _is_identifier(name: str, kind: str, all_differ: bool, column: Any) -> bool:
    if not all_differ or kind not in ("number", "whole"):
        return False
    values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=float)
    whole = bool(np.all(np.isfinite(values)) and np.all(values == np.floor(values)))
    counts = whole and len(values) > 2 and bool(np.all(np.diff(values) == 1))
    return whole and (counts or bool(_IDENTIFIER.fullmatch(name.strip())))


def _loaded(found: Any, decided: Decided) -> Dataset | StreamedDataset:
    """Return the data as a run would have them."""
    for _ in range(MOST_REMEDIES):
        try:
            return load_dataset(found, _options(decided), seed=0, task=decided.task)
        except DataError as error:
            _settle(str(error), decided)
    return load_dataset(found, _options(decided), seed=0, task=decided.task)


def _options(decided: Decided) -> DataOptions:
    return DataOptions(**decided.options).for_model(bundled=True)


def _content(data: Dataset | StreamedDataset, decided: Decided, file: Path) -> dict[str, Any]:
    """Return the file's keys but for the data."""
    shape = tuple(data.input_shape) if isinstance(data.input_shape, tuple) else ()
    if not shape:
        raise ExperimentFileError(
            "init: expected one array of features, which the bundled models take. Received: several. Write a model of"
            " your own (docs/your-own-model.md); 'orchestrator init' without --data writes a file to begin with."
        )
    pictures = len(shape) in (2, 3) and min(shape[:2]) >= 8 and (len(shape) == 2 or shape[2] <= 4)
    model = "cnn" if pictures and len(shape) == 3 else "mlp"
    rows = data.train.rows
    size = "x".join(map(str, shape))
    decided.said.append(
        f"model: {model}, for {size} {'pictures' if pictures else 'numbers'} a row; {rows} training rows"
    )
    content: dict[str, Any] = {
        "name": name_of(file),
        "model": model,
        "search_space": _space(model, rows),
    }
    content |= _goal(data, decided)
    content |= {"epochs": 27, "seed": 0, "caviar": {"num_samples": 32 if rows < 20_000 else 16}}
    return content


def _space(model: str, rows: int) -> str | dict[str, str]:
    """Return the bundled space, with smaller batches and layers where there are few rows."""
    if model != "mlp" or rows >= 1000:
        return model
    batches = [size for size in (8, 16, 32, 64) if size <= max(rows // 4, 8)]
    return {
        "learning_rate": "loguniform(1e-3, 0.3)",
        "momentum": "one_minus_loguniform(0.9, 0.999)",
        "batch_size": f"choice({batches})",
        "units": "choice([16, 32, 64])",
        "hidden_layers": "integer(1, 2)",
        "optimizer": "sgd",
    }


def _goal(data: Dataset | StreamedDataset, decided: Decided) -> dict[str, Any]:
    """Return the metric that fits the labels, and the task where the labels alone may be taken for another."""
    labels = data.labels
    if labels.form == "quantities":
        decided.said.append("task: regression, since the labels are quantities; judged by val_mae")
        return {"task": "regression", "metric": "val_mae"}
    if labels.form != "classes":
        decided.said.append(f"labels: {labels.form}")
        return {"metric": "val_accuracy"}
    counts = _counts(data)
    names = data.classes or labels.classes
    total = sum(counts.values())
    shown = ", ".join(
        f"{names[code] if code < len(names) else code} {n}" for code, n in counts.most_common(6)
    )
    decided.said.append(
        f"task: classification of {len(names)} classes ({shown}{', …' if len(counts) > 6 else ''})"
    )
    if total and counts.most_common(1)[0][1] / total >= _RARE:
        decided.said.append("judged by val_balanced_accuracy, since most rows are of one class")
        return {"metrics": ["balanced_accuracy"], "metric": "val_balanced_accuracy"}
    return {"metric": "val_accuracy"}


def _counts(data: Dataset | StreamedDataset) -> Counter[int]:
    if isinstance(data, StreamedDataset):
        return Counter()
    return Counter(np.asarray(data.train.y).astype(int).ravel().tolist())


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _written(content: Mapping[str, Any], decided: Decided) -> str:
    """Return the file: what was decided as comments, then the keys that matter, each with its own."""
    return "\n".join(_lines(content, decided)) + "\n"


def _lines(content: Mapping[str, Any], decided: Decided) -> Iterator[str]:
    yield "# Written by orchestrator init, after a look at the data:"
    yield from (f"#   {' '.join(sentence.split())}" for sentence in decided.said)
    yield "# Every key: docs/experiment-file.md; orchestrator preview FILE shows what would run."
    yield ""
    remarks = {
        "name": "the run's folder; auto: numbered",
        "metric": "decides which trial is better",
        "epochs": "the most that a trial trains",
        "search_space": "what is tried",
        "caviar": "many trials in parallel; strategy: panda babysits one",
    }
    yield from _key("name", content["name"], remarks)
    yield from _key("model", content["model"], remarks)
    data = decided.options if len(decided.options) > 1 else decided.options["source"]
    yield from _key("data", data, remarks)
    for key in ("search_space", "task", "metrics", "metric", "epochs", "seed", "caviar"):
        if key in content:
            yield from _key(key, content[key], remarks)


def _key(key: str, value: Any, remarks: Mapping[str, str]) -> Iterator[str]:
    first, *rest = dump({key: value}).rstrip("\n").split("\n")
    yield f"{first}  # {remarks[key]}" if key in remarks else first
    yield from rest
