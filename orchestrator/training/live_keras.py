"""A Keras model as a panda changes it, takes it back and trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import TrialError
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import train_chunk
from orchestrator.trials import Checkpoint


class LiveKeras:
    """A trainer with one trial in it; the rows of its epochs are ``trial``'s and have ``metric``."""

    def __init__(self, trainer: Trainer, trial: str, metric: str) -> None:
        self._trainer = trainer
        self._trial = trial
        self._metric = metric
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

    def row_losses(self) -> list[float]:
        """Return the loss of each validation row."""
        return self._trainer.backend.row_losses("validation")
