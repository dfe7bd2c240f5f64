"""By what trials are judged: a metric that the model reports, in a direction that is known or was said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from orchestrator.catalog import CallableReference
from orchestrator.config import Experiment
from orchestrator.config.metrics import Direction, check_metrics, is_metric
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.experiment.kinds.trial_builds import Learned

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.task import Task


Reported = Mapping[str, Direction | None]

_OF_QUANTITIES: Mapping[str, Direction] = {"loss": "min", "mae": "min", "r2": "max"}
_OF_CLASSES: Mapping[str, Direction] = {"loss": "min", "accuracy": "max"}


def judged_by(
    experiment: Experiment,
    model: CallableReference,
    dataset: Dataset | StreamedDataset,
    learned: Learned | None,
) -> tuple[Task | None, Reported | None]:
    """Return what is learned and what is reported of it, each None where only training will show.

    Raises DataError or TrialError where labels and model do not fit together.
    """
    if model.kind == "bundled":
        from orchestrator.training.task import task_of_labels  # with NumPy: not for --help

        task = task_of_labels(dataset, experiment.task, f"data {experiment.data_options.source}")
        names = _OF_QUANTITIES if task.kind == "regression" else _OF_CLASSES
        return task, {**names, **{f"val_{name}": way for name, way in names.items()}}
    if learned is None or learned.looked is None:
        return None, None
    return learned.looked.task, learned.looked.reported


def settled(experiment: Experiment, task: Task | None, reported: Reported | None) -> Experiment:
    """Return an experiment with its metric and direction in it.

    ``reported`` is what its model reports of an epoch, None where only training will show. Raises
    ExperimentFileError for a metric that is not reported, for a direction against what is known of the metric, and
    where none is known.
    """
    metric = experiment.metric
    if metric == "auto":
        metric = task.metric(frozenset(reported or ())) if task else "val_accuracy"
        experiment = experiment.model_copy(update={"metric": metric})
    if task is not None and task.kind is not None:
        check_metrics(experiment.metrics, task.kind)
    known = experiment.direction
    if reported is not None:
        if metric.startswith("val_") or not all(name.startswith("val_") for name in reported):
            check_reported(experiment, reported)
        by_class = reported.get(metric)
        _check_direction(experiment, by_class)
        known = experiment.mode or by_class or known
    if known is None:
        raise ExperimentFileError(
            f"mode: max or min is needed, since the direction of {metric} is unknown. Write mode: max or mode: min."
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


def _check_direction(experiment: Experiment, known: Direction | None) -> None:
    if experiment.mode is not None and known not in (None, experiment.mode):
        good = "low" if known == "min" else "high"
        expected = f"expected {known}, since a {good} {experiment.metric} is good"
        raise ExperimentFileError(explain("mode", expected, experiment.mode))
