"""Everything that can be refused, refused before Ray starts and before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import (
    CallableReference,
    find_callbacks,
    find_data,
    find_model,
    find_space,
    read_names,
)
from orchestrator.config import Experiment, load_experiment, parse_experiment, to_yaml
from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.space import without_companions
from orchestrator.errors import OrchestratorError, PlaceError, RunExistsError, explain
from orchestrator.experiment.executors import PlaceCheck, available_cores, check_place
from orchestrator.experiment.given import NOTHING, Given
from orchestrator.experiment.hyperparameter_checks import (
    check_every_hyperparameter_is_read,
    check_schedule_is_read,
    check_values,
    owned_by_builder,
    unread,
    values_of,
)
from orchestrator.experiment.judged import judged_by, settled
from orchestrator.experiment.trial_builds import Learned, must_be_tried, try_builds
from orchestrator.experiment.warm_start import find_ancestor
from orchestrator.records import RunFolder
from orchestrator.redaction import concealed
from orchestrator.schedulers import make_scheduler
from orchestrator.search import Plan, make_plan
from orchestrator.training.keras_settings import KerasSettings, keras_settings, settings_file
from orchestrator.training.trial_process import Setup, TrialProcess
from orchestrator.training.worker_process import quiet_tensorflow

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.task import Task
    from orchestrator.trials import Trainable


HEADS_SEEN = 5
"""How many models tell whether a space's heads are of one kind; what none of them shows is refused in its trial."""


@dataclass(frozen=True)
class Prepared:
    """A checked experiment: its space, model, data and plan, and what was learned by building the model.

    ``keras`` is what Keras is told from outside, ``loader`` the user's function that the data come from, ``data_kind``
    what they are: bundled, npz, csv, parquet, folder or function.
    """

    experiment: Experiment
    space: Space
    model: CallableReference
    dataset: Dataset | StreamedDataset
    plan: Plan
    learned: Learned | None = None
    task: Task | None = None
    keras: KerasSettings = field(default_factory=KerasSettings)
    loader: CallableReference | None = None
    callbacks: CallableReference | None = None
    data_kind: str | None = None

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
        from orchestrator.training.session import Goal
        from orchestrator.training.task import TrainingTask
        from orchestrator.training.workbench import KerasJob

        plan = self.plan
        milestones = make_scheduler(plan.scheduler, plan.epochs, plan.mode).milestones
        return KerasJob(
            task=TrainingTask(
                self.model,
                self.dataset,
                plan.epochs,
                plan.recalibrate_batch_norm,
                self.task,
                self.experiment.metrics,
                self.callbacks,
                _by_loss(self.experiment),
            ),
            goal=Goal(
                plan.metric,
                plan.mode,
                frozenset(milestones),
                folder.checkpoints.resolve(),
                self.experiment.checkpoint_every,
            ),
            threads=max(1, round(plan.cpus_per_trial)),
            nursery=plan.nursery,
            keras=self.keras,
            secrets=concealed(),
        )


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
    experiment: Experiment, given: Given = NOTHING, place: PlaceCheck = check_place
) -> Prepared:
    """Check everything an experiment refers to and plan it. Nothing is written, no process is started.

    That its name is taken is said beside whatever else is wrong, not in place of it.
    """
    folder = folder_of(experiment)
    try:
        prepared = prepare_new(experiment, given, place)
    except OrchestratorError as error:
        if not folder.exists:
            raise
        raise RunExistsError(f"{error}\n{folder.taken()}") from None
    if folder.exists:
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
    quiet_tensorflow()  # a file of the user's imports it here
    space = find_space(experiment.search_space, experiment.folder)
    model = given.model or find_model(experiment.model, experiment.folder)
    callbacks = given.callbacks or callbacks_of(experiment)
    keras = _settings_for(model)
    plan = make_plan(experiment, space, find_ancestor(experiment))
    check_plan(plan, space, model, callbacks)
    place(plan)
    reference = given.data or find_data(experiment.data.source, experiment.folder)
    from orchestrator.data import load_dataset  # after what is cheaper to refuse

    with TrialProcess() as process:
        if model.kind != "bundled":
            process.start()  # it imports Keras while the data are read
        options = experiment.data.for_model(model.kind == "bundled")
        dataset = load_dataset(reference, options, experiment.seed, experiment.task)
        read = read_space(plan, space, callbacks)
        learned = _learn(process, (experiment, read, model, plan), dataset)
    check_values(values_of(plan, space), model, owned_by_builder(model, learned))
    check_reads(plan, read, model, learned)
    task, reported = judged_by(experiment, model, dataset, learned)
    experiment = settled(experiment, task, reported)
    plan = replace(plan, metric=experiment.metric, mode=experiment.direction or plan.mode)
    return Prepared(
        experiment,
        space,
        model,
        dataset,
        plan,
        learned,
        task,
        keras,
        reference.function,
        callbacks,
        reference.kind,
    )


