"""Trials that are Keras models on data: what workers are given, what is recorded of them, what people are told."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import (
    CallableReference,
    code_files,
    code_fingerprint,
    read_names,
)
from orchestrator.config import Experiment
from orchestrator.experiment.kinds.trial_builds import Learned
from orchestrator.records import RunFolder
from orchestrator.redaction import concealed
from orchestrator.schedulers import make_scheduler
from orchestrator.search import Plan
from orchestrator.training.keras_setup import (
    KerasSettings,
)

if TYPE_CHECKING:
    from orchestrator.data import Dataset, StreamedDataset
    from orchestrator.training.task import Task
    from orchestrator.trials import Trainable


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
        from orchestrator.training.workbench import KerasJob
        from orchestrator.trials.judging import Objective

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
                judged_by_loss(experiment),
                experiment.data_options.examples_of(self.data_kind == "bundled"),
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
            lanes=plan.lanes,
            all_lanes=experiment.caviar.reproducible,
        )

    def surroundings(self) -> dict[str, Any]:
        """Return what trials must have in common to be compared: model, callbacks, data, Keras's settings."""
        return {
            "model": {
                "reference": self.model.text,
                "fingerprint": code_fingerprint(self.model),
                "files": code_files(self.model),
                **({"reads": self._reads()} if self.model.given is not None else {}),
            },
            "callbacks": code_facts(self.callbacks),
            "data": data_facts(self.dataset, self.loader, self.data_kind),
            "keras": self.keras.to_document(),
        }

    def facts(self) -> dict[str, Any]:
        """Return the task, the score of the best constant guess, and all of it in sentences."""
        task = self.task
        return {
            "kind": task.kind if task else None,
            "compiled_by_user": task.compiled_by_user if task else None,
            "from_logits": task.from_logits if task else None,
            "baseline": _baseline(self),
            "said": list(self.sentences()),
        }

    def sentences(self) -> Iterator[str]:
        """Yield what is learned, what is done to features and labels, and what guessing gives."""
        yield f"task: {_learned(self)}"
        yield f"features: {_features(self)}"
        if self.dataset.division:
            yield f"rows: {_division(self.dataset)}"
        for name, value in _baseline(self).items():
            what = "guessing the mean" if name == "mae" else "always guessing the most frequent"
            yield f"baseline: {what} gives val_{name} {value:.4g}"
        if sizes := _ill_sized(self):
            yield (
                f"hint: the columns {sizes} and the model has no layer that scales them;"
                f" data: {{source: {self.source}, scale: standard}} does"
            )

    def _reads(self) -> list[str]:
        """Return the hyperparameters that a model given in Python reads, whose source is not there later."""
        seen = self.learned.reads if self.learned is not None else frozenset()
        return sorted(read_names(self.model) | seen)


def data_facts(
    dataset: Dataset | StreamedDataset, loader: CallableReference | None, kind: str | None
) -> dict[str, Any]:
    """Return what is noted of data: which they are, their rows and labels, and the code that loads them."""
    return {
        "source": dataset.source,
        "kind": kind,
        "fingerprint": dataset.fingerprint,
        "classes": list(dataset.classes),
        "labels": {"form": dataset.labels.form, "type": dataset.labels.type},
        "input_shape": _listed(dataset.input_shape),
        "rows": {part: getattr(dataset, part).rows for part in ("train", "validation", "test")},
        "division": dict(dataset.division) or None,
        "scaling": dataset.scaling,
        "streamed": dataset.streamed,
        "files": code_files(loader) if loader is not None else {},
        "table": dataset.table.to_plain() if dataset.table else None,
    }


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


def judged_by_loss(experiment: Experiment) -> bool:
    """Return whether trials are judged by their loss."""
    return experiment.metric in ("loss", "val_loss")


CLASSES_NAMED = 6
MANY_CLASSES = 30


def _baseline(trials: KerasTrials) -> dict[str, float]:
    from orchestrator.data import Dataset  # with NumPy: not for --help
    from orchestrator.data.dataset import baseline

    dataset, task = trials.dataset, trials.task
    if not isinstance(dataset, Dataset):
        return {}
    numbers = dataset.labels.are_numbers and not dataset.labels.one_hot
    regression = task is not None and task.kind == "regression" and numbers
    return baseline(dataset, quantities=regression)


