"""Trials that fit a scikit-learn estimator or pipeline, ``make(hp)``, on the rows of an experiment's data.

One with ``partial_fit`` is given the training rows once an epoch; one with ``warm_start`` is fitted further each epoch;
any other is fitted once. What it is judged by is measured on the validation rows.
"""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError, explain
from orchestrator.records import Mode, write_atomically
from orchestrator.trials.function import FunctionJob
from orchestrator.trials.protocol import WorkbenchAround

Learns = Literal["classification", "regression"]
TEST_SCORES = "test.json"
ESTIMATOR = "estimator.joblib"
SCORES: Mapping[Learns, tuple[str, ...]] = {
    "classification": (
        *("accuracy", "balanced_accuracy", "macro_f1", "macro_precision", "macro_recall"),
        *("loss", "auc"),
    ),
    "regression": ("mae", "mse", "loss", "r2"),
}
"""What is measured by name; the loss is the cross-entropy, or the mean squared error."""
ALWAYS: Mapping[Learns, tuple[str, ...]] = {
    "classification": ("accuracy", "loss"),
    "regression": ("mae", "r2", "loss"),
}


@dataclass(frozen=True)
class Rows:
    """What an estimator learns: ``parts`` has (features (rows, columns), labels (rows,)) for each part.

    Labels are class numbers, of ``classes``, or quantities. ``scores`` are what each epoch reports, by name.
    """

    parts: Mapping[str, tuple[Any, Any]] = field(repr=False)
    learns: Learns
    classes: int
    scores: tuple[str, ...]


@dataclass(frozen=True)
class EstimatorReference(CallableReference):
    """A function ``make(hp)`` somewhere, which loads as a ``train(hp, report, seed)`` that fits what it makes."""

    rows: Rows | None = field(default=None, compare=False)
    epochs: int = 1
    metric: str = ""
    mode: Mode = "max"
    saves: bool = False

    def load(self, fresh: bool = False) -> Callable[..., Any]:
        """Return the function. Raises as CallableReference's does."""
        make, rows = super().load(fresh), self.rows
        assert rows is not None  # noqa: S101

        def train(hp: Mapping[str, Any], report: Any, seed: int) -> None:
            estimator = _made(make(hp), self.text, seed, rows.learns)
            best: float | None = None
            for fitted in _epochs(estimator, rows, self.epochs, seed):
                told = _scores(fitted, rows, "validation", self.text)
                reached = told.get(self.metric.removeprefix("val_"), float("nan"))
                sign = 1 if self.mode == "max" else -1
                if best is None or sign * reached > sign * best:
                    best = reached
                    with report.checkpoint.save() as folder:
                        self._keep(fitted, folder)
                report(**{f"val_{name}": value for name, value in told.items()})

        return train

    def _keep(self, fitted: Any, folder: Path) -> None:
        """Keep what becomes of the winner: its scores on the test rows, and itself where the file asks for it."""
        assert self.rows is not None  # noqa: S101
        scores = _scores(fitted, self.rows, "test", self.text)
        write_atomically(folder / TEST_SCORES, json.dumps(scores))
        if self.saves:
            import joblib

            joblib.dump(fitted, folder / ESTIMATOR)


def _made(estimator: Any, where: str, seed: int, learns: Learns) -> Any:
    """Return what ``make`` returned, seeded wherever it has no seed of its own."""
    from sklearn.base import is_classifier, is_regressor

    if not (hasattr(estimator, "fit") and hasattr(estimator, "get_params")):
        expected = "expected make(hp) to return a scikit-learn estimator or pipeline"
        raise TrialError(explain(where, expected, type(estimator).__name__))
    kind = (
        "classification"
        if is_classifier(estimator)
        else "regression"
        if is_regressor(estimator)
        else "neither"
    )
    if kind != learns:
        raise TrialError(
            f"{where}: expected an estimator of a {learns}, which the data are for. Received:"
            f" {type(estimator).__name__}, of {kind}. The file's task: {kind} would say otherwise."
        )
    seeds = {
        name: seed % 2**32
        for name, value in estimator.get_params(deep=True).items()
        if name.rpartition("__")[2] == "random_state" and value is None
    }
    return estimator.set_params(**seeds)


