"""Metrics by name, such as ``metrics: [auc, macro_f1]`` in an experiment's file: computed while a model is evaluated.

Each has the value that scikit-learn gives on the same predictions (``sklearn.metrics``). Exceptions are where it gives
none: a class that no validation row has is left out of ``macro_auc`` and ``average_precision``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import tensorflow as tf

from orchestrator.config.metrics import check_metrics, top_of
from orchestrator.errors import TrialError
from orchestrator.training.metric_states import Averaged, Counted, Ranked, Spread, read
from orchestrator.training.row_metrics import NOT_HEARD, SMALLEST_PROBABILITY, FiguresByName, Form

SMALLEST = 2.0**-52
"""What a relative error is measured against where the truth is 0, as in scikit-learn."""


def make_metrics(names: Sequence[str], form: Form) -> list[Any]:
    """Return a Keras metric for each name.

    They take a model's outputs as they are: probabilities, one sigmoid unit of two classes, or logits where the form
    says so. Raises ExperimentFileError for a name that the kind of task does not have.
    """
    check_metrics(names, form.kind)
    return [_make(name, form) for name in dict.fromkeys(names)]


def _make(name: str, form: Form) -> Any:
    if (k := top_of(name)) is not None:
        return Averaged(name, form, lambda truth, scores: _among_first(truth, scores, k), _mean)
    if name in _COUNTED:
        return Counted(name, form, _COUNTED[name](form))
    if name in _AVERAGED:
        return Averaged(name, form, *_AVERAGED[name])
    if name in _SPREAD:
        return Spread(name, form, _SPREAD[name])
    return Ranked(name, form, {"average_precision": _average_precision(form)}.get(name, _auc))


def _ratio(part: Any, whole: Any) -> Any:
    return tf.math.divide_no_nan(part, whole)


def _precision(hits: Any, guessed: Any, true: Any) -> Any:
    return _ratio(hits, guessed)


def _recall(hits: Any, guessed: Any, true: Any) -> Any:
    return _ratio(hits, true)


def _f1(hits: Any, guessed: Any, true: Any) -> Any:
    return _ratio(2 * hits, guessed + true)


Formula = Callable[[Any, Any, Any], Any]


def _macro(each: Formula) -> Callable[[Form], Formula]:
    """Return the mean over classes: of those that occur, or of all flags."""

    def of(form: Form) -> Formula:
        def formula(hits: Any, guessed: Any, true: Any) -> Any:
            counts = (guessed + true > 0) if form.of_classes else tf.ones_like(true, tf.bool)
            return tf.reduce_mean(tf.boolean_mask(each(hits, guessed, true), counts))

        return formula

    return of


def _positive(each: Formula) -> Callable[[Form], Formula]:
    """Return the figure of the second of two classes; the mean over classes where there are more, or flags."""

    def of(form: Form) -> Formula:
        if not form.of_classes or form.width > 2:
            return _macro(each)(form)
        return lambda hits, guessed, true: each(hits, guessed, true)[1]

    return of


def _micro_f1(hits: Any, guessed: Any, true: Any) -> Any:
    return _f1(tf.reduce_sum(hits), tf.reduce_sum(guessed), tf.reduce_sum(true))


def _weighted_f1(hits: Any, guessed: Any, true: Any) -> Any:
    return _ratio(tf.reduce_sum(_f1(hits, guessed, true) * true), tf.reduce_sum(true))


def _balanced_accuracy(hits: Any, guessed: Any, true: Any) -> Any:
    return tf.reduce_mean(tf.boolean_mask(_recall(hits, guessed, true), true > 0))


def _accuracy(hits: Any, guessed: Any, true: Any) -> Any:
    return _ratio(tf.reduce_sum(hits), tf.reduce_sum(true))


def _mcc(hits: Any, guessed: Any, true: Any) -> Any:
    """Return Matthews's correlation of several classes (Gorodkin 2004, equation 8)."""
    rows = tf.reduce_sum(true)
    shared = tf.reduce_sum(hits) * rows - tf.reduce_sum(guessed * true)
    spreads = (rows**2 - tf.reduce_sum(guessed**2)) * (rows**2 - tf.reduce_sum(true**2))
    return _ratio(shared, tf.sqrt(spreads))


def _cohen_kappa(hits: Any, guessed: Any, true: Any) -> Any:
    rows = tf.reduce_sum(true)
    by_chance = _ratio(tf.reduce_sum(guessed * true), rows)
    return (tf.reduce_sum(hits) - by_chance) / (rows - by_chance)


def _same(formula: Formula) -> Callable[[Form], Formula]:
    return lambda form: formula


_COUNTED: dict[str, Callable[[Form], Formula]] = {
    "accuracy": _same(_accuracy),
    "balanced_accuracy": _same(_balanced_accuracy),
    "precision": _positive(_precision),
    "recall": _positive(_recall),
    "f1": _positive(_f1),
    "macro_precision": _macro(_precision),
    "macro_recall": _macro(_recall),
    "macro_f1": _macro(_f1),
    "micro_f1": _same(_micro_f1),
    "weighted_f1": _same(_weighted_f1),
    "mcc": _same(_mcc),
    "cohen_kappa": _same(_cohen_kappa),
}


def _among_first(truth: Any, scores: Any, k: int) -> Any:
    """Return whether the true class is among the ``k`` highest; of equal ones a later class counts as higher."""
    mine = tf.gather(scores, truth, axis=1, batch_dims=1)[:, None]
    later = tf.range(scores.shape[1])[None, :] > truth[:, None]
    above = (scores > mine) | ((scores == mine) & later)
    return tf.reduce_sum(tf.cast(above, tf.int32), axis=1, keepdims=True) < k


