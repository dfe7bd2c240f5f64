"""What a trial is, whatever it trains: its protocol, what it tells, and the store of its states.

No framework is imported here, nor Ray; a kind of trial brings its own.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
    from orchestrator.trials.days import DayCheckpoints
    from orchestrator.trials.protocol import Progress, Session, Trainable, Workbench
    from orchestrator.trials.state_store import StateStore

__all__ = [
    "Checkpoint",
    "DayCheckpoints",
    "Progress",
    "Session",
    "StateStore",
    "Trainable",
    "Workbench",
    "load_checkpoint",
    "save_checkpoint",
]

load_when_used(__name__)
