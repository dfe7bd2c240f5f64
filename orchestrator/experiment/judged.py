"""By what trials are judged: a metric that the model reports, in a direction that is known or was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from orchestrator.catalog import CallableReference
from orchestrator.config import Experiment
from orchestrator.config.directions import Direction
from orchestrator.config.metric_names import is_metric
from orchestrator.errors import ExperimentFileError, TrialError, explain
from orchestrator.strategies import Plan

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset

Reported = Mapping[str, Direction | None]

REPORTED = ("loss", "accuracy", "val_loss", "val_accuracy")
"""What training reports of a model that it compiles itself."""


def provisional(experiment: Experiment) -> Experiment:
    """Return an experiment that can be planned; its direction is ``settled`` once it is known what is reported."""
    if experiment.direction is not None:
        return experiment
    return experiment.model_copy(update={"mode": "max"})


def settled(experiment: Experiment, reported: Reported | None) -> Experiment:
    """Return an experiment with its direction in it.

    ``reported`` is what its model reports of an epoch, None where only training will show. Raises
    ExperimentFileError for a metric that is not reported, for a direction against what is known of the metric, and
    where none is known.
    """
    metric, known = experiment.metric, experiment.direction
    if reported is not None:
        if metric.startswith("val_") or not all(name.startswith("val_") for name in reported):
            check_reported(experiment, reported)
        by_class = reported.get(metric)
        _check_direction(experiment, by_class)
        known = experiment.mode or by_class or known
    if known is None:
        raise ExperimentFileError(
            f"mode: expected max or min, since it is not known of {metric} which of them is good. Received: nothing."
            " Write mode: max or mode: min."
        )
    return experiment.model_copy(update={"mode": known})


def check_reported(experiment: Experiment, by_model: Iterable[str]) -> None:
    """Raise ExperimentFileError where the metric is neither one that the model reports nor one asked for by name."""
    metric, names = experiment.metric, [*by_model, *_by_name(experiment)]
    if metric in names:
        return
    said = explain("metric", "a metric that the model reports", metric, names)
    name = metric.removeprefix("val_")
    if is_metric(name) and metric != name:
        said += f" Ask for it: metrics: [{name}]."
    raise ExperimentFileError(said)


def _by_name(experiment: Experiment) -> list[str]:
    return [f"val_{name}" for name in experiment.metrics]


def reported_by(
    experiment: Experiment, model: CallableReference, plan: Plan, dataset: Dataset | StreamedDataset
) -> Reported | None:
    """Return what a user's model reports, looked at only where the metric is not one of every model's; else None.

    The model is built from the first draw. One that cannot be built here says so in its trials.
    """
    if model.kind == "bundled" or experiment.metric in (*REPORTED, *_by_name(experiment)):
        return None
    from orchestrator.training.worker_process import quiet_tensorflow

    quiet_tensorflow()
    from orchestrator.training.looking import look_at

    try:
        return look_at(model, plan.trials[0].hyperparameters, dataset)
    except TrialError:
        return None


def with_direction(plan: Plan, experiment: Experiment) -> Plan:
    """Return the plan with the experiment's direction."""
    return plan if experiment.mode is None else replace(plan, mode=experiment.mode)


def _check_direction(experiment: Experiment, known: Direction | None) -> None:
    if experiment.mode is not None and known not in (None, experiment.mode):
        good = "low" if known == "min" else "high"
        expected = f"expected {known}, since a {good} {experiment.metric} is good"
        raise ExperimentFileError(explain("mode", expected, experiment.mode))
