"""What a saved model answers for rows as the user has them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.catalog import UsersCode
from orchestrator.data import TableRecipe
from orchestrator.data.table_rows import features_of
from orchestrator.training.heads import loss_name
from orchestrator.training.keras_setup import without_remarks
from orchestrator.training.portable import as_inputs
from orchestrator.training.saved_model import takes_named_columns

_OF_PROBABILITIES = ("categorical_crossentropy", "binary_crossentropy", "focal_crossentropy")


@dataclass(frozen=True, eq=False)
class Outputs:
    """A model's outputs by name in float64, (rows, …); ``probabilities``: its loss takes them for such."""

    by_name: dict[str, Any]
    probabilities: bool


@without_remarks()
def predicted(model: Any, batches: Iterator[Any], table: TableRecipe | None) -> Outputs:
    """Return the outputs for batches of raw rows, a table's by column. Raises TrialError for what its code raises."""
    found: list[list[Any]] = []
    names: list[str] = []
    for batch in batches:
        with UsersCode("predict", None):
            answer = model.predict(_taken(batch, table), verbose=0)
        names = names or _names(model, answer)
        found.append([np.asarray(tf.cast(one, tf.float64)) for one in keras.tree.flatten(answer)])
    whole = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    return Outputs(dict(zip(names, whole, strict=True)), _are_probabilities(model))


def _taken(batch: Any, table: TableRecipe | None) -> Any:
    if table is None:
        return batch
    return as_inputs(batch, table) if takes_named_columns(table) else features_of(batch, table)


def _names(model: Any, answer: Any) -> list[str]:
    """Return the names of outputs in the order in which Keras flattens them."""
    parts = keras.tree.flatten(answer)
    if len(parts) == 1:
        return ["output"]
    if isinstance(answer, dict):
        return [name for name in sorted(answer) for _ in keras.tree.flatten(answer[name])]
    names = list(getattr(model, "output_names", None) or ())
    return names if len(set(names)) == len(parts) else [f"output_{at}" for at in range(len(parts))]


def _are_probabilities(model: Any) -> bool:
    """Return whether the one loss that a model is compiled with takes its outputs for probabilities."""
    name = loss_name(model) or ""
    from_logits = getattr(getattr(model, "loss", None), "from_logits", False)
    return name.endswith(_OF_PROBABILITIES) and not from_logits
