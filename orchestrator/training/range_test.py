"""A learning-rate range test: one batch after another, each at its own learning rate."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.training.hyperparameters import batch_size_of
from orchestrator.training.trainer import Trainer


def losses_at(trainer: Trainer, rates: Sequence[float]) -> list[float]:
    """Return the training loss of one batch after another, each at its learning rate.

    The model is trained by it: take a checkpoint before and resume from it after. Empty where α cannot be set.
    """
    if trainer.why_no_rate:
        return []
    trainer.put_in_force()
    batches = trainer.learner.batches(trainer.seed, batch_size_of(trainer.hyperparameters))
    losses = []
    for rate, batch in zip(rates, batches, strict=False):
        trainer.set_rate(rate)
        losses.append(trainer.learner.train_on(batch))
    return losses
