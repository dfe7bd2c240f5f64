"""What every trial of an experiment has in common. Loads neither TensorFlow nor Keras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from orchestrator.catalog import CallableReference
from orchestrator.config import Recalibration
from orchestrator.data import Array, Dataset, Labels, StreamedDataset, View
from orchestrator.errors import DataError

Kind = Literal["classification", "binary", "multilabel", "regression"]

LabelForm = View | Literal["one_hot"]
"""What a loss takes: a view of the labels, or one-hot rows of the class numbers."""

ROWS_LOOKED_AT = 64
"""How many training rows tell what a model's outputs are."""

OUTPUT_ACTIVATIONS: dict[Kind, str] = {
    "classification": "softmax",
    "binary": "sigmoid",
    "multilabel": "sigmoid",
    "regression": "linear",
}


class Shape(NamedTuple):
    """What a builder is called with besides its hyperparameters: the shape of a row, and the units of a head."""

    features: Any
    units: int


@dataclass(frozen=True)
class Task:
    """What a model learns.

    ``kind`` is None where the model's builder compiled it and its loss does not tell. ``compiled_by_user``: labels
    reach its loss as the user gave them. ``from_logits``: the head has no softmax or sigmoid of its own.
    ``standardized``: quantities reach the loss less their mean, by their deviation, which no bounded head gives.
    """

    kind: Kind | None = "classification"
    compiled_by_user: bool = False
    from_logits: bool = False
    standardized: bool = False

    def units(self, labels: Labels) -> int:
        """Return the units of a bundled model's head."""
        return 1 if self.kind == "binary" else len(labels.classes) or labels.width

    def metric(self, reported: frozenset[str] = frozenset()) -> str:
        """Return the metric that decides where none is named; ``reported`` are those of a compiled model."""
        if self.compiled_by_user:
            return "val_accuracy" if "val_accuracy" in reported else "val_loss"
        return "val_mae" if self.kind == "regression" else "val_accuracy"


@dataclass(frozen=True)
class LearningGoal:
    """A structure's task, the labels that its loss takes, and what quantities' columns are divided by (columns,)."""

    task: Task
    labels: LabelForm
    scale: Array | None = None
    columns: int = 1


@dataclass(frozen=True)
class TrainingTask:
    """The model's builder, the data, the epochs of a full training, what is learned and what is reported besides.

    ``task`` None: whatever the labels and a model's outputs say. ``metrics`` are names. ``by_loss``: trials are ranked
    by it, and so it has to mean the same in all of them. ``examples``: how many of the validation rows that the winner
    gets most wrong may be kept.
    """

    model: CallableReference
    dataset: Dataset | StreamedDataset
    epochs: int
    recalibrate_batch_norm: Recalibration = "auto"
    task: Task | None = None
    metrics: tuple[str, ...] = ()
    callbacks: CallableReference | None = None
    by_loss: bool = False
    examples: int = 0

    @property
    def shape(self) -> Shape:
        """Return what a builder is called with besides its hyperparameters."""
        labels, bundled = self.dataset.labels, self.model.kind == "bundled"
        units = self.task.units(labels) if bundled and self.task else self.dataset.num_classes
        return Shape(self.dataset.input_shape, units)

    @property
    def kind(self) -> Kind | None:
        """What is learned, where that is known before a model is built."""
        return self.task.kind if self.task else "classification"


def task_of_labels(dataset: Dataset | StreamedDataset, asked: str, where: str) -> Task:
    """Return the task of a bundled model, whose head is made to fit: it follows from the labels.

    Raises DataError for data that it cannot learn from.
    """
    labels = dataset.labels
    if isinstance(dataset.input_shape, dict) or not all(
        isinstance(size, int) for size in dataset.input_shape
    ):
        raise DataError(
            f"{where}: features of one input were expected for a bundled model. Received: those of several inputs."
            " Join them in one array, or take a model of your own."
        )
    if labels.form == "several":
        raise DataError(
            f"{where}: labels of one output were expected for a bundled model. Received: those of several outputs."
            " Take a model of your own, compiled by its builder."
        )
    if labels.fault and labels.form in ("classes", "constant"):
        hint = " For quantities write task: regression." if labels.are_numbers else ""
        raise DataError(labels.fault + hint)
    if labels.form == "classes":
        return Task("binary" if asked == "binary" else "classification")
    return Task("multilabel") if labels.form == "flags" else Task("regression", standardized=True)


def recalibration(hyperparameters: Mapping[str, Any], task: TrainingTask) -> str:
    """Return when BatchNormalization averages are recomputed: as the trial says, else as the experiment does."""
    asked = hyperparameters.get("recalibrate_batch_norm")
    return task.recalibrate_batch_norm if asked is None else str(asked).lower()
