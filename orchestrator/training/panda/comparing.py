"""Branch and compare: the same model tried at several learning rates for a few epochs, the best one kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.sitter import Finding, keep_best
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.session import train_epoch

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession

Lived = list[tuple[dict[str, Any], Checkpoint]]
"""Epochs' rows, each with the state it left."""


def compare_branches(panda: PandaSession, finding: Finding) -> None:
    """Train a short stretch at each of the finding's learning rates, from one state and over the same batches.

    The best by paired validation loss is the panda's: its epochs are lived through as any other. The others' losses
    are the evidence in the journal.
    """
    by = f"sitter:{finding.rule}"
    if finding.to_day is not None:
        panda.return_by_sitter(finding.to_day, by)
    start = panda.checkpoint()
    rates = dict(zip(finding.evidence["factors"], finding.candidates, strict=True))
    tried: dict[float, Lived] = {}
    losses: dict[float, list[float]] = {}
    for factor, rate in rates.items():
        panda.trainer.resume(start)
        panda.trainer.change({"learning_rate": rate})
        tried[factor] = _stretch(panda, finding.epochs)
        losses[factor] = panda.trainer.learner.row_losses("validation")
    kept = keep_best(losses)
    panda.trainer.resume(start)
    panda.change(
        {"learning_rate": rates[kept.factor]},
        by=by,
        action="branch_and_compare",
        evidence=kept.evidence,
    )
    for row, state in tried[kept.factor]:
        panda.trainer.resume(state)
        if panda.live_through(row):
            break


def _stretch(panda: PandaSession, epochs: int) -> Lived:
    lived: Lived = []
    for _ in range(epochs):
        row = train_epoch(panda.trainer, panda.trial, panda.goal.metric)
        lived.append((row, panda.trainer.checkpoint({})))
    return lived
