"""From raw features and labels to the finished Dataset: classes, splits, scaling, fingerprint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import PARTS, Array, Dataset, Split
from orchestrator.data.features import check_features, check_lengths
from orchestrator.data.fingerprint import ContentHash
from orchestrator.data.labels import find_classes, plain_labels
from orchestrator.data.refusal import refused
from orchestrator.data.scaling import Scaler, fit_scaler, moments_of
from orchestrator.data.splits import assign_rows, check_given, missing_shares

if TYPE_CHECKING:
    from orchestrator.config.options import DataOptions


def assemble(
    given: Mapping[str, tuple[object, object]], options: DataOptions, seed: int, source: str
) -> Dataset:
    """Return the dataset of arrays that a user gave as ``{"train": (x, y), ...}``.

    Where validation or test is not given, it is cut from the training rows.
    """
    where = f"data {source}"
    places = {part: where if len(given) == 1 else f"{where} ({part})" for part in given}
    x = {part: check_features(given[part][0], places[part]) for part in given}
    for part in given:
        check_lengths(x[part], given[part][1], places[part])
    _check_shapes(x, where)
    plain = {part: plain_labels(given[part][1], places[part]) for part in given}
    labels = find_classes(list(plain.values()), where)
    codes = {part: labels.codes(plain[part]) for part in given}
    counts = {part: np.bincount(codes[part], minlength=len(labels.classes)) for part in given}
    if len(given) > 1:
        check_given(counts, labels.classes, where)
    shares = missing_shares(list(given), options)
    assignment = assign_rows(codes["train"], labels.classes, shares, (seed, where))
    content = ContentHash()
    for part in given:
        content.add(f"{part}/x", x[part])
        content.add(f"{part}/y", codes[part])
    training = np.flatnonzero(assignment == 0) if shares else None
    scaler = fit_scaler(options.scale, moments_of(x["train"], training))
    splits: dict[str, Any] = cut(x["train"], codes["train"], assignment, scaler)
    for part in set(given) - {"train"}:
        splits[part] = Split(scaler.scale(x[part]), codes[part])
    return Dataset(
        **splits,
        classes=labels.classes,
        scaling=scaler.document,
        fingerprint=content.digest(labels.classes),
        source=source,
    )


def cut(
    x: Array, codes: Array, assignment: npt.NDArray[np.uint8], scaler: Scaler
) -> dict[str, Any]:
    """Return the scaled Splits of one array, each in the order of its rows."""
    splits: dict[str, Any] = {}
    for number, part in enumerate(PARTS):
        rows = np.flatnonzero(assignment == number)
        splits[part] = Split(scaler.scale(x[rows]), np.ascontiguousarray(codes[rows]))
    return splits


def _check_shapes(x: Mapping[str, Array], where: str) -> None:
    shapes = {part: array.shape[1:] for part, array in x.items()}
    if len(set(shapes.values())) > 1:
        received = ", ".join(f"{part} {shape}" for part, shape in shapes.items())
        raise refused(where, "rows of one shape in all splits were expected", received)
