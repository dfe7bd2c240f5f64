"""Branch and compare: the same model tried at several learning rates for a few epochs, the best one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.sitter import Finding, keep_best
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.session import train_epoch

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession

Stretch = tuple[list[dict[str, Any]], Checkpoint]


def compare_branches(panda: PandaSession, finding: Finding) -> None:
    """Train a short stretch at each of the finding's factors of α, from one state and over the same batches.

    The best by paired validation loss goes on from where its stretch ended, and its epochs are the panda's; the
    others' losses are the evidence in the journal.
    """
    start = panda.checkpoint()
    alpha = float(panda.trainer.hyperparameters["learning_rate"])
    stretches = [
        _stretch(panda, start, alpha * factor, finding.epochs) for factor in finding.factors
    ]
    losses = {
        factor: [row["metrics"]["val_loss"] for row in rows]
        for factor, (rows, _) in zip(finding.factors, stretches, strict=True)
    }
    kept = keep_best(losses)
    rows, end = stretches[finding.factors.index(kept.factor)]
    panda.trainer.resume(end)
    panda.take_rows(rows)
    panda.note(
        "applied",
        request=None,
        by=f"sitter:{finding.rule}",
        action="branch_and_compare",
        changes={"learning_rate": [alpha, alpha * kept.factor]},
        how="live",
        evidence=kept.evidence,
    )


def _stretch(panda: PandaSession, start: Checkpoint, alpha: float, epochs: int) -> Stretch:
    trainer = panda.trainer
    trainer.resume(start)
    trainer.change({"learning_rate": alpha})
    rows = [train_epoch(trainer, panda.trial, panda.goal.metric) for _ in range(epochs)]
    return rows, trainer.checkpoint({})
