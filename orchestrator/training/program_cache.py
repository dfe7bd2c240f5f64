"""The warm programs of a worker: one a structure, so that a trial of a known structure traces nothing."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import keras

from orchestrator.training.backend import Epoch, Fitting, Slot, Tensors
from orchestrator.training.compiling import compile_live, structure_of
from orchestrator.training.fit_backend import FitBackend, why_fit
from orchestrator.training.heads import goal_of
from orchestrator.training.keras_backend import IS_TENSORFLOW
from orchestrator.training.one_fit_backend import OneFitBackend
from orchestrator.training.row_metrics import FiguresByName, HeardRows, form_of
from orchestrator.training.state_transfer import have_as_fresh
from orchestrator.training.task import TrainingTask
from orchestrator.training.trial_model import Built, Compiled, arrays_of, assign_all

if TYPE_CHECKING:
    from orchestrator.training.lanes import Lanes

PROGRAMS_KEPT = 24
"""Programs a worker keeps. One of a small network holds a few MB; tracing it again costs about half a second."""


@dataclass(frozen=True)
class LanePlace:
    """Where a trainer's models become lanes; ``comes_next`` returns its next epoch, put in force."""

    lanes: Lanes
    comes_next: Callable[[], Epoch]


class ProgramCache:
    """The programs used last; ``traced`` counts those that were ever made. With a ``place`` they are lanes."""

    def __init__(
        self, task: TrainingTask, tensors: Tensors, kept: int, place: LanePlace | None = None
    ) -> None:
        self._place = place
        self._task = task
        self._tensors = tensors
        self._kept = kept
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self.traced = 0

    def of(self, built: Built, hyperparameters: Mapping[str, Any], fitting: Fitting) -> Slot:
        """Return a program in the state of a model fresh from its builder: a warm one, or a new one."""
        structure = structure_of(built, hyperparameters)
        key = json.dumps(structure, sort_keys=True, default=repr)
        if fitting.callbacks or built.constants is None:
            return self._new(built, hyperparameters, fitting)
        found = self._reused(key, built)
        if found is None:
            found = self._new(built, hyperparameters, fitting)
            self._keep(key, found)
        return found

    def _reused(self, key: str, built: Built) -> Slot | None:
        """Put a fresh model's state into the warm program of its structure, if there is one."""
        slot = self._slots.get(key)
        if slot is None or not slot.backend.reusable:
            return None
        compiled = slot.backend.compiled
        target, source = compiled.model.variables, built.model.variables
        if [variable.shape for variable in target] != [variable.shape for variable in source]:
            return None
        assign_all(target, arrays_of(source))
        if compiled.optimizer is not None:
            compiled.optimizer.clear(compiled.model.optimizer)
        else:
            fresh = built.model.optimizer
            if not fresh.built:
                fresh.build(built.model.trainable_variables)
            assign_all(compiled.model.optimizer.variables, arrays_of(fresh.variables))
        if compiled.others and not have_as_fresh(compiled.model, compiled.others, built.model):
            return None
        self._slots.move_to_end(key)
        return slot

    def _new(self, built: Built, hyperparameters: Mapping[str, Any], fitting: Fitting) -> Slot:
        goal = goal_of(built.model, self._task, self._tensors.sample())
        key = self._place.lanes.key(built, self._task, hyperparameters) if self._place else None
        compiled = compile_live(built, hyperparameters, goal, live_smoothing=key is not None)
        by_name = figures_by_name(self._task, compiled)
        self.traced += 1
        if key is not None and self._place is not None:
            lanes, comes_next = self._place.lanes, self._place.comes_next
            return lanes.slot(key, compiled, built.asked_momentum, by_name, comes_next)
        return make_backend(compiled, self._tensors, built.asked_momentum, by_name, fitting)

    def _keep(self, key: str, slot: Slot) -> None:
        """Keep a program for further trials."""
        self._slots.pop(key, None)
        self._slots[key] = slot
        while len(self._slots) > self._kept:
            self._slots.popitem(last=False)


def figures_by_name(task: TrainingTask, compiled: Compiled) -> FiguresByName:
    """Return what a task asks for by name, of one of its models."""
    form = form_of(task, compiled.model, compiled.goal)
    if not IS_TENSORFLOW:
        return HeardRows(compiled.model, task.metrics, form)
    from orchestrator.training.metrics import ValidationMetrics, make_metrics

    return ValidationMetrics(compiled.model, make_metrics(task.metrics, form))


def make_backend(
    compiled: Compiled,
    tensors: Tensors,
    asked_momentum: float,
    by_name: FiguresByName,
    fitting: Fitting,
) -> Slot:
    """Return the backend for a model."""
    reason = why_fit(compiled.model, tensors.dataset)
    if fitting.callbacks or type(compiled.model).fit is not keras.Model.fit:
        why = reason or "it has callbacks"
        return Slot(OneFitBackend(compiled, tensors, asked_momentum, by_name, fitting), why)
    if reason is None:
        from orchestrator.training.compiled_backend import CompiledBackend  # TensorFlow's alone

        return Slot(CompiledBackend(compiled, tensors, asked_momentum, by_name), None)
    return Slot(FitBackend(compiled, tensors, asked_momentum, by_name), reason)
