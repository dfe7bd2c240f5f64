"""The warm programs of a worker: one a structure, so that a trial of a known structure traces nothing."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import keras

from orchestrator.training.backend import Epoch, Fitting, Slot, Tensors
from orchestrator.training.building import begin_as_built, builds_again
from orchestrator.training.compiling import compile_live, structure_of
from orchestrator.training.fit_backend import FitBackend, why_fit
from orchestrator.training.heads import goal_of
from orchestrator.training.hyperparameters import DEFAULTS, OWN_DEFAULTS
from orchestrator.training.keras_backend import IS_TENSORFLOW
from orchestrator.training.one_fit_backend import OneFitBackend
from orchestrator.training.row_metrics import FiguresByName, HeardRows, form_of
from orchestrator.training.state_transfer import have_as_fresh
from orchestrator.training.task import TrainingTask
from orchestrator.training.trial_model import Built, Compiled, arrays_of, assign_all

if TYPE_CHECKING:
    from orchestrator.training.initial_state import InitialState
    from orchestrator.training.lanes import Lanes

PROGRAMS_KEPT = 24
"""Programs a worker keeps. One of a small network holds a few MB; tracing it again costs about half a second."""


@dataclass(frozen=True)
class LanePlace:
    """Where a trainer's models become lanes; ``comes_next`` returns its next epoch, put in force."""

    lanes: Lanes
    comes_next: Callable[[], Epoch]


@dataclass
class Spared:
    """A build of a program's structure: ``state`` is what it leaves.

    ``verified``: another seed's build left the same to the bit, or did not; None: there was none yet.
    """

    built: Built
    seeds: tuple[int, ...]
    state: InitialState
    verified: bool | None = None

    def verify(self, seeds: tuple[int, ...]) -> None:
        """Compare the state with what a build has just left, of other seeds."""
        if self.verified is None and seeds != self.seeds:
            self.verified = self.state.is_what(seeds)

    def is_by(self, built: Built) -> bool:
        """Return whether a builder was given and has read the same."""
        mine, other = self.built.origin, built.origin
        if mine is None or other is None:
            return False
        return (mine.given, repr(mine.reads)) == (other.given, repr(other.reads))


