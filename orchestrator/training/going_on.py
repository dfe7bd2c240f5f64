"""A finished trial made ready to train further."""

from __future__ import annotations

from pathlib import Path

from orchestrator.errors import RecordError
from orchestrator.records import Mode, score_of
from orchestrator.training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def keep_last_state(best: Path, last: Path, epoch: int, metric: str, mode: Mode) -> bool:
    """Make a trial's best state its last one, from which it goes on, where it is that of its last ``epoch``.

    Returns whether there is a last state now; a trial without one trains anew from its seed, which gives the same.
    """
    if last.exists() or not best.exists():
        return last.exists()
    try:
        found = load_checkpoint(best)
    except RecordError:
        return False
    score = score_of(found.about, metric, mode) if "metrics" in found.about else None
    if found.about.get("epoch") != epoch or score is None:
        return False
    about = {**found.about, "best": score.to_plain(), "rows": []}
    save_checkpoint(last, Checkpoint(found.model, found.optimizer, about))
    return True
