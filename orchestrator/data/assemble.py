"""From raw features and labels to the finished Dataset: classes, splits, scaling, fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import PARTS, RAW_ROWS, DataRequest, Dataset, Split
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
    assign_any,
    assign_rows,
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


def assemble(given: Mapping[str, tuple[Any, ...]], request: DataRequest) -> Dataset:
    """Return the dataset of arrays that a user gave as ``{"train": (x, y) or (x, y, weight), ...}``.

    Where validation or test is not given, it is cut from the training rows.
    """
    where, options = request.where, request.options
    x, y, weights = _checked(given, where)
    labels = of_task(describe(list(y.values()), where), y, request.task, where)
    labels, assignment = assigned(labels, y, request)
    numbers = {part: labels.numbers(y[part]) for part in given}
    fingerprint = _fingerprint(x, labels, numbers, weights)
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


def assigned(
    labels: Labels, y: Mapping[str, Any], request: DataRequest
) -> tuple[Labels, npt.NDArray[np.uint8]]:
    """Return the labels and which training row is for what: each class cut by itself, other labels all together.

    ``y``: the labels by split, as the user gave them. Raises DataError where classes were asked for and the labels
    make none that can be split.
    """
    labels, assignment = _assigned(labels, y, request)
    if labels.fault and request.task in ("classification", "binary"):
        raise DataError(labels.fault)
    return labels, assignment


def _assigned(
    labels: Labels, y: Mapping[str, Any], request: DataRequest
) -> tuple[Labels, npt.NDArray[np.uint8]]:
    shares = missing_shares(list(y), request.options)
    draw = request.seed, request.where
    if labels.form != "classes":
        return labels, assign_any(row_count(y["train"]), shares, *draw)
    codes = {part: labels.view(labels.numbers(y[part]), "codes") for part in y}
    counts = {part: np.bincount(codes[part], minlength=len(labels.classes)) for part in y}
    try:
        if len(y) > 1:
            check_given(counts, labels.classes, request.where)
        return labels, assign_rows(codes["train"], labels.classes, shares, *draw)
    except DataError as error:
        if not labels.are_numbers:
            raise
        # A model that its builder compiled may take these numbers for quantities: refused later where none does.
        return replace(labels, fault=str(error)), assign_any(len(codes["train"]), shares, *draw)


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


def _fingerprint(
    x: Mapping[str, Any], labels: Labels, numbers: Mapping[str, Any], weights: Mapping[str, Any]
) -> str:
    """Return the fingerprint of the content; of class labels their numbers alone, whatever their form."""
    content = ContentHash()
    for part in x:
        y = labels.view(numbers[part], "codes") if labels.form == "classes" else numbers[part]
        trees = {"x": x[part], "y": y, "weight": weights[part]}
        for name, array in (leaf for kind, tree in trees.items() for leaf in leaves(tree, kind)):
            content.add(f"{part}/{name}", array)
    return content.digest(labels.classes)


def _check_shapes(x: Mapping[str, Any], where: str) -> None:
    shapes = {part: shapes_of(array) for part, array in x.items()}
    if any(shape != shapes["train"] for shape in shapes.values()):
        received = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise refused(where, "rows of one shape in all splits were expected", received)
