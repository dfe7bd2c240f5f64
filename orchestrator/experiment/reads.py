"""A hyperparameter that nothing reads is an error: someone believes it matters."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference, read_names
from orchestrator.domains import Choice, Fixed, Space
from orchestrator.errors import ExperimentFileError, TrialError, explain
from orchestrator.strategies import Plan
from orchestrator.training.hyperparameters import DEFAULTS, OPTIMIZER_READS, read_by_training

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset

BUILDS_TRIED = 10


def check_every_hyperparameter_is_read(
    space: Space,
    model: CallableReference,
    plan: Plan,
    dataset: Dataset | StreamedDataset,
    by_callbacks: Collection[str] = (),
) -> None:
    """Raise ExperimentFileError for a hyperparameter that neither training nor the model's builder reads.

    A name that the builder's source mentions counts as read. One that it does not is tried: the builder runs on some
    of the plan's draws and its reads are watched. Only a suspect costs that time.
    """
    suspects = [name for name in unmentioned(space, model) if name not in by_callbacks]
    if suspects and model.kind != "bundled":
        suspects = _unread_in_builds(suspects, model, plan, dataset)
    refuse_unread(suspects, space, model)


def unmentioned(space: Space, model: CallableReference) -> list[str]:
    """Return the hyperparameters that neither training nor the source of the model's builder mentions."""
    known = read_by_training(optimizers_of(space)) | read_names(model)
    return [name for name in space.names if name not in known]


def refuse_unread(names: list[str], space: Space, model: CallableReference) -> None:
    """Raise ExperimentFileError for the first of ``names``, which nothing reads."""
    by_model = read_names(model)
    for name in names:
        raise ExperimentFileError(_sentence(name, optimizers_of(space), model, by_model))


def optimizers_of(space: Space) -> set[str]:
    """Return the optimizers a space can draw."""
    domain = space.domains.get("optimizer")
    match domain:
        case None:
            return {str(DEFAULTS["optimizer"])}
        case Choice():
            return {str(value) for value in domain.values}
        case Fixed():
            return {str(domain.value)}
    return set(OPTIMIZER_READS)


def _unread_in_builds(
    suspects: list[str], model: CallableReference, plan: Plan, dataset: Any
) -> list[str]:
    from orchestrator.training.worker_process import quiet_tensorflow

    quiet_tensorflow()
    from orchestrator.training.compiling import watch_reads

    unread = set(suspects)
    for spec in plan.trials[:BUILDS_TRIED]:
        try:
            shape = (dataset.input_shape, dataset.num_classes)
            unread -= watch_reads(model, spec.hyperparameters, shape)
        except TrialError:
            return []  # what it would have read cannot be known; the trial's own row will say why
        if not unread:
            break
    return [name for name in suspects if name in unread]


def _sentence(name: str, optimizers: set[str], model: CallableReference, by_model: set[str]) -> str:
    readers = sorted(optimizer for optimizer, names in OPTIMIZER_READS.items() if name in names)
    if readers:
        return (
            f"search_space.{name}: nothing reads it, since the optimizer is always {' or '.join(sorted(optimizers))}."
            f" It is read by {', '.join(readers)}."
        )
    known = read_by_training(optimizers) | by_model
    return explain(
        f"search_space.{name}",
        f"expected a hyperparameter that model {model.text} or training reads",
        name,
        known,
    )
