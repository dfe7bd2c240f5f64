"""What metrics accumulate over the batches of a validation, in float64: counts, averages, spreads, all the scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from orchestrator.errors import TrialError
from orchestrator.training.row_metrics import NUMBERED, ONE_OUTPUT, UNLIKE, Form


def read(form: Form, y: Any, outputs: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Return (truth, scores, weight of each row).

    Of classes: class numbers (rows,) and probabilities (rows, classes); else both are (rows, columns).
    """
    if isinstance(y, dict | list | tuple) or isinstance(outputs, dict | list | tuple):
        raise TrialError(ONE_OUTPUT.format("several"))
    scores = tf.cast(tf.convert_to_tensor(outputs), tf.float32)
    scores = tf.reshape(scores, (-1, 1)) if scores.shape.rank == 1 else scores
    if scores.shape.rank != 2:
        raise TrialError(ONE_OUTPUT.format(f"outputs of shape {tuple(scores.shape)}"))
    truth = tf.convert_to_tensor(y)
    given = tf.ones_like(scores[:, 0]) if weight is None else weight
    weights = tf.reshape(tf.cast(given, tf.float64), (-1,))
    if form.of_classes:
        scores = _probabilities(form, scores)
        return _classes(form, truth), scores, weights
    if scores.shape[1] != form.width:
        raise TrialError(UNLIKE.format(form.width, scores.shape[1]))
    if form.from_logits and form.kind == "multilabel":
        scores = tf.sigmoid(scores)
    truth = tf.reshape(tf.cast(truth, tf.float64), (-1, form.width))
    if form.scale:
        scale, shift = tf.constant(form.scale, tf.float64), tf.constant(form.shift, tf.float64)
        return truth * scale + shift, tf.cast(scores, tf.float64) * scale + shift, weights
    return truth, scores, weights


def _probabilities(form: Form, scores: Any) -> Any:
    if scores.shape[1] == 1:
        one = tf.sigmoid(scores) if form.from_logits else scores
        scores = tf.concat([1 - one, one], axis=1)
    elif form.from_logits:
        scores = tf.nn.softmax(scores)
    if scores.shape[1] != max(form.width, 2):
        raise TrialError(UNLIKE.format(form.width, scores.shape[1]))
    return scores


def _classes(form: Form, truth: Any) -> Any:
    if truth.shape.rank == 2 and truth.shape[1] > 1:
        return tf.argmax(truth, axis=1, output_type=tf.int32)
    numbers = tf.reshape(tf.cast(truth, tf.int32), (-1,))
    inside = (numbers >= 0) & (numbers < max(form.width, 2))
    check = tf.debugging.Assert(tf.reduce_all(inside), [NUMBERED, numbers], summarize=5)
    with tf.control_dependencies([check] if check is not None else []):
        return tf.identity(numbers)


COLUMNS_AT_ONCE = 32
"""Beyond which columns are ranked one after another: all at once takes memory for each."""


class NamedMetric(keras.metrics.Metric):  # type: ignore[misc]
    """A metric of ours: what it reads of a batch can be read once for several.

    One that ``grows`` is reset outside a traced function: inside one, TensorFlow takes the rows there are then, none,
    for all there will be.
    """

    grows = False

    def __init__(self, name: str, form: Form) -> None:
        super().__init__(name=name)
        self.form = form

    def update_state(self, y: Any, outputs: Any, sample_weight: Any = None) -> None:
        """Take in a batch as Keras has it."""
        self.add(*read(self.form, y, outputs, sample_weight))

    def add(self, truth: Any, scores: Any, weight: Any) -> None:
        """Take in a batch as ``read`` has it."""
        raise NotImplementedError


class Counted(NamedMetric):
    """A formula of three counts a class: hits, predictions and true ones."""

    def __init__(self, name: str, form: Form, formula: Callable[[Any, Any, Any], Any]) -> None:
        super().__init__(name, form)
        self.formula = formula
        shape = (3, max(form.width, 2) if form.of_classes else form.width)
        self.counts = self.add_variable(shape, "zeros", dtype="float64", name="counts")

    def add(self, truth: Any, scores: Any, weight: Any) -> None:
        """Count a batch."""
        counts = _class_counts if self.form.of_classes else _flag_counts
        self.counts.assign_add(tf.stack(counts(truth, scores, weight)))

    def result(self) -> Any:
        """Return the metric over all rows counted."""
        return self.formula(*tf.unstack(tf.convert_to_tensor(self.counts)))


def _class_counts(truth: Any, scores: Any, weight: Any) -> tuple[Any, Any, Any]:
    guess = tf.argmax(scores, axis=1, output_type=tf.int32)
    hit = tf.where(guess == truth, weight, 0.0)
    classes = scores.shape[1]
    return (
        tf.math.unsorted_segment_sum(hit, truth, classes),
        tf.math.unsorted_segment_sum(weight, guess, classes),
        tf.math.unsorted_segment_sum(weight, truth, classes),
    )


def _flag_counts(truth: Any, scores: Any, weight: Any) -> tuple[Any, Any, Any]:
    weight, guess = weight[:, None], tf.cast(scores > 0.5, tf.float64)
    weighted = (weight * truth * guess, weight * guess, weight * truth)
    return tuple(tf.reduce_sum(part, axis=0) for part in weighted)  # type: ignore[return-value]


