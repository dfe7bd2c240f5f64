"""The metrics that an experiment asks for by name (``metrics:``), and the tasks that have them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from orchestrator.errors import ExperimentFileError, explain

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

_TOP = re.compile(r"top_([1-9]\d*)_accuracy")


def top_of(name: str) -> int | None:
    """Return 5 for ``top_5_accuracy``, None for another name."""
    found = _TOP.fullmatch(name)
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