class ProgramCache:
    """The programs used last; ``traced`` counts those that were ever made, ``spared`` the builds done without.

    With a ``place`` they are lanes.
    """

    def __init__(
        self, task: TrainingTask, tensors: Tensors, kept: int, place: LanePlace | None = None
    ) -> None:
        self._place = place
        self._task = task
        self._tensors = tensors
        self._kept = kept
        self._slots: OrderedDict[str, Slot] = OrderedDict()
        self.traced = 0
        self.spared = 0

    def again(self, given: Mapping[str, Any], seed: int) -> Built | None:
        """Return a warm program's model as a trial's builder would leave it; None where the trial is to be built.

        A build is spared where the builder did the same before, and what the program's initialisers make of another
        seed was seen to be what the builder made of it, to the bit.
        """
        task = self._task
        for key, slot in self._slots.items():
            spared: list[Spared] = slot.spared if slot.backend.reusable else []
            for known in spared:
                built, origin = known.built, known.built.origin
                if (
                    known.verified
                    and origin is not None
                    and builds_again(built, task.model, given, task.kind)
                    and _key(built, in_force(built, given)) == key
                ):
                    known.state.put(begin_as_built(origin, task.model, seed))
                    self.spared += 1
                    return built
        return None

    def of(self, built: Built, hyperparameters: Mapping[str, Any], fitting: Fitting) -> Slot:
        """Return a program in the state of a model fresh from its builder: a warm one, or a new one."""
        key = _key(built, hyperparameters)
        if fitting.callbacks or built.constants is None:
            return self._new(built, hyperparameters, fitting)
        found = self._reused(key, built)
        if found is None:
            found = self._new(built, hyperparameters, fitting)
            self._keep(key, found)
        self._learn(found, built)
        return found

    def _learn(self, slot: Slot, built: Built) -> None:
        """Take in how the state came about that a build has just left in a program."""
        compiled, origin = slot.backend.compiled, built.origin
        if origin is None or slot.backend.path != "compiled" or compiled.others:
            return
        if not IS_TENSORFLOW:
            return
        from orchestrator.training.initial_state import InitialState  # TensorFlow's alone

        known = next((each for each in slot.spared if each.is_by(built)), None)
        if known is not None:
            known.verify(origin.seeds)
            return
        state = InitialState(compiled, built, slot.stored)
        if state.is_small:
            known_to_others = True if state.is_verified else None
            mine = replace(built, model=compiled.model)
            slot.spared.append(Spared(mine, origin.seeds, state, known_to_others))

    def _reused(self, key: str, built: Built) -> Slot | None:
        """Put a fresh model's state into the warm program of its structure, if there is one."""
        slot = self._slots.get(key)
        if slot is None or not slot.backend.reusable:
            return None
        compiled = slot.backend.compiled
        if built.model is compiled.model:
            self._slots.move_to_end(key)
            return slot
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
        lanes = self._place.lanes if self._place else None
        key, why_not = lanes.key(built, self._task, hyperparameters) if lanes else (None, None)
        compiled = compile_live(built, hyperparameters, goal, live_smoothing=key is not None)
        by_name = figures_by_name(self._task, compiled)
        self.traced += 1
        if lanes is not None and self._place is not None and key is not None:
            comes_next = self._place.comes_next
            return lanes.slot(key, compiled, built.asked_momentum, by_name, comes_next)
        structure = _key(built, hyperparameters)
        slot = self._backend(compiled, built, by_name, fitting, structure)
        slot.reason = why_not or slot.reason
        return slot

    def _backend(
        self,
        compiled: Compiled,
        built: Built,
        by_name: FiguresByName,
        fitting: Fitting,
        structure: str,
    ) -> Slot:
        tensors, momentum = self._tensors, built.asked_momentum
        reason = why_fit(compiled.model, tensors.dataset)
        if fitting.callbacks or type(compiled.model).fit is not keras.Model.fit:
            why = reason or "it has callbacks"
            return Slot(OneFitBackend(compiled, tensors, momentum, by_name, fitting), why)
        if reason is not None:
            return Slot(FitBackend(compiled, tensors, momentum, by_name), reason)
        # TensorFlow's alone
        from orchestrator.training.compiled_backend import CompiledBackend
        from orchestrator.training.program_store import stored_programs

        stored = stored_programs(self._task, built, compiled.goal, structure)
        backend = CompiledBackend(compiled, tensors, momentum, by_name, stored)
        # What a user's initialisers draw does not follow from a model's structure.
        return Slot(backend, None, stored if self._task.model.kind == "bundled" else None)

    def _keep(self, key: str, slot: Slot) -> None:
        """Keep a program for further trials."""
        self._slots.pop(key, None)
        self._slots[key] = slot
        while len(self._slots) > self._kept:
            self._slots.popitem(last=False)


def in_force(built: Built, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trial's hyperparameters, with the defaults of those that it was not given."""
    return {**(OWN_DEFAULTS if built.compiled_by_user else DEFAULTS), **given}


def _key(built: Built, hyperparameters: Mapping[str, Any]) -> str:
    structure = structure_of(built, hyperparameters)
    return json.dumps(structure, sort_keys=True, default=repr)


def figures_by_name(task: TrainingTask, compiled: Compiled) -> FiguresByName:
    """Return what a task asks for by name, of one of its models."""
    form = form_of(task, compiled.model, compiled.goal)
    if not IS_TENSORFLOW:
        return HeardRows(compiled.model, task.metrics, form)
    from orchestrator.training.metrics import ValidationMetrics, make_metrics

    return ValidationMetrics(compiled.model, make_metrics(task.metrics, form))