class Averaged(NamedMetric):
    """A formula of the mean of a term over rows; ``term(truth, scores)`` is (rows, columns)."""

    def __init__(
        self, name: str, form: Form, term: Callable[[Any, Any], Any], formula: Callable[[Any], Any]
    ) -> None:
        super().__init__(name, form)
        self.term, self.formula = term, formula
        width = 1 if form.of_classes else form.width
        self.sums = self.add_variable((width,), "zeros", dtype="float64", name="sums")
        self.weights = self.add_variable((), "zeros", dtype="float64", name="weights")

    def add(self, truth: Any, scores: Any, weight: Any) -> None:
        """Add a batch."""
        terms = tf.cast(self.term(truth, scores), tf.float64)
        self.sums.assign_add(tf.reduce_sum(terms * weight[:, None], axis=0))
        self.weights.assign_add(tf.reduce_sum(weight))

    def result(self) -> Any:
        """Return the metric over all rows."""
        return self.formula(tf.math.divide_no_nan(self.sums + 0.0, self.weights + 0.0))


class Spread(NamedMetric):
    """A formula of how far quantities, and a model's errors, spread around their means, column by column.

    Merged batch by batch without cancellation (Chan, Golub & LeVeque 1983, "Algorithms for Computing the Sample
    Variance", section 3). ``formula(truth, errors, of the errors' means)`` is given sums of squares.
    """

    def __init__(self, name: str, form: Form, formula: Callable[[Any, Any, Any], Any]) -> None:
        super().__init__(name, form)
        self.formula = formula
        shape = (2, form.width)  # of the truth and of the errors
        self.weights = self.add_variable((), "zeros", dtype="float64", name="weights")
        self.means = self.add_variable(shape, "zeros", dtype="float64", name="means")
        self.squares = self.add_variable(shape, "zeros", dtype="float64", name="squares")

    def add(self, truth: Any, scores: Any, weight: Any) -> None:
        """Merge a batch in."""
        values = tf.stack([truth, truth - tf.cast(scores, tf.float64)])
        weight = weight[None, :, None]
        new = tf.reduce_sum(weight)
        mean = tf.math.divide_no_nan(tf.reduce_sum(values * weight, axis=1), new)
        squares = tf.reduce_sum(weight * (values - mean[:, None, :]) ** 2, axis=1)
        before = self.weights + 0.0
        share = tf.math.divide_no_nan(new, before + new)
        apart = mean - self.means
        self.squares.assign_add(squares + apart**2 * before * share)
        self.means.assign_add(apart * share)
        self.weights.assign_add(new)

    def result(self) -> Any:
        """Return the metric over all rows."""
        truth, errors = tf.unstack(tf.convert_to_tensor(self.squares))
        return self.formula(truth, errors, self.weights * self.means[1] ** 2)


class Ranked(NamedMetric):
    """The mean over columns of a formula of all rows' scores, which are kept to the end of the validation.

    ``formula(flags, scores, weights)`` takes (columns, rows) and the rows' weights; it is NaN for a column that has no
    such figure, which is left out. Of two classes the second is the one column.
    """

    grows = True

    def __init__(self, name: str, form: Form, formula: Callable[[Any, Any, Any], Any]) -> None:
        super().__init__(name, form)
        self.formula = formula
        width = max(form.width, 2) if form.of_classes else form.width
        self.columns = [1] if form.of_classes and width == 2 else [*range(width)]
        flat = (None,) if form.of_classes else (None, width)
        self.truth = _growing(flat, tf.float64)
        self.scores = _growing((None, width), tf.float32)
        self.weights = _growing((None,), tf.float64)

    def add(self, truth: Any, scores: Any, weight: Any) -> None:
        """Keep a batch."""
        batch = (tf.cast(truth, tf.float64), scores, weight)
        for kept, new in zip((self.truth, self.scores, self.weights), batch, strict=True):
            kept.assign(tf.concat([kept, new], axis=0))

    def reset_state(self) -> None:
        """Keep nothing."""
        for kept in (self.truth, self.scores, self.weights):
            kept.assign(tf.zeros((0, *kept.shape[1:]), kept.dtype))

    def result(self) -> Any:
        """Return the metric over all rows kept."""
        truth, scores = tf.convert_to_tensor(self.truth), tf.convert_to_tensor(self.scores)
        weight = tf.convert_to_tensor(self.weights)

        def of_columns(columns: Any) -> Any:
            flags = self._flags(truth, columns)
            return self.formula(flags, tf.gather(tf.transpose(scores), columns), weight)

        if len(self.columns) <= COLUMNS_AT_ONCE:
            found = of_columns(self.columns)
        else:
            columns = tf.constant(self.columns)[:, None]
            found = tf.map_fn(of_columns, columns, fn_output_signature=tf.float64)
        known = tf.boolean_mask(found, tf.math.is_finite(found))
        return tf.reduce_mean(known)

    def _flags(self, truth: Any, columns: Any) -> Any:
        if self.form.of_classes:
            return truth[None, :] == tf.cast(columns, truth.dtype)[:, None]
        return tf.gather(tf.transpose(truth), columns) > 0


def _growing(shape: tuple[int | None, ...], dtype: Any) -> Any:
    start = tf.zeros((0, *shape[1:]), dtype)
    return tf.Variable(start, shape=shape, trainable=False, validate_shape=False)