def callbacks_of(experiment: Experiment) -> CallableReference | None:
    """Return the function that returns a trial's Keras callbacks, None where there is none."""
    if experiment.callbacks is None:
        return None
    return find_callbacks(experiment.callbacks, experiment.folder)


def _learn(
    process: TrialProcess,
    checked: tuple[Experiment, Space, CallableReference, Plan],
    dataset: Dataset | StreamedDataset,
) -> Learned | None:
    """Return what building the model shows; None where that is known without."""
    experiment, read, model, plan = checked
    if not must_be_tried(model, dataset):
        return None
    if model.kind == "bundled":
        setup = Setup(model, (dataset.input_shape, dataset.num_classes))
    else:
        from orchestrator.training import looking
        from orchestrator.training.task import ROWS_LOOKED_AT, TrainingTask

        few = TrainingTask(
            model, dataset.head(ROWS_LOOKED_AT), plan.epochs, by_loss=_by_loss(experiment)
        )
        asked = (few, experiment.task)
        setup = Setup(model, few.shape, asked, looking.look_at, looking.look_again)
    from orchestrator.data.notice import notice

    def enough(learned: Learned) -> bool:
        return not unread(read, model, learned) and not _heads_may_differ(read, learned)

    learned = try_builds(process, setup, plan, experiment.seed, enough)
    if learned is not None and learned.looked is not None and learned.looked.not_saved:
        notice(learned.looked.not_saved)
    return learned


def _by_loss(experiment: Experiment) -> bool:
    return experiment.metric in ("loss", "val_loss")


def _heads_may_differ(space: Space, learned: Learned) -> bool:
    """Return whether one draw's head may bound quantities, and another's not: where the builder reads a choice.

    A few models tell: the time to build is needed for the ends of the ranges too.
    """
    task = learned.looked.task if learned.looked else None
    if task is None or task.compiled_by_user or task.kind != "regression":
        return False
    seen = {looked.task.standardized for looked in learned.all_looked}
    if len(seen) > 1 or len(learned.all_looked) >= HEADS_SEEN:
        return False
    domains = (space.domains.get(name) for name in learned.reads)
    options = [one for domain in domains if isinstance(domain, Choice) for one in domain.values]
    return any(isinstance(one, str | bool) for one in options)


def check_plan(
    plan: Plan, space: Space, model: CallableReference, callbacks: CallableReference | None
) -> None:
    """Refuse what no trial could train with, as far as it is known without the data and without building a model."""
    check_values(values_of(plan, space), model, owned_by_builder(model, None))
    if model.kind == "bundled":
        check_reads(plan, read_space(plan, space, callbacks), model, None)


def check_reads(plan: Plan, read: Space, model: CallableReference, learned: Learned | None) -> None:
    """Refuse a hyperparameter that nothing reads, in what must be ``read`` or in a panda's schedule."""
    where = "search_space" if plan.nursery is None else "panda.start"
    check_every_hyperparameter_is_read(read, model, learned, where)
    if plan.nursery is not None and (learned is not None or model.kind == "bundled"):
        start = plan.trials[0].hyperparameters
        check_schedule_is_read(start, plan.nursery.schedule, model, learned)


def read_space(plan: Plan, space: Space, callbacks: CallableReference | None = None) -> Space:
    """Return the space whose names must be read: a babysat trial's start, or what trials are drawn from.

    What a function of callbacks reads is left out.
    """
    if plan.nursery is not None:
        start = without_companions(plan.trials[0].hyperparameters)
        space = Space({name: Fixed(value) for name, value in start.items()})
    read = read_names(callbacks) if callbacks is not None else set()
    left = {name: domain for name, domain in space.domains.items() if name not in read}
    return Space(left) if read else space


def folder_of(experiment: Experiment) -> RunFolder:
    """Return where an experiment's run lies, or will lie."""
    return RunFolder(Path(experiment.storage_path) / experiment.name)


def _settings_for(model: CallableReference) -> KerasSettings:
    """Return Keras's settings; refuse a layout of images that a bundled model would take for another."""
    keras = keras_settings()
    if model.kind == "bundled" and keras.image_data_format != "channels_last":
        where = f"image_data_format in {settings_file()}"
        expected = f"expected 'channels_last', for which the bundled model {model.place} is written"
        raise PlaceError(explain(where, expected, keras.image_data_format))
    return keras
