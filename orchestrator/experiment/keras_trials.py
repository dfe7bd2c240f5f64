"""Trials that are Keras models on data: what an experiment names is found, read and tried before Ray starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import (
    CallableReference,
    code_files,
    code_fingerprint,
    find_callbacks,
    find_data,
    find_model,
    read_names,
)
from orchestrator.config import Experiment
from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.space import without_companions
from orchestrator.errors import PlaceError, explain
from orchestrator.experiment.executors import PlaceCheck
from orchestrator.experiment.given import Given
from orchestrator.experiment.hyperparameter_checks import (
    check_every_hyperparameter_is_read,
    check_schedule_is_read,
    check_values,
    owned_by_builder,
    unread,
    values_of,
)
from orchestrator.experiment.judged import judged_by, settled
from orchestrator.experiment.task_facts import task_facts, task_sentences
from orchestrator.experiment.trial_builds import Learned, must_be_tried, try_builds
from orchestrator.experiment.warm_start import find_ancestor
from orchestrator.records import RunFolder
from orchestrator.redaction import concealed
from orchestrator.schedulers import make_scheduler
from orchestrator.search import Plan, make_plan
from orchestrator.training.keras_setup import (
    KerasSettings,
    keras_settings,
    quiet_tensorflow,
    settings_file,
)
from orchestrator.training.trial_process import Asked, Setup, TrialProcess

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.task import Task
    from orchestrator.trials import Trainable


HEADS_SEEN = 5
"""How many models tell whether a space's heads are of one kind; what none of them shows is refused in its trial."""


