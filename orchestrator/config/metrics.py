"""Metrics by name: which there are for which task, and whether more or less of one is good."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from orchestrator.errors import ExperimentFileError, explain

Direction = Literal["max", "min"]

MORE_IS_GOOD = frozenset(
    {
        *("accuracy", "acc", "binary_accuracy", "categorical_accuracy", "balanced_accuracy"),
        *("sparse_categorical_accuracy", "top_k_categorical_accuracy", "exact_match"),
        *("sparse_top_k_categorical_accuracy", "subset_accuracy", "top_k_accuracy"),
        *("auc", "roc_auc", "pr_auc", "macro_auc", "average_precision", "mean_average_precision"),
        *("precision", "recall", "sensitivity", "specificity", "precision_at_recall"),
        *("recall_at_precision", "sensitivity_at_specificity", "specificity_at_sensitivity"),
        *("macro_precision", "macro_recall", "true_positives", "true_negatives"),
        *("f1", "f1_score", "fbeta_score", "f_beta_score", "macro_f1", "micro_f1", "weighted_f1"),
        *("io_u", "iou", "mean_io_u", "mean_iou", "binary_io_u", "binary_iou", "one_hot_io_u"),
        *("one_hot_iou", "one_hot_mean_io_u", "one_hot_mean_iou", "jaccard"),
        *("r2", "r2_score", "explained_variance", "cosine_similarity", "pearson_correlation"),
        *("concordance_correlation", "cohen_kappa", "mcc", "matthews_correlation"),
    }
)
LESS_IS_GOOD = frozenset(
    {
        *("loss", "error", "error_rate", "mse", "mae", "mape", "msle", "rmse", "rmsle"),
        *("mean_squared_error", "mean_absolute_error", "mean_absolute_percentage_error"),
        *("mean_squared_logarithmic_error", "root_mean_squared_error", "median_absolute_error"),
        *("log_cosh", "logcosh", "log_cosh_error", "huber", "poisson", "hinge", "squared_hinge"),
        *("categorical_hinge", "kl_divergence", "kullback_leibler_divergence", "kld"),
        *("crossentropy", "cross_entropy", "ce", "bce", "cce", "nll", "log_loss", "logloss"),
        *("binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"),
        *("binary_focal_crossentropy", "categorical_focal_crossentropy", "perplexity"),
        *("categorical_generalized_cross_entropy", "false_positives", "false_negatives"),
        *("hamming_loss", "max_error", "ctc"),
    }
)
EITHER = frozenset({"cosine_similarity"})
"""Keras has a metric of that name of which more is good, and a loss of which less is."""

_TOP = re.compile(r"(?:.*_)?top_?\d+(?:_categorical)?_accuracy")
_TURNED = re.compile(r"(?:^|_)(?:neg|negative|negated|minus|inverse|inverted|inv|anti|non|not)_")
_NUMBER = re.compile(r"_\d+$")


def direction_of(metric: str) -> Direction | None:
    """Return whether more (max) or less (min) of a metric is good; None where its name does not tell.

    ``val_`` before it, Keras's number behind it and an output's name before it do not matter: ``val_price_mae_1`` is a
    mean absolute error. What is turned (``neg_mse``) is not known.
    """
    name = plain_name(metric)
    if whole := _whole(name):
        return whole
    if _TURNED.search(name):
        return None
    if _TOP.fullmatch(name):
        return "max"
    ends = [name[at + 1 :] for at, letter in enumerate(name) if letter == "_"]
    return next((found for end in ends if (found := _whole(end))), None)


def contradicts(mode: Direction, metric: str) -> bool:
    """Return whether a metric's name leaves no doubt that ``mode`` is the wrong one."""
    known = direction_of(metric)
    doubtful = any(plain_name(metric).endswith(name) for name in EITHER)
    return known is not None and known != mode and not doubtful


def plain_name(metric: str) -> str:
    """Return a metric's name as Keras writes its own: ``val_MeanSquaredError_2`` is ``mean_squared_error``."""
    name = metric.removeprefix("val_")
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return _NUMBER.sub("", re.sub(r"[\s\-_]+", "_", name))


def _whole(name: str) -> Direction | None:
    if name in MORE_IS_GOOD:
        return "max"
    return "min" if name in LESS_IS_GOOD else None


MetricKind = Literal["classification", "binary", "multilabel", "regression"]

_OF_CLASSES = frozenset(
    {
        *("accuracy", "balanced_accuracy", "precision", "recall", "f1", "log_loss"),
        *("macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1"),
        *("auc", "macro_auc", "average_precision", "mcc", "cohen_kappa"),
    }
)
BY_TASK: dict[MetricKind, frozenset[str]] = {
    "classification": _OF_CLASSES | {"top_5_accuracy"},
    "binary": _OF_CLASSES,
    "multilabel": frozenset(
        {
            *("exact_match", "hamming_loss", "precision", "recall", "f1"),
            *("macro_precision", "macro_recall", "macro_f1", "micro_f1", "weighted_f1"),
            *("auc", "macro_auc", "average_precision"),
        }
    ),
    "regression": frozenset({"mae", "mse", "rmse", "mape", "r2", "explained_variance"}),
}
"""By kind of task; ``top_5_accuracy`` stands for any number."""

_TOP_K = re.compile(r"top_([1-9]\d*)_accuracy")


def top_of(name: str) -> int | None:
    """Return 5 for ``top_5_accuracy``, None for another name."""
    found = _TOP_K.fullmatch(name)
    return int(found[1]) if found else None


def is_metric(name: str, kind: MetricKind | None = None) -> bool:
    """Return whether there is a metric of that name, for that kind of task, or for any."""
    known = all_names() if kind is None else BY_TASK[kind]
    return name in known or (top_of(name) is not None and kind in (None, "classification"))


def all_names() -> frozenset[str]:
    """Return the names of the metrics of all tasks."""
    return frozenset().union(*BY_TASK.values())


def check_metrics(names: Iterable[str], kind: MetricKind) -> None:
    """Raise ExperimentFileError for a metric that a kind of task does not have."""
    for name in names:
        if not is_metric(name, kind):
            expected = f"expected a metric of {kind}"
            raise ExperimentFileError(explain("metrics", expected, name, BY_TASK[kind]))
