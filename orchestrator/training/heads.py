"""What the outputs of a user's model say: softmax, sigmoid or neither; and so, with the labels, what it learns.

Outputs are looked at rather than names or activations: a subclassed model has none that could be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import keras
import numpy as np

from orchestrator.data import Labels
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.training.keras_backend import as_floats, inference
from orchestrator.training.process_state import kept_generator_state
from orchestrator.training.task import (
    Kind,
    LabelForm,
    LearningGoal,
    Task,
    TrainingTask,
)
from orchestrator.training.trial_model import kept

Values = Literal["softmax", "unit", "signed unit", "not negative", "bounded", "any"]
LAST_VARIABLES = 2
"""The kernel and the bias of a head."""


@dataclass(frozen=True)
class Head:
    """A model's outputs: how many, the units of a single one, and where its values lie whatever its weights are."""

    outputs: int
    units: int | None
    values: Values

    @property
    def reach(self) -> tuple[float, float]:
        """Return between which values the outputs lie whatever the weights are, as far as that is known."""
        ends: Mapping[Values, tuple[float, float]] = {
            "unit": (0, 1),
            "signed unit": (-1, 1),
            "not negative": (0, np.inf),
        }
        return ends.get(self.values, (-np.inf, np.inf))


def look_at_head(model: Any, x: Any) -> Head:
    """Return what a model's outputs are on some rows of features. The model is left as it was."""
    with kept_generator_state(), kept(model.variables):
        found = keras.tree.flatten(inference(model)(x))
        shape = tuple(found[0].shape)
        if len(found) != 1 or len(shape) != 2:
            return Head(len(found), None, "any")
        values = _values(_Outputs(model, x))
    return Head(1, shape[1], values)


def _values(outputs: _Outputs) -> Values:
    # Of both signs: a head without activation may give positive values alone where all features are positive.
    seen = np.concatenate([outputs.with_weights(5.0), outputs.with_weights(-5.0)])
    if seen.size == 0 or not np.isfinite(seen).all():
        return "any"
    inside = bool((seen >= -1e-3).all() and (seen <= 1 + 1e-3).all())
    if inside and np.allclose(seen.sum(axis=1), 1, atol=2e-2 if seen.shape[1] > 1 else 1e-5):
        return "softmax"
    if inside:
        return "unit"
    if (seen >= 0).all():
        return "not negative"
    within = (np.abs(rows) <= 1 + 1e-3 for rows in (seen, outputs.with_weights(500.0)))
    if all(rows.all() for rows in within):
        return "signed unit"
    return "bounded" if _stay_within(outputs) else "any"


def _stay_within(outputs: _Outputs) -> bool:
    """Return whether outputs do not follow weights that grow, upwards or downwards, as those of elu and selu."""
    near, far = (
        np.concatenate([outputs.with_weights(size), outputs.with_weights(-size)])
        for size in (100.0, 10_000.0)
    )
    if not np.isfinite(far).all() or not (near.min() < 0 < near.max()):
        return False
    return bool(far.min() > 2 * near.min() or far.max() < 2 * near.max())


@dataclass(frozen=True)
class _Outputs:
    """A model's outputs where its head has large random weights: values that only an activation bounds are seen."""

    model: Any
    x: Any

    def with_weights(self, size: float) -> np.ndarray:
        """Return the outputs (rows, units); those of ``-size`` are of the opposite weights. The model is as it was."""
        variables = self.model.trainable_variables[-LAST_VARIABLES:]
        rng = np.random.default_rng(0)
        with kept(variables):
            for variable in variables:
                variable.assign(size * rng.normal(0, 1, tuple(variable.shape)))
            return as_floats(inference(self.model)(self.x))


def task_of_model(model: Any, head: Head, labels: Labels, asked: str, where: str) -> Task:
    """Return what a user's model learns from these labels.

    Raises TrialError, with the way out, where model and labels do not fit together.
    """
    if getattr(model, "optimizer", None) is not None:
        return Task(_kind_of_loss(model, labels), compiled_by_user=True)
    if head.outputs != 1 or head.units is None or labels.form == "several":
        raise _misfit(where, "one output of shape (rows, units)", _described(head))
    if labels.form == "flags":
        return _flags(head, labels, where)
    if labels.form == "quantities" or (asked == "auto" and _is_one_number(head, labels)):
        return _quantities(head, labels, where)
    if labels.fault:
        raise TrialError(labels.fault)
    return _classes(head, labels, asked, where)


def _is_one_number(head: Head, labels: Labels) -> bool:
    """Return whether classes that are numbers are quantities to this head, which is not bound to lie in 0 … 1."""
    numbers = labels.are_numbers and not labels.one_hot and len(labels.classes) > 2
    return head.units == 1 and numbers and head.values not in ("softmax", "unit")


def _classes(head: Head, labels: Labels, asked: str, where: str) -> Task:
    count = len(labels.classes)
    if head.units == 1 and count == 2 and head.values in ("unit", "any"):
        return Task("binary", from_logits=head.values != "unit")
    if head.units == count and asked != "binary" and head.values in ("softmax", "any"):
        return Task("classification", from_logits=head.values == "any")
    expected = f"a softmax head with {count} units, one a class, or as many logits"
    if count == 2:
        expected += ", or one sigmoid unit"
    raise _misfit(where, expected, _described(head))