@dataclass(frozen=True)
class KerasTrials:
    """What trials are built from and trained on, and what was learned by building a model.

    ``source`` is the data's reference as it is written, ``loader`` the user's function that they come from,
    ``data_kind`` what they are: bundled, npz, csv, parquet, folder or function; ``keras`` is what Keras is told from
    outside.
    """

    model: CallableReference
    dataset: Dataset | StreamedDataset
    source: str
    learned: Learned | None = None
    task: Task | None = None
    keras: KerasSettings = field(default_factory=KerasSettings)
    loader: CallableReference | None = None
    callbacks: CallableReference | None = None
    data_kind: str | None = None

    def job(self, experiment: Experiment, plan: Plan, folder: RunFolder) -> Trainable:
        """Return what the workers are given."""
        from orchestrator.training.task import TrainingTask
        from orchestrator.training.trial_session import Objective
        from orchestrator.training.workbench import KerasJob

        milestones = make_scheduler(plan.scheduler, plan.epochs, plan.mode).milestones
        return KerasJob(
            task=TrainingTask(
                self.model,
                self.dataset,
                plan.epochs,
                plan.recalibrate_batch_norm,
                self.task,
                experiment.metrics,
                self.callbacks,
                _by_loss(experiment),
            ),
            objective=Objective(
                plan.metric,
                plan.mode,
                frozenset(milestones),
                folder.checkpoints.resolve(),
                experiment.checkpoint_every,
            ),
            threads=max(1, round(plan.cpus_per_trial)),
            nursery=plan.nursery,
            keras=self.keras,
            secrets=concealed(),
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: model, callbacks, data, Keras's settings."""
        dataset, loader = self.dataset, self.loader
        return {
            "model": {
                "reference": self.model.text,
                "fingerprint": code_fingerprint(self.model),
                "files": code_files(self.model),
                **({"reads": self._reads()} if self.model.given is not None else {}),
            },
            "callbacks": code_facts(self.callbacks),
            "data": {
                "source": dataset.source,
                "kind": self.data_kind,
                "fingerprint": dataset.fingerprint,
                "classes": list(dataset.classes),
                "labels": {"form": dataset.labels.form, "type": dataset.labels.type},
                "input_shape": _listed(dataset.input_shape),
                "rows": {
                    part: getattr(dataset, part).rows for part in ("train", "validation", "test")
                },
                "scaling": dataset.scaling,
                "streamed": dataset.streamed,
                "files": code_files(loader) if loader is not None else {},
                "table": dataset.table.to_plain() if dataset.table else None,
            },
            "keras": self.keras.to_document(),
        }

    def facts(self) -> dict[str, Any]:
        """Return the task, the score of the best constant guess, and all of it in sentences."""
        return task_facts(self)

    def sentences(self) -> Iterator[str]:
        """Yield what is learned, what is done to features and labels, and what guessing gives."""
        return task_sentences(self)

    def _reads(self) -> list[str]:
        """Return the hyperparameters that a model given in Python reads, whose source is not there later."""
        seen = self.learned.reads if self.learned is not None else frozenset()
        return sorted(read_names(self.model) | seen)


def code_facts(code: CallableReference | None) -> dict[str, Any]:
    """Return what is noted of a function or class of the user's own, or that there is none."""
    return {
        "reference": code and code.text,
        "fingerprint": code and code_fingerprint(code),
        "files": code_files(code) if code else {},
    }


def _listed(shape: Any) -> Any:
    """Return the shape of a row as JSON has it, by input where there are several."""
    if isinstance(shape, Mapping):
        return {name: _listed(one) for name, one in shape.items()}
    return [_listed(one) if isinstance(one, tuple) else one for one in shape]


def prepare_keras(
    experiment: Experiment, space: Space, given: Given, place: PlaceCheck
) -> tuple[Experiment, Plan, KerasTrials]:
    """Check what an experiment of Keras models refers to, and plan it; ``given`` are objects in place of its names."""
    quiet_tensorflow()  # a file of the user's imports it here
    model = given.model or find_model(experiment.model_name, experiment.folder)
    callbacks = given.callbacks or callbacks_of(experiment)
    keras = _settings_for(model)
    plan = make_plan(experiment, space, find_ancestor(experiment))
    check_plan(plan, space, model, callbacks)
    place(plan)
    data = experiment.data_options
    reference = given.data or find_data(data.source, experiment.folder)
    from orchestrator.data import load_dataset  # after what is cheaper to refuse

    with TrialProcess() as process:
        if model.kind != "bundled":
            process.start()  # it imports Keras while the data are read
        options = data.for_model(model.kind == "bundled")
        dataset = load_dataset(reference, options, experiment.seed, experiment.task)
        read = read_space(plan, space, callbacks)
        learned = _learn(process, (experiment, read, model, plan), dataset)
    check_values(values_of(plan, space), model, owned_by_builder(model, learned))
    check_reads(plan, read, model, learned)
    task, reported = judged_by(experiment, model, dataset, learned)
    experiment = settled(experiment, task, reported)
    plan = replace(plan, metric=experiment.metric, mode=experiment.direction or plan.mode)
    trials = KerasTrials(
        model,
        dataset,
        data.source,
        learned,
        task,
        keras,
        reference.function,
        callbacks,
        reference.kind,
    )
    return experiment, plan, trials


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
    from orchestrator.training.task import ROWS_LOOKED_AT, Shape, TrainingTask

    if model.kind == "bundled":
        setup = Setup(model, Shape(dataset.input_shape, dataset.num_classes))
    else:
        few = TrainingTask(
            model, dataset.head(ROWS_LOOKED_AT), plan.epochs, by_loss=_by_loss(experiment)
        )
        setup = Setup(model, few.shape, Asked(few, experiment.task))
    from orchestrator.data.messages import notice

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
        start = plan.points[0].hyperparameters
        check_schedule_is_read(start, plan.nursery.schedule, model, learned)


def read_space(plan: Plan, space: Space, callbacks: CallableReference | None = None) -> Space:
    """Return the space whose names must be read: a babysat trial's start, or what trials are drawn from.

    What a function of callbacks reads is left out.
    """
    if plan.nursery is not None:
        start = without_companions(plan.points[0].hyperparameters)
        space = Space({name: Fixed(value) for name, value in start.items()})
    read = read_names(callbacks) if callbacks is not None else set()
    left = {name: domain for name, domain in space.domains.items() if name not in read}
    return Space(left) if read else space


def _settings_for(model: CallableReference) -> KerasSettings:
    """Return Keras's settings; refuse a layout of images that a bundled model would take for another."""
    keras = keras_settings()
    if model.kind == "bundled" and keras.image_data_format != "channels_last":
        where = f"image_data_format in {settings_file()}"
        expected = f"expected 'channels_last', for which the bundled model {model.place} is written"
        raise PlaceError(explain(where, expected, keras.image_data_format))
    return keras
