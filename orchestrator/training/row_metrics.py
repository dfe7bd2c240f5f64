"""Metrics by name of all rows at once, by scikit-learn: of answers, and of a validation in JAX or PyTorch.

How labels and outputs are read is said here for ``metrics`` too, which computes the same inside TensorFlow's programs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np

from orchestrator.config.metrics import MetricKind, check_metrics, top_of
from orchestrator.errors import TrialError, explain
from orchestrator.training.keras_backend import array_of, as_floats, told, wait_for_told
from orchestrator.training.task import Kind, LearningGoal, TrainingTask

Array = np.ndarray
OURS = frozenset({"accuracy", "mae", "r2"})
"""What a model that we compile reports already, with the same values."""
ONE_OUTPUT = (
    "metrics: expected a model with one output, a row of figures a row of data. Received: {}."
    " Such a model's builder compiles it with metrics of its own."
)
UNLIKE = "metrics: expected {} output units, as the labels have it. Received: {}."
NUMBERED = "metrics: expected classes numbered from 0, one below another"
SMALLEST_PROBABILITY = 2.0**-23
"""Of float32, to which ``sklearn.metrics.log_loss`` clips."""


@dataclass(frozen=True)
class Form:
    """How labels and outputs are read: the kind of task, its classes (or columns), and whether outputs are logits.

    Standardized quantities are put back into the user's unit by ``scale`` and ``shift``, a figure a column.
    """

    kind: MetricKind
    width: int
    from_logits: bool = False
    scale: tuple[float, ...] = ()
    shift: tuple[float, ...] = ()

    @property
    def of_classes(self) -> bool:
        """Return whether each row has one class."""
        return self.kind in ("classification", "binary")


@dataclass(frozen=True)
class JudgedBatch:
    """Class numbers (rows,) and probabilities (rows, classes), or (rows, columns) of both; the weight of each row."""

    truth: Array
    scores: Array
    weight: Array


def read(form: Form, y: Any, outputs: Any, weight: Any) -> JudgedBatch:
    """Return a batch of labels and outputs as they are judged. Raises TrialError for what cannot be read so."""
    if isinstance(y, dict | list | tuple) or isinstance(outputs, dict | list | tuple):
        raise TrialError(ONE_OUTPUT.format("several"))
    scores = as_floats(outputs)
    scores = scores.reshape(-1, 1) if scores.ndim == 1 else scores
    if scores.ndim != 2:
        raise TrialError(ONE_OUTPUT.format(f"outputs of shape {scores.shape}"))
    given = np.ones(len(scores)) if weight is None else array_of(weight)
    weights = given.astype(np.float64).reshape(-1)
    if form.of_classes:
        return JudgedBatch(_classes(form, array_of(y)), _probabilities(form, scores), weights)
    if scores.shape[1] != form.width:
        raise TrialError(UNLIKE.format(form.width, scores.shape[1]))
    if form.from_logits and form.kind == "multilabel":
        scores = as_floats(keras.ops.sigmoid(scores))
    truth = array_of(y).astype(np.float64).reshape(-1, form.width)
    if form.scale:
        scale, shift = np.asarray(form.scale), np.asarray(form.shift)
        return JudgedBatch(truth * scale + shift, scores * scale + shift, weights)
    return JudgedBatch(truth, scores, weights)


def _probabilities(form: Form, scores: Array) -> Array:
    if scores.shape[1] == 1:
        one = as_floats(keras.ops.sigmoid(scores)) if form.from_logits else scores
        scores = np.concatenate([1 - one, one], axis=1)
    elif form.from_logits:
        scores = as_floats(keras.ops.softmax(scores))
    if scores.shape[1] != max(form.width, 2):
        raise TrialError(UNLIKE.format(form.width, scores.shape[1]))
    return scores


def _classes(form: Form, truth: Array) -> Array:
    if truth.ndim == 2 and truth.shape[1] > 1:
        found: Array = np.argmax(truth, axis=1)
        return found
    numbers = truth.astype(np.int32).reshape(-1)
    if ((numbers < 0) | (numbers >= max(form.width, 2))).any():
        raise TrialError(f"{NUMBERED}. Received: {sorted({*numbers.tolist()})[:5]}.")
    return numbers


def value_of(name: str, form: Form, rows: JudgedBatch) -> float:
    """Return a metric of rows; NaN where they have none. Raises ExperimentFileError for a name without one."""
    check_metrics([name], form.kind)
    with np.errstate(divide="ignore", invalid="ignore"):
        if form.of_classes:
            return float(_of_classes(name, rows))
        if form.kind == "multilabel":
            return float(_of_flags(name, rows))
        return float(_of_quantities(name, rows))


def _of_classes(name: str, rows: JudgedBatch) -> float:

    truth, scores, weight = rows.truth, rows.scores, rows.weight
    classes = np.arange(scores.shape[1])
    if (k := top_of(name)) is not None:
        mine = scores[np.arange(len(truth)), truth][:, None]
        later = classes[None, :] > truth[:, None]
        above = (scores > mine) | ((scores == mine) & later)
        return float(np.average(above.sum(axis=1) < k, weights=weight))
    if name == "log_loss":
        mine = scores[np.arange(len(truth)), truth].astype(np.float64)
        clipped = mine.clip(SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        return float(np.average(-np.log(clipped), weights=weight))
    if name in ("auc", "macro_auc", "average_precision"):
        chosen = classes[1:] if len(classes) == 2 else classes
        return _ranked(name, truth[:, None] == chosen, scores[:, chosen], weight)
    return _of_guesses(name, truth, scores.argmax(axis=1), weight, classes)


def _of_guesses(name: str, truth: Array, guess: Array, weight: Array, classes: Array) -> float:
    from sklearn import metrics as sk

    options: dict[str, Any] = {"sample_weight": weight}
    match name:
        case "accuracy":
            return float(sk.accuracy_score(truth, guess, **options))
        case "mcc":
            return float(sk.matthews_corrcoef(truth, guess, **options))
        case "cohen_kappa":
            return float(sk.cohen_kappa_score(truth, guess, labels=classes, **options))
    options["zero_division"] = 0
    there = np.unique(truth[weight > 0])
    if name == "balanced_accuracy":
        return float(sk.recall_score(truth, guess, labels=there, average="macro", **options))
    average, function = _kind_of(name)
    if average == "positive" and len(classes) == 2:
        return float(function(truth, guess, **options))
    average = "macro" if average == "positive" else average
    # A class that neither a row nor a guess has is left out.
    counted = np.union1d(there, guess[weight > 0])
    return float(function(truth, guess, labels=counted, average=average, **options))


def _kind_of(name: str) -> tuple[str, Callable[..., Any]]:
    """Return how precision, recall or F1 is averaged, and scikit-learn's function."""
    from sklearn import metrics as sk

    average, _, what = name.rpartition("_")
    functions = {"precision": sk.precision_score, "recall": sk.recall_score, "f1": sk.f1_score}
    return average or "positive", functions[what]


