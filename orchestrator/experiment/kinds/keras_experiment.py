"""An experiment of Keras models checked before anything starts: found, read, tried in a process of its own, planned."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import (
    CallableReference,
    find_callbacks,
    find_data,
    find_model,
    find_trial,
    read_names,
)
from orchestrator.config import Experiment
from orchestrator.domains import Choice, Space
from orchestrator.errors import PlaceError, explain
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import Given
from orchestrator.experiment.kinds.hyperparameter_checks import (
    check_every_hyperparameter_is_read,
    check_schedule_is_read,
    check_values,
    owned_by_builder,
    unread,
    values_of,
)
from orchestrator.experiment.kinds.keras_trials import KerasTrials, judged_by_loss
from orchestrator.experiment.kinds.objective import judged_by, settled
from orchestrator.experiment.kinds.trial_builds import Learned, must_be_tried, try_builds
from orchestrator.experiment.warm_start import find_ancestor
from orchestrator.schedulers import PbtOptions, SchedulerOptions
from orchestrator.search import Plan, make_plan
from orchestrator.search.logical_time import InLogicalTime
from orchestrator.search.population import changing
from orchestrator.training.hyperparameters import LIVE
from orchestrator.training.keras_setup import (
    BACKEND,
    KerasSettings,
    choose_backend,
    keras_settings,
    settings_file,
)
from orchestrator.training.keras_tuner_builder import KerasTunerBuilder
from orchestrator.training.trial_process import Asked, Setup, TrialProcess

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset


HEADS_SEEN = 5
"""How many models tell whether a space's heads are of one kind; what none of them shows is refused in its trial."""


def prepare_keras(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, KerasTrials]:
    """Check what an experiment of Keras models refers to, and plan it; ``given`` are objects in place of its names."""
    choose_backend(experiment.backend)  # a file of the user's imports it here
    model = given.model or model_of(experiment)
    callbacks = given.callbacks or callbacks_of(experiment)
    keras = _settings_for(model, experiment.backend)
    plan = _as_population(make_plan(experiment, space, find_ancestor(experiment)))
    check_plan(plan, model, callbacks)
    place(plan)
    data = experiment.data_options
    reference = given.data or find_data(data.source, experiment.folder)
    from orchestrator.data import load_dataset  # after what is cheaper to refuse

    with TrialProcess(experiment.backend) as process:
        if model.kind != "bundled":
            process.start()  # it imports Keras while the data are read
        options = data.for_model(model.kind == "bundled")
        dataset = load_dataset(reference, options, experiment.seed, experiment.task)
        read = read_space(plan, callbacks)
        learned = _learn(process, _setup(experiment, model, plan, dataset), plan, read)
    check_values(values_of(plan), model, owned_by_builder(model, learned))
    check_reads(plan, read, model, learned)
    task, reported = judged_by(experiment, model, dataset, learned)
    experiment = settled(experiment, task, reported)
    plan = replace(plan, metric=experiment.metric, mode=experiment.direction or plan.mode)
    plan = _with_lanes(_with_rows(plan, dataset), experiment, dataset, callbacks)
    saved = _as_saved(dataset, keras.backend)
    about = (task, keras, reference.function, callbacks, reference.kind)
    trials = KerasTrials(model, saved, data.source, learned, *about)
    return experiment, plan, trials


def why_no_lanes(
    experiment: Experiment,
    dataset: Dataset | StreamedDataset,
    callbacks: CallableReference | None,
) -> str | None:
    """Return why no trial of an experiment can be a lane, None where one may."""
    if experiment.backend != "jax":
        return f"the backend is {experiment.backend}, expected jax"
    if dataset.streamed:
        return "the data are streamed"
    if dataset.others:
        return "replicates are trained on other folds"
    if callbacks is not None:
        return "trials have callbacks"
    if experiment.recalibrate_batch_norm == "every_validation":
        return "BatchNormalization is recalibrated at every validation"
    return None


def _with_lanes(
    plan: Plan,
    experiment: Experiment,
    dataset: Dataset | StreamedDataset,
    callbacks: CallableReference | None,
) -> Plan:
    """Return a plan whose trials train side by side, as asked for; say why where none can."""
    asked = experiment.strategy_options.lanes
    if asked == 1:
        return plan
    why_not = why_no_lanes(experiment, dataset, callbacks)
    if why_not is not None:
        from orchestrator.data.messages import notice

        notice(f"{experiment.strategy}.lanes: trials train one after another: {why_not}")
        return plan
    return replace(plan, lanes=asked)


