"""What the model in training answers for the rows of a split, as its saved file would; and metrics of that, by name."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from orchestrator.catalog import UsersCode
from orchestrator.config.metrics import MetricKind
from orchestrator.data import StreamedDataset
from orchestrator.errors import OrchestratorError
from orchestrator.training.backend import SplitName
from orchestrator.training.calibration import Array, JudgedRows, both_classes, log_loss
from orchestrator.training.keras_backend import as_floats, inference, rows_at
from orchestrator.training.portable import answers_of
from orchestrator.training.row_metrics import Form, JudgedBatch, value_of
from orchestrator.training.saved_model import Transforms
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import kept

BATCH = 1024
MOST_NUMBERS = 20_000_000
"""Of more outputs than these only the first are looked at: 160 MB in double precision."""
GROUPS = 20
"""Of how many groups of rows one is left out at a time, where a metric's noise is estimated."""


@dataclass(frozen=True)
class Reading:
    """How outputs and labels become ``JudgedRows``: its kind and names; what outputs still need."""

    kind: str
    names: tuple[str, ...]
    activation: str | None
    transforms: Transforms

    @property
    def view(self) -> Any:
        """The view of the labels that holds the truth."""
        return "codes" if self.kind == "classes" else "columns"

    def answers(self, outputs: Any) -> Array | None:
        """Return outputs (rows, units) as answers; None where there are not as many as the labels need."""
        found = np.asarray(answers_of(outputs, self.transforms))
        if self.activation is not None:
            found = as_floats(getattr(keras.ops, self.activation)(found))
        if self.kind == "classes" and found.shape[1] == 1 and len(self.names) == 2:
            return both_classes(found)
        answers: Array = found.astype(np.float64)
        return answers if found.shape[1] == len(self.names) else None


def reading(trainer: Trainer) -> Reading | None:
    """Return how a trainer's model is read; None where it is not known what its outputs say of the labels."""
    compiled, dataset = trainer.backend.compiled, trainer.task.dataset
    goal, labels = compiled.goal, dataset.labels
    own, kind = goal.task.compiled_by_user, goal.task.kind
    transforms = Transforms.of(dataset, goal)
    if labels.form == "several" or kind is None:
        return None
    logits = own and bool(getattr(getattr(compiled.model, "loss", None), "from_logits", False))
    if kind == "regression":
        width = labels.width if labels.form != "classes" else 1
        names = [f"prediction_{at}" for at in range(width)] if width > 1 else ["prediction"]
        return Reading("quantities", tuple(names), None, transforms)
    if kind == "multilabel":
        names = [f"flag_{at}" for at in range(labels.width)]
        return Reading("flags", tuple(names), "sigmoid" if logits else None, transforms)
    if labels.form != "classes":
        return None
    if own and kind == "binary" and labels.type == "whole" and labels.classes != ("0", "1"):
        # Its loss has taken the numbers themselves: a sigmoid says nothing of 3 and 9.
        return None
    softmax = kind == "classification"
    activation = ("softmax" if softmax else "sigmoid") if logits else None
    return Reading("classes", labels.classes, activation, transforms)


def judged_rows(
    trainer: Trainer, split: SplitName, batches: Iterator[Any] | None = None
) -> JudgedRows | None:
    """Return what the model answers for a split's rows; None where that is not known.

    ``batches``: of (x, truth) or (x, truth, weight), in place of all of the split. Raises TrialError for what the
    model's code raises. The model is left as it was.
    """
    how = reading(trainer)
    if how is None:
        return None
    parts: list[tuple[Any, Any, Any]] = []
    numbers = 0
    model = trainer.backend.compiled.model
    outputs_of = inference(model)
    with kept(model.non_trainable_variables):
        for x, truth, *weight in batches or rows_in_batches(trainer, split, how.view):
            with UsersCode("examining the winner", trainer.task.model.runs_in):
                outputs = keras.tree.flatten(outputs_of(x))
            if len(outputs) != 1 or len(outputs[0].shape) != 2:
                return None
            found = how.answers(as_floats(outputs[0]))
            if found is None:
                return None
            one = np.asarray(weight[0]).ravel() if weight else np.ones(len(found))
            parts.append((found, np.asarray(truth), one))
            numbers += found.size
            if numbers >= MOST_NUMBERS:
                break
    return _of_finite(how, parts) if parts else None