def _epochs(estimator: Any, rows: Rows, epochs: int, seed: int) -> Iterator[Any]:
    """Yield an estimator after each of its epochs: always the same one, fitted further."""
    x, y = rows.parts["train"]
    last = estimator[-1] if hasattr(estimator, "steps") else estimator
    if hasattr(last, "partial_fit"):
        yield from _partial_fits(estimator, rows, epochs, seed)
        return
    growing = _growing(last) if getattr(last, "warm_start", False) else None
    grows = growing == "n_estimators" or type(last).__name__.startswith("HistGradient")
    whole = int(getattr(last, growing)) if growing else 1
    for epoch in range(1, epochs + 1 if growing else 2):
        if growing and grows:
            last.set_params(**{growing: max(1, -(-whole * epoch // epochs))})
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it has not converged, after each epoch
            estimator.fit(x, y)
        yield estimator


def _growing(last: Any) -> str | None:
    """Return the parameter by which a warm start goes on: trees, or iterations."""
    names = last.get_params(deep=False)
    return next((name for name in ("n_estimators", "max_iter") if names.get(name)), None)


def _partial_fits(estimator: Any, rows: Rows, epochs: int, seed: int) -> Iterator[Any]:
    """Yield an estimator after each pass over the training rows, each in another order."""
    x, y = rows.parts["train"]
    last = estimator
    if hasattr(estimator, "steps"):
        last = estimator[-1]
        x = estimator[:-1].fit_transform(x, y) if len(estimator.steps) > 1 else x
    takes_classes = "classes" in inspect.signature(last.partial_fit).parameters
    classes = {"classes": np.arange(rows.classes)} if takes_classes else {}
    for epoch in range(epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(y))
        last.partial_fit(x[order], y[order], **classes)
        yield estimator


def _scores(estimator: Any, rows: Rows, part: str, where: str) -> dict[str, float]:
    """Return an estimator's scores on a part, by name."""
    from sklearn import metrics as measured

    x, y = rows.parts[part]
    predicted = estimator.predict(x)
    if rows.learns == "regression":
        squared = float(measured.mean_squared_error(y, predicted))
        known = {"mae": measured.mean_absolute_error(y, predicted), "mse": squared, "loss": squared}
        known["r2"] = measured.r2_score(y, predicted)
        return {name: float(known[name]) for name in rows.scores}
    macro = {"average": "macro", "zero_division": 0}
    by_name: dict[str, Callable[[], float]] = {
        "accuracy": lambda: measured.accuracy_score(y, predicted),
        "balanced_accuracy": lambda: measured.balanced_accuracy_score(y, predicted),
        "macro_f1": lambda: measured.f1_score(y, predicted, **macro),
        "macro_precision": lambda: measured.precision_score(y, predicted, **macro),
        "macro_recall": lambda: measured.recall_score(y, predicted, **macro),
    }
    if hasattr(estimator, "predict_proba"):
        shares = estimator.predict_proba(x)
        named, binary = list(range(rows.classes)), rows.classes == 2
        by_name["loss"] = lambda: measured.log_loss(y, shares, labels=named)
        by_name["auc"] = lambda: (
            measured.roc_auc_score(y, shares[:, 1])
            if binary
            else measured.roc_auc_score(y, shares, multi_class="ovr", labels=named)
        )
    asked = [name for name in rows.scores if name in by_name or name != "loss"]
    absent = [name for name in asked if name not in by_name]
    if absent:
        expected = f"expected an estimator with predict_proba, from which {absent[0]} is measured"
        raise TrialError(explain(where, expected, type(estimator).__name__))
    return {name: float(by_name[name]()) for name in asked}


@dataclass(frozen=True, kw_only=True)
class EstimatorJob(FunctionJob):
    """Trials that fit an estimator."""

    def open(self) -> Any:
        """Set this process up: the file of ``make`` is run."""
        return _Workbench(super().open())


class _Workbench(WorkbenchAround):
    """A process in which estimators are fitted; the winner's scores on the test rows are told with it."""

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        told = self.inner.judge(checkpoint, best)
        scores = best / "checkpoint" / TEST_SCORES
        if scores.exists():
            told["test"] = json.loads(scores.read_text())
            write_atomically(best / "metrics.json", json.dumps(told, indent=2) + "\n")
        return told
