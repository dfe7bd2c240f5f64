"""What lies around a trained model in its saved file: from the user's rows to features, from outputs to answers.

Loads neither TensorFlow nor Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from orchestrator.data import Dataset, StreamedDataset, TableRecipe, map_tree
from orchestrator.training.task import OUTPUT_ACTIVATIONS, LearningGoal

MOST_NAMED_INPUTS = 512
"""A wider table's model takes its features as one array: Keras needs seconds for every hundred inputs."""


@dataclass(frozen=True)
class Around:
    """What was fitted on the training rows, and what the head lacks.

    ``shape`` and ``types`` are those of a row of features, trees for several inputs. ``activation`` is what logits
    still need, ``mean`` and ``std`` the unit of quantities; each None where outputs stay as they are.
    """

    shape: Any
    types: Any
    table: TableRecipe | None = None
    scaling: Mapping[str, Any] = field(default_factory=lambda: {"how": "none"})
    activation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset | StreamedDataset, goal: LearningGoal) -> Around:
        """Return what lies around a model that learned ``goal`` from this data."""
        labels, task = dataset.labels, goal.task
        standardized = goal.labels == "standardized" and not task.compiled_by_user
        lacks = task.from_logits and not task.compiled_by_user
        mean, std = (labels.mean, labels.std) if standardized else (None, None)
        return cls(
            dataset.input_shape,
            _types(dataset),
            dataset.table,
            dataset.scaling,
            OUTPUT_ACTIVATIONS[task.kind or "classification"] if lacks else None,
            None if mean is None else tuple(mean.tolist()),
            None if std is None else tuple(std.tolist()),
        )

    @property
    def takes_named_columns(self) -> bool:
        """Whether the saved model has an input a column."""
        return self.table is not None and takes_named_columns(self.table)

    @property
    def scales(self) -> bool:
        """Whether features are scaled."""
        return bool(self.scaling.get("how", "none") != "none")

    def to_plain(self) -> dict[str, Any]:
        """Return it as what JSON holds."""
        table = self.table.to_plain() if self.table else None
        mean, std = self.mean and list(self.mean), self.std and list(self.std)
        same = {"scaling": dict(self.scaling), "activation": self.activation}
        return {
            "shape": self.shape,
            "types": self.types,
            "table": table,
            "mean": mean,
            "std": std,
        } | same

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Around:
        """Return what ``to_plain`` wrote."""
        table = TableRecipe.from_plain(plain["table"]) if plain["table"] else None
        mean, std = (
            None if plain[name] is None else tuple(plain[name]) for name in ("mean", "std")
        )
        shape, types = shape_from_plain(plain["shape"]), plain["types"]
        types = tuple(types) if isinstance(types, list) else types
        return cls(shape, types, table, plain["scaling"], plain["activation"], mean, std)


def takes_named_columns(table: TableRecipe) -> bool:
    """Return whether the saved model of a table has an input a column."""
    return len(table.columns) <= MOST_NAMED_INPUTS


def shape_from_plain(plain: Any) -> Any:
    """Return the shape of a row from JSON's lists: a tuple of sizes, or a dictionary or tuple of those."""
    if isinstance(plain, Mapping):
        return {name: shape_from_plain(one) for name, one in plain.items()}
    return tuple(shape_from_plain(one) if isinstance(one, list) else one for one in plain)


def _types(dataset: Dataset | StreamedDataset) -> Any:
    """Return the names of the types of one row's arrays, which a stream does not tell without being read."""
    if not isinstance(dataset, StreamedDataset):
        return map_tree(lambda array: array.dtype.name, dataset.train.x)
    shape = dataset.input_shape
    if isinstance(shape, Mapping):
        return dict.fromkeys(shape, "float32")
    if shape and isinstance(shape[0], tuple):
        return ("float32",) * len(shape)
    return "float32"