def _ranked(name: str, flags: Array, scores: Array, weight: Array) -> float:
    """Return the mean over columns of the area under a curve; a column without one is left out."""
    from sklearn import metrics as sk

    weighted = weight > 0
    found = []
    for flag, score in zip(flags.T, scores.T, strict=True):
        true, false = bool(flag[weighted].any()), bool((~flag[weighted]).any())
        if name == "average_precision":
            if true:
                found.append(sk.average_precision_score(flag, score, sample_weight=weight))
        elif true and false:
            found.append(sk.roc_auc_score(flag, score, sample_weight=weight))
    return float(np.mean(found)) if found else float("nan")


def _of_flags(name: str, rows: JudgedBatch) -> float:
    from sklearn import metrics as sk

    truth, guess = rows.truth > 0.5, rows.scores > 0.5
    options: dict[str, Any] = {"sample_weight": rows.weight}
    match name:
        case "exact_match":
            return float(np.average((truth == guess).all(axis=1), weights=rows.weight))
        case "hamming_loss":
            return float(np.average((truth != guess).mean(axis=1), weights=rows.weight))
        case "auc" | "macro_auc":
            return _ranked(name, truth, rows.scores, rows.weight)
        case "average_precision":  # 0 of a flag that no row has, as in scikit-learn
            areas = [
                sk.average_precision_score(flag, score, **options) if flag.any() else 0.0
                for flag, score in zip(truth.T, rows.scores.T, strict=True)
            ]
            return float(np.mean(areas))
    average, function = _kind_of(name)
    average = "macro" if average == "positive" else average
    if truth.shape[1] == 1:  # scikit-learn takes one column for two classes
        return float(function(truth[:, 0], guess[:, 0], zero_division=0, **options))
    return float(function(truth, guess, average=average, zero_division=0, **options))