def _of_finite(how: Reading, parts: list[tuple[Any, Any, Any]]) -> JudgedRows | None:
    answers, truth, weight = (np.concatenate(each) for each in zip(*parts, strict=True))
    finite = np.isfinite(answers).all(axis=1)
    truth = truth.astype(np.float64).reshape(len(answers), -1)
    truth = truth[:, 0] if how.kind == "classes" else truth
    if how.kind != "classes" and truth.shape != answers.shape:
        return None
    weight = weight.astype(np.float64)
    some = answers[finite], truth[finite], weight[finite]
    if not finite.any() or not some[2].sum() > 0:
        return None
    places = None if finite.all() else np.flatnonzero(finite)
    return JudgedRows(how.kind, how.names, *some, int((~finite).sum()), places)  # type: ignore[arg-type]


def rows_in_batches(trainer: Trainer, split: SplitName, view: Any) -> Iterator[Any]:
    """Yield all rows of a split in order: (x, labels in that view), or with sample weights."""
    tensors = trainer.tensors
    if isinstance(tensors.dataset, StreamedDataset):
        yield from tensors.batches(split, view, BATCH, None)
        return
    data = tensors.of(split, view)
    for at in range(0, getattr(tensors.dataset, split).rows, BATCH):
        yield keras.tree.map_structure(lambda array, at=at: array[at : at + BATCH], data)


def shuffled_batches(trainer: Trainer, view: Any, size: int, most: int) -> Iterator[Any]:
    """Yield up to ``most`` batches of about ``size`` validation rows, shuffled, the same at every call."""
    tensors = trainer.tensors
    if isinstance(tensors.dataset, StreamedDataset):
        for at, batch in enumerate(tensors.batches("validation", view, size, 0)):
            if at >= most or (at and len(batch[1]) < size / 2):
                return
            yield batch
        return
    # Rows that are sorted by class would have batches of one class each, and no like statistics.
    data, rows = tensors.of("validation", view), tensors.dataset.validation.rows
    order = np.random.default_rng(0).permutation(rows)
    for chosen in np.array_split(order, max(1, round(rows / size)))[:most]:
        yield keras.tree.map_structure(lambda array, chosen=chosen: rows_at(array, chosen), data)


def figure(rows: JudgedRows, name: str) -> float | None:
    """Return a metric by its name, without ``val_``, of these rows; None where no such one can be had of answers."""
    if name == "loss" and rows.kind != "quantities":
        return log_loss(rows)
    if name == "accuracy" and rows.kind != "quantities":
        return float(np.average(_right(rows), weights=rows.weight))
    kinds: Mapping[str, MetricKind] = {
        "classes": "classification",
        "flags": "multilabel",
        "quantities": "regression",
    }
    form = Form(kinds[rows.kind], len(rows.names))
    truth = rows.truth.astype(np.int32) if rows.kind == "classes" else rows.truth
    answers = JudgedBatch(truth, rows.answers.astype(np.float32), rows.weight)
    try:
        value = value_of(name, form, answers)
    except OrchestratorError:
        return None
    return value if math.isfinite(value) else None


def _right(rows: JudgedRows) -> Any:
    """Return whether each row is right, of flags the share of them (rows,)."""
    if rows.kind == "classes":
        return rows.answers.argmax(axis=1) == rows.truth
    return ((rows.answers > 0.5) == (rows.truth > 0.5)).mean(axis=1)


def noise(rows: JudgedRows, name: str) -> float | None:
    """Return the standard error of a metric that comes of these rows being a sample; None where none can be had.

    The jackknife over random groups (Shao & Tu 1995, "The Jackknife and Bootstrap", section 2.3): sqrt((g - 1)/g times
    the sum of squares of the figures without one group each around their mean).
    """
    groups = min(GROUPS, rows.rows)
    if groups < GROUPS:
        return None
    group = np.random.default_rng(0).permutation(rows.rows) % groups
    found = [figure(rows.take(group != at), name) for at in range(groups)]
    known = np.array([value for value in found if value is not None])
    if len(known) < groups:
        return None
    return float(np.sqrt((groups - 1) / groups * ((known - known.mean()) ** 2).sum()))
