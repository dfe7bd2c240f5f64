"""A Keras model as a panda changes it, takes it back and trains on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.search import Nursery, TrialSpec
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import facts_of, train_chunk
from orchestrator.trials import Checkpoint, Progress
from orchestrator.trials.judging import Objective
from orchestrator.trials.panda.day_cycle import train_epoch
from orchestrator.trials.panda.session import PandaSession
from orchestrator.trials.panda.state import Tried

FreeLanes = Callable[[int], AbstractContextManager[Sequence[Trainer]]]
"""Lends trainers of lanes that nobody has, at most so many."""


def _none_free(most: int) -> AbstractContextManager[Sequence[Trainer]]:
    return nullcontext(())


class LiveKeras:
    """A trainer with one trial in it; the rows of its epochs are ``trial``'s and have ``metric``.

    ``free_lanes`` lends further trainers, where several train side by side.
    """

    def __init__(
        self, trainer: Trainer, trial: str, metric: str, free_lanes: FreeLanes = _none_free
    ) -> None:
        self._trainer = trainer
        self._trial = trial
        self._metric = metric
        self._free_lanes = free_lanes
        self.validation_rows = int(trainer.task.dataset.validation.rows)

    @property
    def epoch(self) -> int:
        """Return how many epochs are over."""
        return self._trainer.epoch

    @property
    def hyperparameters(self) -> Mapping[str, Any]:
        """Return all hyperparameters in force."""
        return self._trainer.hyperparameters

    @property
    def steps_within(self) -> int:
        """Return the batches of an epoch that is not over."""
        return self._trainer.position.steps

    @property
    def steps_per_epoch(self) -> int:
        """Return the batches of an epoch."""
        return self._trainer.steps_per_epoch

    @property
    def ended(self) -> str | None:
        """Return why no further epoch can be trained."""
        return self._trainer.ended

    @property
    def why_rate_is_fixed(self) -> str | None:
        """Return why no change of ``learning_rate`` would do anything."""
        return self._trainer.why_rate_is_fixed

    def begin(self, hyperparameters: Mapping[str, Any], seed: int) -> None:
        """Begin from a seed. Raises TrialError where a learning rate was given and none can be set."""
        self._trainer.begin(hyperparameters, seed)
        fixed = self.why_rate_is_fixed
        if fixed is not None and "learning_rate" in hyperparameters:
            raise TrialError(
                f"learning_rate: expected a model whose learning rate can be set. Received: one of which {fixed}."
                " Leave learning_rate out, or have the model's builder read it."
            )

    def resume(self, checkpoint: Checkpoint) -> None:
        """Begin with a checkpoint's hyperparameters and go on from its state."""
        self._trainer.resume(checkpoint)

    def checkpoint(self, about: Mapping[str, Any]) -> Checkpoint:
        """Return its state."""
        return self._trainer.checkpoint(about)

    def check_going_on(self, checkpoint: Checkpoint, changes: Mapping[str, Any]) -> None:
        """Raise RequestError or TrialError for new values that cannot be put in force: a checkpoint has all else."""
        if changes:
            self._trainer.check_change(changes)

    def change(self, changes: Mapping[str, Any]) -> str:
        """Put new values in force, live or on the model built anew around its weights."""
        return self._trainer.change(changes)

    def train_chunk(self) -> dict[str, Any] | None:
        """Train an epoch, or a chunk of a long one."""
        return train_chunk(self._trainer, self._trial, self._metric)

    def untrained(self) -> dict[str, float]:
        """Return the metrics of the model as it stands, over both splits."""
        metrics = self._trainer.evaluate("train")
        validation = self._trainer.evaluate("validation")
        return metrics | {f"val_{name}": value for name, value in validation.items()}

    def losses_at(self, rates: Sequence[float]) -> list[float]:
        """Return the training loss of one batch after another, each at its learning rate."""
        return self._trainer.losses_at(rates)

    def tried(self, changes: Sequence[Mapping[str, Any]], epochs: int) -> list[Tried]:
        """Train so many epochs with each of several changes, as many at a time as lanes are free, and go back."""
        start, found = self.checkpoint({}), list[Tried]()
        with self._free_lanes(len(changes) - 1) as others:
            trainers = [self._trainer, *others]
            for first in range(0, len(changes), len(trainers)):
                few = dict(zip(trainers, changes[first:], strict=False))
                found += self._tried_together(few, start, epochs)
        self.resume(start)
        return found

    def _tried_together(
        self, changes: Mapping[Trainer, Mapping[str, Any]], start: Checkpoint, epochs: int
    ) -> list[Tried]:
        tried = {trainer: Tried() for trainer in changes}
        for trainer, values in changes.items():
            trainer.resume(start)
            trainer.change(values)
        for _ in range(epochs):
            for trainer in tried:
                trainer.backend.get_ready()
            for trainer, found in tried.items():
                row = train_epoch(LiveKeras(trainer, self._trial, self._metric))
                found.epochs.append((row, trainer.checkpoint({})))
        for trainer, found in tried.items():
            found.losses.extend(trainer.backend.row_losses("validation"))
        return [*tried.values()]


class PandaLane(PandaSession):
    """A panda that trains beside its branches, each of them as a lane."""

    def __init__(
        self,
        trainer: Trainer,
        spec: TrialSpec,
        nursery: Nursery,
        objective: Objective,
        free_lanes: FreeLanes,
    ) -> None:
        live = LiveKeras(trainer, spec.trial, objective.metric, free_lanes)
        super().__init__(live, spec, nursery, objective)
        self._trainer = trainer
        self._is_in = False

    def begin(self, progress: Progress) -> bool:
        """Start, where that is yet to be done; one that cannot leaves its lane."""
        try:
            over = super().begin(progress)
        except BaseException:
            self._trainer.leave()
            raise
        self._is_in = True
        return over

    def get_ready(self) -> bool:
        """Answer what was asked; expect the epoch that is to be trained, if one is."""
        trains = super().get_ready()
        if trains:
            self._trainer.backend.get_ready()
        return trains

    def about(self) -> Mapping[str, Any]:
        """Return the model's size and how it trains."""
        return facts_of(self._trainer)

    def leave(self) -> None:
        """Leave the lane to another trial, if that has not been given it yet."""
        if self._is_in:
            self._trainer.leave()
        self._is_in = False
