"""Metrics by name, beside those that a model is compiled with: computed while it is evaluated, not while it trains."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from orchestrator.errors import TrialError, explain
from orchestrator.training.metric_states import Form
from orchestrator.training.metrics import make_metrics
from orchestrator.training.task import Kind, LearningGoal, TrainingTask

OURS = frozenset({"accuracy", "mae", "r2"})
"""What a model that we compile reports already, with the same values."""


class ValidationMetrics:
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
                batch = self._metrics[0].form.read(y, y_pred, sample_weight)
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
            raise TrialError(
                "metrics: expected a model whose test_step calls compute_metrics. Received: one of its own that does"
                " not. Leave metrics out and have it report what it is judged by."
            )
        return {metric.name: metric.result() for metric in self._metrics}

    def beside(self, own: dict[str, Any]) -> dict[str, Any]:
        """Return the model's own figures and these. Raises TrialError where one name would stand for two."""
        results = self.results()
        for name in own.keys() & results.keys() - OURS:
            expected = "expected metrics that the model does not report itself"
            raise TrialError(explain("metrics", expected, name))
        return {**own, **{name: value for name, value in results.items() if name not in own}}


def validation_metrics(task: TrainingTask, model: Any, goal: LearningGoal) -> ValidationMetrics:
    """Return what a task asks for by name, of one of its models."""
    of_own = getattr(model, "loss", None) if goal.task.compiled_by_user else None
    from_logits = goal.task.from_logits or bool(getattr(of_own, "from_logits", False))
    labels = task.dataset.labels
    kind = goal.task.kind or _KIND_OF_FORM.get(labels.form, "classification")
    quantities = kind == "regression" and not labels.one_hot
    columns = labels.width if quantities else task.dataset.num_classes
    form = Form(kind, columns, from_logits)
    if goal.labels == "standardized" and labels.mean is not None and labels.std is not None:
        form = replace(form, shift=tuple(labels.mean), scale=tuple(labels.std))
    return ValidationMetrics(model, make_metrics(task.metrics, form))


_KIND_OF_FORM: dict[str, Kind] = {"flags": "multilabel", "quantities": "regression"}
