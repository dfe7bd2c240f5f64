"""Where a panda comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.strategies import TrialSpec


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
