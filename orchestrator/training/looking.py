"""A look at a user's model before anything is trained: what it learns, and what it will report of that.

Loads neither TensorFlow nor Keras until a model is looked at, in the process that built it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from orchestrator.config.metrics import Direction
from orchestrator.training.task import Task, TrainingTask

if TYPE_CHECKING:
    from orchestrator.training.compiling import Built

SCALING = (
    "BatchNormalization",
    "Embedding",
    "GroupNormalization",
    "LayerNormalization",
    "Masking",
    "Normalization",
    "Rescaling",
    "UnitNormalization",
)
"""Layers that bring features to one size, or take them for something else than quantities."""


@dataclass(frozen=True)
class Looked:
    """What a user's model is: ``task`` is what it learns, ``reported`` what it reports of a validation.

    ``scales``: it brings its features to one size itself. ``not_saved`` says why it cannot be saved.
    ``reach``: between which values its outputs lie whatever its weights are.
    ``recoded``: whether class numbers reach a loss of its builder's that can take no other numbers.
    """

    task: Task
    reported: Mapping[str, Direction | None]
    scales: bool
    not_saved: str = ""
    recoded: bool = False
    reach: tuple[float, float] = (-float("inf"), float("inf"))


def look_at(built: Built, asked: tuple[TrainingTask, str]) -> Looked:
    """Return what is to be known of a freshly built model.

    ``asked``: the task, on a few rows of the data, and the kind that the experiment names. The model is compiled as for
    saving. Raises TrialError where it does not fit the labels or evaluates no rows.
    """
    from orchestrator.training.batch_norm import layers_of
    from orchestrator.training.compiling import compile_stock
    from orchestrator.training.heads import goal_of, look_at_head, task_of_model
    from orchestrator.training.hyperparameters import DEFAULTS
    from orchestrator.training.learner import Tensors
    from orchestrator.training.reported import reported
    from orchestrator.training.trial_save import why_not_saved

    task, kind = asked
    where = f"model {task.model.text}"
    tensors = Tensors(task.dataset)
    head = look_at_head(built.model, tensors.sample())
    found = task_of_model(built.model, head, task.dataset.labels, kind, where)
    goal = goal_of(built.model, task, tensors.sample())
    if not built.compiled_by_user:
        compile_stock(built.model, DEFAULTS, goal)
    rows: Any = tensors.of("train", goal.labels)
    kinds = {type(layer).__name__ for layer in layers_of(built.model)}
    names = reported(built.model, rows)
    why = why_not_saved(built.model, task, goal)
    scales = bool(kinds & set(SCALING))
    recoded = found.compiled_by_user and goal.labels == "codes"
    return Looked(found, names, scales, why, recoded, head.reach)


def look_again(built: Built, asked: tuple[TrainingTask, str], first: Looked) -> Looked:
    """Return what a further draw's model learns, beside what the first one is.

    Raises as its trial would where that is not of the first one's kind.
    """
    from orchestrator.training.heads import goal_of
    from orchestrator.training.learner import Tensors

    task = replace(asked[0], task=first.task)
    goal = goal_of(built.model, task, Tensors(task.dataset).sample())
    return replace(first, task=goal.task)