def _learned(trials: KerasTrials) -> str:
    task, labels = trials.task, trials.dataset.labels
    if task is None:
        return "known once a trial has built its model"
    names = list(labels.classes)
    shown = ", ".join(names[:CLASSES_NAMED]) + (", …" if len(names) > CLASSES_NAMED else "")
    what = {
        "classification": f"classification of {len(names)} classes ({shown})",
        "binary": f"binary classification ({shown})",
        "multilabel": f"{labels.width} yes-or-no labels a row",
        "regression": f"regression of {labels.width} quantities a row"
        if labels.width > 1
        else "regression",
        None: "your model's own loss",
    }[task.kind]
    looked = trials.learned.looked if trials.learned else None
    if task.compiled_by_user:
        how = "as they are" if labels.are_numbers else "as they are, texts as class numbers"
        if looked is not None and looked.recoded:
            how = f"as class numbers 0 … {len(names) - 1}, which is all that it can take"
        return f"{what}; your builder compiles the model: labels reach its loss {how}"
    if task.kind == "regression":
        return f"{what}; {_targets(trials, task)}"
    if task.from_logits:
        head = "softmax" if task.kind == "classification" else "sigmoid"
        return f"{what}, trained from logits; the saved model gets its {head}"
    if labels.are_numbers and len(names) > MANY_CLASSES and not labels.one_hot:
        return f"{what}; for quantities write task: regression"
    return what


def _targets(trials: KerasTrials, task: Task) -> str:
    """Say what becomes of quantities before they reach the loss."""
    seen = trials.learned.all_looked if trials.learned else ()
    if len({looked.task.standardized for looked in seen}) > 1:
        return (
            "targets, and so the loss, are standardized inside, but for a head that bounds its values;"
            " mae and the saved model are in your unit"
        )
    if not task.standardized:
        return f"targets as they are, since the values of the model's outputs are bounded{_beyond(trials)}"
    return "targets, and so the loss, are standardized inside; mae and the saved model are in your unit"


def _beyond(trials: KerasTrials) -> str:
    """Say which targets no weights reach: Keras trains such a model without a word."""
    from orchestrator.data import Dataset

    dataset, looked = trials.dataset, trials.learned and trials.learned.looked
    if not looked or not isinstance(dataset, Dataset):
        return ""
    low, high = looked.reach
    targets = dataset.labels.view(dataset.train.y, "columns")
    share = 100 * float(((targets < low) | (targets > high)).mean())
    ends = f"lie in {low:g} … {high:g}" if high < float("inf") else "are never negative"
    return (
        f"; {share:.2g} % of the targets cannot be reached by outputs that {ends}" if share else ""
    )


def _features(trials: KerasTrials) -> str:
    scaling = trials.dataset.scaling.get("how", "none")
    columns = trials.dataset.columns
    shape = trials.dataset.input_shape
    size = f"{len(columns)} from the table's columns" if columns else f"{_shape(shape)} a row"
    looked = trials.learned.looked if trials.learned else None
    saved = "" if looked is not None and looked.not_saved else ", in the saved model too"
    how = {
        "none": "as you give them",
        "standard": f"standardized by the training rows{saved}",
        "minmax": f"brought to 0 … 1 by the training rows{saved}",
    }[scaling]
    return f"{size}, {how}"


def _division(dataset: Dataset | StreamedDataset) -> str:
    """Say along what rows are split, where each part lies, and into how many folds."""
    facts = dataset.division
    said: list[str] = []
    parts = facts.get("parts", {})
    if facts.get("by") == "groups":
        counts = ", ".join(f"{count} for {part}" for part, count in parts.items())
        said.append(f"no group of {facts['column']!r} is in two parts (groups: {counts})")
    elif parts:
        ends = ", ".join(f"{part} {first} … {last}" for part, (first, last) in parts.items())
        said.append(f"in the order of {facts['column']!r}: {ends}")
    if "folds" in facts:
        rows = ", ".join(
            f"{getattr(dataset, part).rows} {part}" for part in ("train", "validation")
        )
        said.append(
            f"{facts['folds']} folds; every trial is trained and validated on fold 1 ({rows})"
        )
    if "column" in facts:
        said.append(f"{facts['column']!r} is no feature")
    return "; ".join(said)


def _shape(shape: Any) -> str:
    if isinstance(shape, dict):
        return ", ".join(f"{name} {_shape(one)}" for name, one in shape.items())
    if shape and isinstance(shape[0], tuple):
        return ", ".join(_shape(one) for one in shape)
    return "x".join(str(size) for size in shape) or "1"


def _ill_sized(trials: KerasTrials) -> str | None:
    from orchestrator.data import Dataset
    from orchestrator.data.dataset import ill_sized

    dataset = trials.dataset
    looked = trials.learned.looked if trials.learned else None
    if looked is None or looked.scales or not isinstance(dataset, Dataset):
        return None
    unscaled = dataset.scaling.get("how", "none") == "none"
    return ill_sized(dataset.train.x) if unscaled else None
