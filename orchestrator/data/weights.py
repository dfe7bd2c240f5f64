"""How much each training row counts: sample weights that a user gives, and class weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from orchestrator.data.dataset import Dataset, Split
from orchestrator.data.refusal import refused, several
from orchestrator.data.trees import row_count
from orchestrator.errors import near_miss

ClassWeight = Literal["balanced"] | Mapping[str, float] | None


def check_weights(given: Sequence[Any], x: Any, where: str) -> npt.NDArray[np.float32] | None:
    """Return sample weights as float32 (rows,), None where there are none; ``given`` holds at most one array."""
    if not given or given[0] is None:
        return None
    try:
        weights = np.asarray(given[0], dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise refused(where, "numbers were expected as sample weights", str(error)) from error
    if weights.ndim == 2 and weights.shape[1] == 1:
        weights = weights[:, 0]
    if weights.shape != (row_count(x),):
        expected = f"a sample weight for each of the {row_count(x)} rows was expected"
        raise refused(where, expected, f"shape {weights.shape}")
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise refused(
            where, "sample weights of at least 0, and some above, were expected", "others"
        )
    return weights


def weighted_by_class(dataset: Dataset, asked: ClassWeight, where: str) -> Dataset:
    """Return the dataset with its training rows weighted by class, as Keras's ``fit(class_weight=...)`` does.

    ``balanced``: rows / (classes x rows of the class), as in scikit-learn; a mapping gives a weight a class by its
    name, 1 where it has none. Sample weights are multiplied.
    """
    if asked is None:
        return dataset
    if dataset.labels.form != "classes":
        raise refused(
            where,
            "labels that are classes were expected for data.class_weight",
            dataset.labels.form,
        )
    codes = dataset.labels.view(dataset.train.labels, "codes")
    weights = _of_classes(asked, codes, dataset.classes, where)[codes].astype(np.float32)
    train: Split = dataset.train
    weights = weights if train.weight is None else weights * train.weight
    return replace(dataset, train=replace(train, weight=weights))


def _of_classes(
    asked: Any, codes: npt.NDArray[np.int32], classes: Sequence[str], where: str
) -> npt.NDArray[np.float64]:
    if asked == "balanced":
        counts = np.bincount(codes, minlength=len(classes))
        return len(codes) / (len(classes) * np.maximum(1, counts))
    named = {str(name): float(weight) for name, weight in asked.items()}
    for name in named:
        if name not in classes:
            hint = f"{near_miss(name, classes)} Classes: {several(list(classes), 20)}."
            raise refused(
                where, "classes of the data were expected in data.class_weight", repr(name), hint
            )
    return np.array([named.get(name, 1.0) for name in classes])
