"""Branch and compare: the same model tried at several learning rates for a few epochs, the best one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.sitter import Finding, keep_best
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.session import train_epoch

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession

Stretch = tuple[list[dict[str, Any]], list[float], Checkpoint]


def compare_branches(panda: PandaSession, finding: Finding) -> None:
    """Train a short stretch at each of the finding's learning rates, from one state and over the same batches.

    The best by paired validation loss goes on from where its stretch ended, and its epochs are the panda's; the
    others' losses are the evidence in the journal.
    """
    if finding.to_day is not None:
        panda.return_by_sitter(finding.to_day, f"sitter:{finding.rule}")
    start = panda.checkpoint()
    alpha = float(panda.trainer.hyperparameters["learning_rate"])
    tried = {
        rate / alpha: _stretch(panda, start, rate, finding.epochs) for rate in finding.candidates
    }
    kept = keep_best({factor: losses for factor, (_, losses, _) in tried.items()})
    rows, _, end = tried[kept.factor]
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
    return rows, trainer.learner.row_losses("validation"), trainer.checkpoint({})
