"""From raw features and labels to the finished Dataset: classes, splits, scaling, fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.along import Along
from orchestrator.data.dataset import PARTS, RAW_ROWS, DataRequest, Dataset, Split
from orchestrator.data.division import Cut, Rows, divide, division_facts
from orchestrator.data.given import check_features, check_lengths
from orchestrator.data.labels import (
    Labels,
    describe,
    given_labels,
    of_task,
    outputs_of,
)
from orchestrator.data.messages import refused
from orchestrator.data.scaling import Scaler, fit_scaler, moments_of
from orchestrator.data.splits import (
    check_given,
    check_weights,
    missing_shares,
    weighted_by_class,
)
from orchestrator.data.trees import (
    ContentHash,
    between,
    leaves,
    map_tree,
    row_count,
    shapes_of,
    take,
)
from orchestrator.errors import DataError

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions


def assemble(
    given: Mapping[str, tuple[Any, ...]], request: DataRequest, along: Along | None = None
) -> Dataset:
    """Return the dataset of arrays that a user gave as ``{"train": (x, y) or (x, y, weight), ...}``.

    Where validation or test is not given, it is cut from the training rows, ``along`` their groups or times.
    """
    where, options = request.where, request.options
    x, y, weights = _checked(given, where)
    labels = of_task(describe(list(y.values()), where), y, request.task, where)
    divided = assigned(labels, y, along, request)
    labels, assignment = divided.labels, divided.assignment
    numbers = {part: labels.numbers(y[part]) for part in given}
    fingerprint = _fingerprint({"x": x, "y": numbers, "weight": weights}, divided)
    training = np.flatnonzero(assignment == 0) if (assignment != 0).any() else None
    moments = moments_of(x["train"], training) if _scaled(options, x, where) else None
    scaler = fit_scaler(options.scale, moments)
    whole = {part: Split(x[part], numbers[part], None, weights[part]) for part in given}
    splits: dict[str, Any] = cut(whole["train"], assignment, scaler)
    splits |= {part: _scaled_split(whole[part], scaler) for part in set(given) - {"train"}}
    dataset = Dataset(
        **splits,
        classes=labels.classes,
        scaling=scaler.document,
        fingerprint=fingerprint,
        source=request.source,
        labels=labels.fitted(splits["train"].labels),
        view="given",
        raw=None if scaler.how == "none" else _raw(x, assignment),
        division=divided.facts,
    )
    dataset = dataset.viewed("codes") if labels.form == "classes" else dataset
    return weighted_by_class(dataset, options.class_weight, where)


def _checked(
    given: Mapping[str, tuple[Any, ...]], where: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return features, labels and weights by split, each of as many rows."""
    places = {part: where if len(given) == 1 else f"{where} ({part})" for part in given}
    x = {part: check_features(given[part][0], places[part]) for part in given}
    _check_shapes(x, where)
    outputs = {part: outputs_of(given[part][1], row_count(x[part])) for part in given}
    y = {part: given_labels(outputs[part], places[part]) for part in given}
    weights = {part: check_weights(given[part][2:], x[part], places[part]) for part in given}
    for part in given:
        check_lengths(x[part], y[part], places[part])
    return x, y, weights


def cut(whole: Split, assignment: npt.NDArray[np.uint8], scaler: Scaler) -> dict[str, Any]:
    """Return the scaled Splits of the rows given, each in their order."""
    splits: dict[str, Any] = {}
    for number, part in enumerate(PARTS):
        rows = np.flatnonzero(assignment == number)
        weight = None if whole.weight is None else whole.weight[rows]
        x = map_tree(scaler.scale, take(whole.x, rows))
        splits[part] = Split(x, take(whole.y, rows), take(whole.given, rows), weight)
    return splits


def _raw(x: Mapping[str, Any], assignment: npt.NDArray[np.uint8]) -> Any:
    """Return the first rows of the last split as they were given."""
    if "test" in x:
        return between(x["test"], 0, RAW_ROWS)
    return take(x["train"], rows_of_last(assignment)) if (assignment == 2).any() else None


def rows_of_last(assignment: npt.NDArray[np.uint8]) -> Any:
    """Return where the first rows of the last split lie that has any."""
    last = 2 if (assignment == 2).any() else 1
    return np.flatnonzero(assignment == last)[:RAW_ROWS]


def _scaled_split(split: Split, scaler: Scaler) -> Split:
    return replace(split, x=map_tree(scaler.scale, split.x))