def _as_saved(dataset: Dataset | StreamedDataset, backend: str) -> Dataset | StreamedDataset:
    """Return data whose saved model takes a table's features where its texts would need TensorFlow's layer for them."""
    table = dataset.table
    if backend == BACKEND or table is None or all(each.kind != "text" for each in table.columns):
        return dataset
    return replace(dataset, table=replace(table, named=False))


def _as_population(plan: Plan) -> Plan:
    """Return a plan that knows what copies in a population change, where it has any."""
    if not isinstance(plan.scheduler, PbtOptions):
        return plan
    return replace(plan, changing=changing(plan.scheduler, plan.space, LIVE))


def _with_rows(plan: Plan, dataset: Dataset | StreamedDataset) -> Plan:
    """Return a plan whose scheduler knows how many rows a trial is judged by, where each of them counts once."""
    rows = dataset.validation.rows
    if not rows or getattr(dataset.validation, "weight", None) is not None:
        return plan
    if not isinstance(plan.scheduler, SchedulerOptions | InLogicalTime):
        return plan
    return replace(plan, scheduler=plan.scheduler.judging_by(plan.metric, rows))


def model_of(experiment: Experiment) -> CallableReference:
    """Return the builder of an experiment's Keras models. Raises as ``find_model`` and ``find_trial``."""
    if experiment.trial is None:
        return find_model(experiment.model_name, experiment.folder)
    return KerasTunerBuilder(**fields_of(find_trial(experiment.trial, experiment.folder)))


def fields_of(reference: CallableReference) -> dict[str, Any]:
    """Return what a reference is made of, for one that loads in another way."""
    return {each.name: getattr(reference, each.name) for each in fields(reference)}


def callbacks_of(experiment: Experiment) -> CallableReference | None:
    """Return the function that returns a trial's Keras callbacks, None where there is none."""
    if experiment.callbacks is None:
        return None
    return find_callbacks(experiment.callbacks, experiment.folder)


def _setup(
    experiment: Experiment, model: CallableReference, plan: Plan, dataset: Dataset | StreamedDataset
) -> Setup | None:
    """Return what a trial's model is built of, and what a user's is asked besides; None where none must be tried."""
    if not must_be_tried(model, dataset):
        return None
    from orchestrator.training.task import ROWS_LOOKED_AT, Shape, TrainingTask

    if model.kind == "bundled":
        return Setup(model, Shape(dataset.input_shape, dataset.num_classes))
    few = TrainingTask(
        model, dataset.head(ROWS_LOOKED_AT), plan.epochs, by_loss=judged_by_loss(experiment)
    )
    return Setup(model, few.shape, Asked(few, experiment.task))


def _learn(process: TrialProcess, setup: Setup | None, plan: Plan, read: Space) -> Learned | None:
    """Return what building the model shows; None where none is built, and where nothing could be learned."""
    if setup is None:
        return None
    from orchestrator.data.messages import notice

    def enough(learned: Learned) -> bool:
        return not unread(read, setup.reference, learned) and not _heads_may_differ(read, learned)

    learned = try_builds(process, setup, plan, enough)
    if learned is not None and learned.looked is not None and learned.looked.not_saved:
        notice(learned.looked.not_saved)
    return learned


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


def check_plan(plan: Plan, model: CallableReference, callbacks: CallableReference | None) -> None:
    """Refuse what no trial could train with, as far as it is known without the data and without building a model."""
    check_values(values_of(plan), model, owned_by_builder(model, None))
    if model.kind == "bundled":
        check_reads(plan, read_space(plan, callbacks), model, None)


def check_reads(plan: Plan, read: Space, model: CallableReference, learned: Learned | None) -> None:
    """Refuse a hyperparameter that nothing reads, in what must be ``read`` or in a panda's schedule."""
    check_every_hyperparameter_is_read(read, model, learned, plan.where)
    if plan.schedule and (learned is not None or model.kind == "bundled"):
        start = plan.points[0].hyperparameters
        check_schedule_is_read(start, plan.schedule, model, learned)


def read_space(plan: Plan, callbacks: CallableReference | None = None) -> Space:
    """Return the space whose names must be read: what trials begin with, less what a function of callbacks reads."""
    space = plan.drawn_from
    read = read_names(callbacks) if callbacks is not None else set()
    left = {name: domain for name, domain in space.domains.items() if name not in read}
    return Space(left) if read else space


def _settings_for(model: CallableReference, backend: str) -> KerasSettings:
    """Return Keras's settings; refuse a layout of images that a bundled model would take for another."""
    keras = keras_settings(backend)
    if model.kind == "bundled" and keras.image_data_format != "channels_last":
        where = f"image_data_format in {settings_file()}"
        expected = f"expected 'channels_last', for which the bundled model {model.place} is written"
        raise PlaceError(explain(where, expected, keras.image_data_format))
    return keras
