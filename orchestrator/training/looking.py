"""A look at a user's model before anything is trained: what it learns, and what it will report of that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from orchestrator.catalog import UsersCode
from orchestrator.config.directions import Direction
from orchestrator.data import StreamedDataset
from orchestrator.training.compiling import Built, compile_stock
from orchestrator.training.heads import goal_of, look_at_head, task_of_model
from orchestrator.training.hyperparameters import DEFAULTS
from orchestrator.training.learner import Tensors
from orchestrator.training.reported import reported
from orchestrator.training.task import LabelForm, Task, TrainingTask

ROWS = 4


def look_at(
    task: TrainingTask, built: Built, hyperparameters: Mapping[str, Any], asked: str
) -> tuple[Task, dict[str, Direction | None]]:
    """Return what a freshly built model learns, and what it reports of a validation as ``reported`` has it.

    The model is compiled as for saving. Raises TrialError where it does not fit the labels or evaluates no rows.
    """
    where = f"model {task.model.text}"
    tensors = Tensors(task.dataset)
    with UsersCode(where, str(task.model.file)):
        head = look_at_head(built.model, tensors.sample())
        found = task_of_model(built.model, head, task.dataset.labels, asked, where)
        goal = goal_of(built.model, task, tensors.sample())
        compile_stock(built, {**DEFAULTS, **hyperparameters}, goal)
        return found, reported(built.model, _some_rows(tensors, goal.labels))


def _some_rows(tensors: Tensors, labels: LabelForm) -> tuple[Any, ...]:
    if isinstance(tensors.dataset, StreamedDataset):
        return next(iter(tensors.batches("train", labels, ROWS, None)))
    rows = tensors.rows("train", labels)
    some: tuple[Any, ...] = keras.tree.map_structure(lambda array: array[:ROWS], rows)
    return some