def _flags(head: Head, labels: Labels, where: str) -> Task:
    if head.units != labels.width or head.values not in ("unit", "any"):
        expected = f"{labels.width} sigmoid units, one a column of the labels, or as many logits"
        raise _misfit(where, expected, _described(head))
    return Task("multilabel", from_logits=head.values == "any")


def _quantities(head: Head, labels: Labels, where: str) -> Task:
    if head.units != labels.width or head.values == "softmax":
        columns = "one unit" if labels.width == 1 else f"{labels.width} units, one a column of y"
        raise _misfit(where, f"{columns} for quantities", _described(head))
    return Task("regression", standardized=head.values == "any")


def _misfit(where: str, expected: str, received: str) -> TrialError:
    return TrialError(
        f"{where}: expected {expected}. Received: {received}."
        " Or compile the model in its builder, with a loss and metrics of your own."
    )


def _described(head: Head) -> str:
    if head.outputs != 1:
        return f"a model with {head.outputs} outputs"
    if head.units is None:
        return "an output of more than two dimensions"
    values: Mapping[Values, str] = {
        "softmax": "softmax" if head.units > 1 else "softmax, which is 1 whatever the features",
        "unit": "values between 0 and 1 that do not sum to 1",
        "signed unit": "values between -1 and 1",
        "not negative": "values that are never negative",
        "bounded": "values that an activation bounds on one side",
        "any": "no softmax or sigmoid",
    }
    return f"{head.units} unit{'s' * (head.units != 1)}, {values[head.values]}"


_KINDS: Mapping[str, Kind] = {
    "sparse_categorical_crossentropy": "classification",
    "categorical_crossentropy": "classification",
    "categorical_focal_crossentropy": "classification",
    "binary_crossentropy": "binary",
    "binary_focal_crossentropy": "binary",
    "mean_squared_error": "regression",
    "mean_absolute_error": "regression",
    "mean_absolute_percentage_error": "regression",
    "mean_squared_logarithmic_error": "regression",
    "huber": "regression",
    "log_cosh": "regression",
}


def loss_name(model: Any) -> str | None:
    """Return the name of the one Keras loss that a model was compiled with, None for any other."""
    loss = getattr(model, "loss", None)
    try:
        found = keras.losses.get(loss) if isinstance(loss, str) else loss
    except ValueError:
        return None
    name = getattr(found, "__name__", None) or getattr(found, "name", None)
    return str(name) if name else None


def _kind_of_loss(model: Any, labels: Labels) -> Kind | None:
    kind = _KINDS.get(loss_name(model) or "")
    if kind == "binary" and labels.form == "flags":
        return "multilabel"
    return kind


def takes_codes(model: Any, head: Head, labels: Labels) -> bool:
    """Return whether a compiled model's labels must become class numbers for its loss to make sense of them.

    That is where ``sparse_categorical_crossentropy`` would be given numbers that are not 0, 1, …: Keras would fail.
    """
    if labels.form != "classes" or not labels.are_numbers or labels.values is None:
        return False
    fits = labels.values[0] >= 0 and head.units is not None and labels.values[-1] < head.units
    return (
        loss_name(model) == "sparse_categorical_crossentropy"
        and not fits
        and head.units == len(labels.classes)
    )


def goal_of(model: Any, task: TrainingTask, x: Any) -> LearningGoal:
    """Return what a freshly built model learns from a task's data; ``x`` are some rows of features.

    Raises TrialError where that is not what the experiment's other trials learn, ExperimentFileError where trials are
    ranked by losses of which some are of standardized targets.
    """
    labels, reference = task.dataset.labels, task.model
    scale = labels.std
    if reference.kind == "bundled":
        of_labels = task.task or Task()
        return LearningGoal(of_labels, _LABELS[of_labels.kind], scale, labels.width)
    head = look_at_head(model, x)
    found = task_of_model(model, head, labels, "auto", f"model {reference.text}")
    wanted = task.task
    if wanted and (found.kind, found.compiled_by_user) != (wanted.kind, wanted.compiled_by_user):
        raise TrialError(
            f"model {reference.text}: expected a model for {_said(wanted)}, as in the other trials."
            f" Received: one for {_said(found)}."
        )
    form: LabelForm
    if found.compiled_by_user:
        form = "codes" if takes_codes(model, head, labels) else "given"
        return LearningGoal(found, form)
    if wanted and task.by_loss and found.standardized != wanted.standardized:
        raise ExperimentFileError(_RANKED_BY_LOSS.format(reference.text))
    as_they_are = found.kind == "regression" and not found.standardized
    form = "columns" if as_they_are else _LABELS[found.kind]
    return LearningGoal(found, form, scale, labels.width)


_RANKED_BY_LOSS = (
    "metric: expected one that means the same in all trials, such as val_mae. Received: a loss, which model {} has of"
    " standardized targets in some trials, and of targets as they are in others, where its head bounds its values."
)

_LABELS: Mapping[Kind | None, LabelForm] = {
    "classification": "codes",
    "binary": "flag",
    "multilabel": "columns",
    "regression": "standardized",
}


def _said(task: Task) -> str:
    by = " compiled by its builder" if task.compiled_by_user else ""
    return f"{task.kind or 'a loss of its own'}{by}"