@dataclass(frozen=True, eq=False)
class Divided:
    """What labels are, which training row is for what in one fold, and what is recorded of that.

    ``numbers`` (rows,) tell the rows of every fold, and so data that are split in another way; None where nothing but
    the seed decides.
    """

    labels: Labels
    assignment: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.int16] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def assigned(
    labels: Labels, y: Mapping[str, Any], along: Along | None, request: DataRequest
) -> Divided:
    """Return the labels and which training row is for what: each class cut by itself, other labels all together.

    ``y``: the labels by split, as the user gave them. Rows with groups or times are divided along those. Raises
    DataError where classes were asked for and the labels make none that can be split.
    """
    divided = _assigned(labels, y, along, request)
    if divided.labels.fault and request.task in ("classification", "binary"):
        raise DataError(divided.labels.fault)
    return divided


def _assigned(
    labels: Labels, y: Mapping[str, Any], along: Along | None, request: DataRequest
) -> Divided:
    plain = _rows(None, labels, y, along)
    if labels.form != "classes":
        return _divided(labels, plain, list(y), request)
    codes = {part: labels.view(labels.numbers(y[part]), "codes") for part in y}
    counts = {part: np.bincount(codes[part], minlength=len(labels.classes)) for part in y}
    try:
        if len(y) > 1:
            check_given(counts, labels.classes, request.where)
        return _divided(labels, _rows(codes["train"], labels, y, along), list(y), request)
    except DataError as error:
        if not labels.are_numbers:
            raise
        # A model that its builder compiled may take these numbers for quantities: refused later where none does.
        return _divided(replace(labels, fault=str(error)), plain, list(y), request)


def _rows(codes: Any, labels: Labels, y: Mapping[str, Any], along: Along | None) -> Rows:
    """Return what rows are divided by; ``along`` is of the rows of every part, in their order."""
    count, classes = row_count(y["train"]), () if codes is None else labels.classes
    if along is None:
        return Rows(count, codes, classes)
    ends = np.cumsum([row_count(own) for own in y.values()])
    if len(along.codes) != ends[-1]:
        where = f"{along.of.where}, {along.of.name!r}"
        expected = f"a value for each of the {ends[-1]} rows was expected"
        raise refused(where, expected, f"{len(along.codes)} values")
    given = dict(zip(y, np.split(along.codes, ends[:-1]), strict=True))
    mine = replace(along, codes=given.pop("train"))
    return Rows(count, codes, classes, mine, given)


def _divided(labels: Labels, rows: Rows, parts: list[str], request: DataRequest) -> Divided:
    shares = missing_shares(parts, request.options)
    cut = Cut(shares, request.seed, request.where, request.options.folds)
    division = divide(rows, cut, request.fold)
    plain = rows.along is None and cut.folds is None
    return Divided(
        labels,
        division.parts(request.fold),
        None if plain else division.numbers,
        division_facts(division, rows, request.fold),
    )


def _scaled(options: DataOptions, x: Mapping[str, Any], where: str) -> bool:
    """Return whether features are scaled. Raises DataError where that is asked for several inputs."""
    if not isinstance(x["train"], dict | tuple):
        return options.scale != "none"
    if options.scale in ("standard", "minmax"):
        raise refused(
            where,
            "data.scale: none was expected for several inputs",
            f"data.scale: {options.scale}",
            "Scale them in load(), or by a Normalization layer in the model.",
        )
    return False


def _fingerprint(given: Mapping[str, Mapping[str, Any]], divided: Divided) -> str:
    """Return the fingerprint of x, y and weight by part; of class labels their numbers alone, whatever their form.

    Rows that are divided along groups or times or into folds count too.
    """
    content, labels = ContentHash(), divided.labels
    for part, numbers in given["y"].items():
        y = labels.view(numbers, "codes") if labels.form == "classes" else numbers
        trees = {"x": given["x"][part], "y": y, "weight": given["weight"][part]}
        for name, array in (leaf for kind, tree in trees.items() for leaf in leaves(tree, kind)):
            content.add(f"{part}/{name}", array)
    if divided.numbers is not None:
        content.add("division", divided.numbers)
    return content.digest(labels.classes)


def _check_shapes(x: Mapping[str, Any], where: str) -> None:
    shapes = {part: shapes_of(array) for part, array in x.items()}
    if any(shape != shapes["train"] for shape in shapes.values()):
        received = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise refused(where, "rows of one shape in all splits were expected", received)
