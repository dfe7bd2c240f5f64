"""Where a panda comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.strategies import TrialSpec
from orchestrator.training.checkpoint import Checkpoint
from orchestrator.training.panda.memory import Memory

if TYPE_CHECKING:
    from orchestrator.training.panda.session import PandaSession


@dataclass(frozen=True)
class Birth:
    """Where a panda comes from: hyperparameters and a seed, or a checkpoint and what to change on it.

    A ``branch`` shares the days of the panda whose checkpoint it is; another start from a checkpoint is a new life.
    """

    trial: str
    seed: int
    hyperparameters: Mapping[str, Any]
    checkpoint: Path | None = None
    branch: bool = False
    changes: Mapping[str, Any] = field(default_factory=dict)


def birth_of(spec: TrialSpec) -> Birth:
    """Return where a babysat trial comes from."""
    return Birth(
        trial=spec.trial,
        seed=spec.seed,
        hyperparameters=spec.hyperparameters,
        checkpoint=Path(spec.checkpoint) if spec.checkpoint else None,
        branch=spec.branch,
        changes=spec.changes,
    )


def inherit(panda: PandaSession, checkpoint: Checkpoint) -> None:
    """Take a parent's weights; a branch of a panda shares its days, a promoted trial starts at day 0."""
    panda.trainer.resume(checkpoint)
    parent = checkpoint.about.get("panda")
    if parent is None or not panda.birth.branch:
        panda.trainer.epoch = 0
        return
    shared = Memory.from_plain(parent)
    panda.memory = Memory(day=shared.day, days=shared.days, tested=True, scheduled=shared.scheduled)
    panda.sitter.remember(shared.sitter)
