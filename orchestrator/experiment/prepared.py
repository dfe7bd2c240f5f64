"""Everything that can be refused, refused before Ray starts and before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config import Experiment, load_experiment, parse_experiment, to_yaml
from orchestrator.domains import Space
from orchestrator.errors import OrchestratorError, RunExistsError
from orchestrator.experiment.executors import PlaceCheck, check_place
from orchestrator.experiment.given import NOTHING, Given
from orchestrator.experiment.kinds import KINDS, Trials, space_of
from orchestrator.records import RunFolder, check_removable
from orchestrator.search import Plan
from orchestrator.search.points import points_of, with_points
from orchestrator.tuning.machine import available_cores

if TYPE_CHECKING:
    from orchestrator.trials import Trainable


@dataclass(frozen=True)
class Prepared:
    """A checked experiment: its space, its plan, and what its trials are."""

    experiment: Experiment
    space: Space
    plan: Plan
    trials: Trials
    points_from: str = ""

    @cached_property
    def document(self) -> str:
        """Return the complete experiment as YAML, its search space inline."""
        complete = self.experiment.model_copy(update={"search_space": self.space.to_document()})
        return to_yaml(complete)

    @property
    def cores(self) -> int:
        """Return the cores a cluster started here offers."""
        return available_cores()

    def job(self, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        return self.trials.job(self.experiment, self.plan, folder)


def read_experiment(
    experiment: str | Path | Mapping[str, Any] | Experiment, overrides: Sequence[str] = ()
) -> Experiment:
    """Return a checked Experiment from a file, a mapping, or one that is checked already."""
    if isinstance(experiment, Experiment):
        return experiment
    if isinstance(experiment, Mapping):
        return parse_experiment(experiment, overrides)
    return load_experiment(Path(experiment), overrides)


def prepare(
    experiment: Experiment,
    given: Given = NOTHING,
    place: PlaceCheck = check_place,
    overwrite: bool = False,
) -> Prepared:
    """Check everything an experiment refers to and plan it. Nothing is written; no trial is run.

    That its name is taken is said beside whatever else is wrong, not in place of it; with ``overwrite`` it may be by a
    run that can be removed.
    """
    folder = folder_of(experiment)
    if overwrite and folder.exists:
        check_removable(folder)
        return prepare_new(experiment, given, place)
    try:
        prepared = prepare_new(experiment, given, place)
    except OrchestratorError as error:
        if not folder.exists or experiment.is_numbered:
            raise
        raise RunExistsError(f"{error}\n{folder.taken()}") from None
    if folder.exists and not experiment.is_numbered:
        raise folder.taken()
    return prepared


def prepare_new(
    experiment: Experiment, given: Given = NOTHING, place: PlaceCheck = check_place
) -> Prepared:
    """Check and plan an experiment whose run is to be made, whether its name is taken or not."""
    folder_of(experiment).check_place()
    return prepare_again(experiment, given, place)


def prepare_again(
    experiment: Experiment, given: Given = NOTHING, place: PlaceCheck = check_place
) -> Prepared:
    """Check and plan an experiment whose run exists already; ``given`` are objects in place of its names."""
    space = space_of(experiment, given)
    points_from = points_of(experiment, space).source
    experiment = with_points(experiment, space)
    checked, plan, trials = KINDS[experiment.kind](experiment, space, given, place)
    return Prepared(checked, space, plan, trials, points_from)


def folder_of(experiment: Experiment) -> RunFolder:
    """Return where an experiment's run lies, or will lie."""
    return RunFolder(Path(experiment.storage_path) / experiment.name)