def _of_quantities(name: str, rows: JudgedBatch) -> float:
    from sklearn import metrics as sk

    function = {
        "mae": sk.mean_absolute_error,
        "mse": sk.mean_squared_error,
        "rmse": sk.root_mean_squared_error,
        "mape": sk.mean_absolute_percentage_error,
        "r2": sk.r2_score,
        "explained_variance": sk.explained_variance_score,
    }[name]
    scores = rows.scores.astype(np.float64)
    return float(function(rows.truth, scores, sample_weight=rows.weight))


class FiguresByName:
    """What is asked for by name, beside what a model reports itself."""

    def listening(self) -> AbstractContextManager[None]:
        """Hear an evaluation, whose first step is ``reset``."""
        raise NotImplementedError

    def reset(self) -> None:
        """Forget what was heard."""
        raise NotImplementedError

    def results(self) -> dict[str, Any]:
        """Return each metric of what was heard since ``reset``."""
        raise NotImplementedError

    def beside(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return the model's own figures and these. Raises TrialError where one name would stand for two."""
        results = self.results()
        for name in own.keys() & results.keys() - OURS:
            expected = "expected metrics that the model does not report itself"
            raise TrialError(explain("metrics", expected, name))
        return {**own, **{name: value for name, value in results.items() if name not in own}}


NOT_HEARD = (
    "metrics: expected a model whose test_step calls compute_metrics. Received: one of its own that does"
    " not. Leave metrics out and have it report what it is judged by."
)


class HeardRows(FiguresByName):
    """Hears a model's ``compute_metrics`` in JAX or PyTorch, as ``ValidationMetrics`` does; keeps the rows."""

    def __init__(self, model: Any, names: Sequence[str], form: Form) -> None:
        check_metrics(names, form.kind)
        self.names, self._form = tuple(dict.fromkeys(names)), form
        self._batches: list[tuple[Any, Any, Any]] = []
        self._listens = False
        if not names:
            return
        own = model.compute_metrics

        def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if self._listens:
                told(self.take, y, y_pred, sample_weight)
            return own(x, y, y_pred, sample_weight=sample_weight)

        object.__setattr__(model, "compute_metrics", compute_metrics)

    def take(self, y: Any, outputs: Any, weight: Any) -> None:
        """Hear a batch of a validation."""
        self._batches.append((y, outputs, weight))

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear an evaluation, which begins with nothing."""
        self.reset()
        self._listens = True
        try:
            yield
        finally:
            self._listens = False

    def reset(self) -> None:
        """Forget what was heard."""
        self._batches = []

    def results(self) -> dict[str, Any]:
        """Return each metric of what was heard. Raises TrialError where nothing was, or nothing that can be read."""
        if not self.names:
            return {}
        wait_for_told()
        if not self._batches:
            raise TrialError(NOT_HEARD)
        read_ones = [read(self._form, *batch) for batch in self._batches]
        parts = [(rows.truth, rows.scores, rows.weight) for rows in read_ones]
        whole = JudgedBatch(*(np.concatenate(each) for each in zip(*parts, strict=True)))
        return {name: value_of(name, self._form, whole) for name in self.names}


def form_of(task: TrainingTask, model: Any, goal: LearningGoal) -> Form:
    """Return how the labels and the outputs of one of a task's models are read."""
    of_own = getattr(model, "loss", None) if goal.task.compiled_by_user else None
    from_logits = goal.task.from_logits or bool(getattr(of_own, "from_logits", False))
    labels = task.dataset.labels
    kind = goal.task.kind or _KIND_OF_FORM.get(labels.form, "classification")
    quantities = kind == "regression" and not labels.one_hot
    columns = labels.width if quantities else task.dataset.num_classes
    form = Form(kind, columns, from_logits)
    if goal.labels == "standardized" and labels.mean is not None and labels.std is not None:
        form = replace(form, shift=tuple(labels.mean), scale=tuple(labels.std))
    return form


_KIND_OF_FORM: dict[str, Kind] = {"flags": "multilabel", "quantities": "regression"}