def _log_loss(truth: Any, scores: Any) -> Any:
    mine = tf.gather(scores, truth, axis=1, batch_dims=1)[:, None]
    clipped = tf.clip_by_value(mine, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    return -tf.math.log(tf.cast(clipped, tf.float64))


def _exact_match(truth: Any, scores: Any) -> Any:
    right = tf.reduce_all((scores > 0.5) == (truth > 0.5), axis=1, keepdims=True)
    return tf.cast(right, tf.float64) * tf.ones_like(truth)


def _wrong_flags(truth: Any, scores: Any) -> Any:
    return (scores > 0.5) != (truth > 0.5)


def _error(truth: Any, scores: Any) -> Any:
    return tf.cast(scores, tf.float64) - truth


def _mean(means: Any) -> Any:
    return tf.reduce_mean(means)


_AVERAGED: dict[str, tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = {
    "log_loss": (_log_loss, _mean),
    "exact_match": (_exact_match, _mean),
    "hamming_loss": (_wrong_flags, _mean),
    "mae": (lambda y, p: tf.abs(_error(y, p)), _mean),
    "mse": (lambda y, p: _error(y, p) ** 2, _mean),
    "rmse": (lambda y, p: _error(y, p) ** 2, lambda means: tf.reduce_mean(tf.sqrt(means))),
    "mape": (lambda y, p: tf.abs(_error(y, p)) / tf.maximum(tf.abs(y), SMALLEST), _mean),
}


def _explained(left: Any, all_of_it: Any) -> Any:
    """Return the mean over columns of 1 - left/all; a column that does not vary is 1 where it is met, else 0."""
    varies = all_of_it > 0
    share = 1 - left / tf.where(varies, all_of_it, 1.0)
    return tf.reduce_mean(tf.where(varies, share, tf.cast(left <= 0, tf.float64)))


_SPREAD: dict[str, Formula] = {
    "r2": lambda truth, errors, shifted: _explained(errors + shifted, truth),
    "explained_variance": lambda truth, errors, shifted: _explained(errors, truth),
}


def _in_order(flags: Any, scores: Any, weights: Any) -> tuple[Any, Any, Any]:
    """Return scores ascending, and the weights of the true and of the false rows in that order."""
    order = tf.argsort(scores, axis=1)
    weights = tf.gather(weights, order)
    true = weights * tf.cast(tf.gather(flags, order, batch_dims=1), weights.dtype)
    return tf.gather(scores, order, batch_dims=1), true, weights - true


def _before(scores: Any, weights: Any, side: Literal["left", "right"]) -> Any:
    """Return the weight of the rows with a lower score than each ("left"), or with no higher one ("right")."""
    sums = tf.pad(tf.cumsum(weights, axis=1), [[0, 0], [1, 0]])
    return tf.gather(sums, tf.searchsorted(scores, scores, side), batch_dims=1)


def _auc(flags: Any, scores: Any, weights: Any) -> Any:
    """Return how often a true row's score is above a false one's, half of it where they are equal; NaN without both."""
    scores, true, false = _in_order(flags, scores, weights)
    below = _before(scores, false, "left") + _before(scores, false, "right")
    pairs = tf.reduce_sum(true, axis=1) * tf.reduce_sum(false, axis=1)
    return tf.reduce_sum(true * below, axis=1) / 2 / pairs


def _average_precision(form: Form) -> Formula:
    def formula(flags: Any, scores: Any, weights: Any) -> Any:
        scores, true, false = _in_order(flags, scores, weights)
        all_true = tf.reduce_sum(true, axis=1, keepdims=True)
        found = all_true - _before(scores, true, "left")
        wrong = tf.reduce_sum(false, axis=1, keepdims=True) - _before(scores, false, "left")
        area = tf.reduce_sum(true * _ratio(found, found + wrong), axis=1)
        return area / all_true[:, 0] if form.of_classes else _ratio(area, all_true[:, 0])

    return formula


class ValidationMetrics(FiguresByName):
    """Hears a model's ``compute_metrics``, where Keras has labels and outputs together, and updates its metrics there.

    Only while ``listening``: steps are traced once, so that the program of training has nothing of them in it.
    """

    def __init__(self, model: Any, metrics: Sequence[Any]) -> None:
        self._metrics = tuple(metrics)
        self._listens = False
        self._heard = False
        if not metrics:
            return
        own = model.compute_metrics

        def compute_metrics(x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> Any:
            if self._listens:
                self._heard = True
                batch = read(self._metrics[0].form, y, y_pred, sample_weight)
                for metric in self._metrics:
                    metric.add(*batch)
            return own(x, y, y_pred, sample_weight=sample_weight)

        object.__setattr__(model, "compute_metrics", compute_metrics)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear an evaluation, whose first step is ``reset``."""
        for metric in self._metrics:
            if metric.grows:
                metric.reset_state()
        self._listens = True
        try:
            yield
        finally:
            self._listens = False

    def reset(self) -> None:
        """Forget what was heard; in the graph, where that costs next to nothing."""
        for metric in self._metrics:
            if not metric.grows:
                metric.reset_state()

    def results(self) -> dict[str, Any]:
        """Return each metric of what was heard since ``reset``.

        Raises TrialError where nothing was, since the model evaluates in a way of its own.
        """
        if self._metrics and not self._heard:
            raise TrialError(NOT_HEARD)
        return {metric.name: metric.result() for metric in self._metrics}
