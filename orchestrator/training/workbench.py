"""Keras models as a kind of trial: what a worker's process trains with, set up once, then trial after trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.redaction import conceal
from orchestrator.search import Nursery, TrialSpec
from orchestrator.training.keras_setup import BACKEND, KerasSettings, choose_backend
from orchestrator.training.task import TrainingTask
from orchestrator.training.trial_session import facts_of
from orchestrator.trials import Session
from orchestrator.trials.judging import Objective

if TYPE_CHECKING:
    from orchestrator.training.lanes import Lanes
    from orchestrator.training.trainer import Trainer

PROGRAMS_OF_A_LANE = 2
"""Models that a lane keeps for further trials: each is a model alone, its program is that of all lanes."""


@dataclass(frozen=True)
class KerasJob:
    """Training Keras models: plain values, shipped to a worker once.

    ``threads`` is for one operation; ``nursery`` says how trials are babysat, None that they are not; ``keras`` are
    Keras's settings, the same on every machine, None for each machine's own; ``secrets`` are
    the values behind references, by the names of their variables. ``lanes`` is how many trials train side by side in
    one program; None: each trial has its own; ``auto``: that is tried first; ``all_lanes`` as ``Lanes.all_of_them``.
    """

    task: TrainingTask
    objective: Objective
    threads: int
    nursery: Nursery | None = None
    keras: KerasSettings | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    lanes: int | Literal["auto"] | None = None
    all_lanes: bool = False

    @property
    def home(self) -> Path:
        """Return the run's own folder."""
        return self.objective.checkpoints.parent

    def __reduce__(self) -> Any:
        """Say which backend Keras takes before the rest is read: a function given in Python brings Keras with it."""
        parts = {each.name: getattr(self, each.name) for each in fields(self)}
        return _job, (_Chosen(self.keras.backend if self.keras else BACKEND), parts)

    def open(self) -> KerasWorkbench:
        """Set this process up: Keras is imported."""
        conceal(self.secrets)
        return KerasWorkbench(self)


@dataclass(frozen=True)
class _Chosen:
    """A backend, which Keras takes in a process where this has arrived, if it is not imported yet."""

    backend: str

    def __reduce__(self) -> Any:
        return _choose, (self.backend,)


def _choose(backend: str) -> _Chosen:
    choose_backend(backend)
    return _Chosen(backend)


def _job(_: _Chosen, parts: Mapping[str, Any]) -> KerasJob:
    return KerasJob(**parts)


class KerasWorkbench:
    """One process's trainer, its programs warm between trials; with folds another one for the fold trained on last.

    With lanes it has a trainer for each of the trials that it trains side by side.
    """

    def __init__(self, job: KerasJob) -> None:
        from orchestrator.training.keras_setup import set_up_keras

        set_up_keras(job.threads, job.keras)
        from orchestrator.training.trainer import Trainer

        self._job = job
        self._first = self._trainer = Trainer(job.task)
        self._fold = 1
        self._beside: list[Trainer] = []
        self._lanes: Lanes | None = None
        if job.lanes is not None:
            self.have_lanes(1 if job.lanes == "auto" else job.lanes)

    def have_lanes(self, lanes: int | None) -> None:
        """Train so many trials side by side from here on; None: each one by itself."""
        from orchestrator.training.lanes import Lanes

        if lanes is None or self._lanes is None:
            tensors, all_of_them = self._first.tensors, self._job.all_lanes
            self._lanes = None if lanes is None else Lanes(lanes, tensors, all_of_them)
            self._beside.clear()
        else:
            self._lanes.have(lanes)

    def try_lanes(self, spec: TrialSpec, most: int) -> Mapping[str, Any]:
        """Measure an epoch of a trial's program with 1, 2, 4, … lanes; return the best number of them, and why."""
        from orchestrator.training.lane_trials import tried

        trainer = self._lane()
        trainer.begin(spec.recipe[0][1] if spec.recipe else spec.hyperparameters, spec.seed)
        try:
            return tried(trainer, most)
        finally:
            trainer.leave()

    def _lane(self) -> Trainer:
        """Return a trainer without a trial, of those that train side by side."""
        return self._without_a_trial(1)[0]

    def _without_a_trial(self, many: int) -> list[Trainer]:
        from orchestrator.training.trainer import Trainer

        free = [trainer for trainer in self._beside if trainer.slot is None][:many]
        while len(free) < many:
            free.append(Trainer(self._job.task, PROGRAMS_OF_A_LANE, self._lanes))
            self._beside.append(free[-1])
        return free

    @contextmanager
    def _free_lanes(self, most: int) -> Iterator[list[Trainer]]:
        """Lend trainers of lanes that nobody has, at most so many."""
        lanes = self._lanes.most if self._lanes else 1
        taken = sum(trainer.slot is not None for trainer in self._beside)
        lent = self._without_a_trial(max(0, min(most, lanes - taken)))
        try:
            yield lent
        finally:
            for trainer in lent:
                trainer.leave()

    def session(self, spec: TrialSpec) -> Session:
        """Return a trial's training: babysat where the job has a nursery."""
        from orchestrator.training.live_keras import LiveKeras, PandaLane
        from orchestrator.training.trial_session import TrialSession
        from orchestrator.trials.panda.session import PandaSession

        objective, nursery = self._job.objective, self._job.nursery
        if self._lanes is not None:
            if self._lanes.most == 1:
                self._trainer.leave()
            self._trainer = self._lane()
            if nursery is None:
                return TrialSession(self._trainer, spec, objective)
            return PandaLane(self._trainer, spec, nursery, objective, self._free_lanes)
        self._trainer.leave()
        self._take_fold_of(spec)
        if nursery is None:
            return TrialSession(self._trainer, spec, objective)
        live = LiveKeras(self._trainer, spec.trial, objective.metric)
        return PandaSession(live, spec, nursery, objective)

    def _take_fold_of(self, spec: TrialSpec) -> None:
        """Have the trainer be of the fold that a replicate is trained on, of other trials the first."""
        from orchestrator.training.trainer import Trainer

        dataset = self._job.task.dataset
        fold = dataset.others.of_replicate(spec.replicate) if dataset.others else 1
        if fold == 1:
            self._trainer = self._first
        elif fold != self._fold or self._trainer is self._first:
            self._trainer = Trainer(replace(self._job.task, dataset=dataset.fold(fold)))
        self._fold = fold

    def leave(self) -> None:
        """Put the process's settings back as they were before the trials; programs stay warm."""
        for trainer in (self._trainer, *self._beside):
            trainer.leave()

    @property
    def shaped_by(self) -> frozenset[str]:
        """The hyperparameters of the trial in training on which its program depends."""
        return self._trainer.shaped_by

    def about(self) -> Mapping[str, Any]:
        """Return the model's size and how it trains; nothing before the trial has a model."""
        return facts_of(self._trainer)

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Examine a checkpointed model and save it as ``model.keras``."""
        from orchestrator.training.final_evaluation import judge

        objective = self._job.objective
        self._trainer.leave()
        self._trainer, self._fold = self._first, 1
        return judge(self._trainer, checkpoint, best, objective.metric, objective.mode)
