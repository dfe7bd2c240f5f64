"""What a panda's schedule will set, checked before it starts: at its epoch it would be too late."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference, read_names
from orchestrator.domains import Space
from orchestrator.domains.space import without_companions
from orchestrator.errors import ExperimentFileError, RequestError, explain
from orchestrator.experiment.reads import unread_in_builds
from orchestrator.strategies import Plan
from orchestrator.training.hyperparameters import DEFAULTS
from orchestrator.training.possible import check_possible, read_while_training

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset


def check_schedule(
    plan: Plan, space: Space, model: CallableReference, dataset: Dataset | StreamedDataset
) -> None:
    """Raise ExperimentFileError for a scheduled name that nothing reads, or a value that no training could use."""
    if plan.nursery is None or not plan.nursery.schedule:
        return
    [spec] = plan.trials
    in_force = {**DEFAULTS, **spec.hyperparameters}
    chosen = {*read_names(model), *space.names, *spec.hyperparameters}
    for epoch, changes in plan.nursery.schedule:
        where = f"panda.schedule, epoch {epoch}"
        _check_values(changes, where)
        in_force |= changes
        known = {*read_while_training(str(in_force["optimizer"])), *chosen}
        unread = [name for name in without_companions(changes) if name not in known]
        if unread and model.kind != "bundled":
            then = replace(plan, trials=(replace(spec, hyperparameters=in_force),))
            unread = unread_in_builds(unread, model, then, dataset)
        _refuse(unread, known, where)


def _check_values(changes: Mapping[str, Any], where: str) -> None:
    for name, value in changes.items():
        try:
            check_possible(name, value)
        except RequestError as error:
            raise ExperimentFileError(f"{where}, {error}") from None


def _refuse(unread: Iterable[str], known: Iterable[str], where: str) -> None:
    for name in unread:
        expected = "expected a hyperparameter that the model or training reads"
        raise ExperimentFileError(explain(f"{where}, {name}", expected, name, known))
