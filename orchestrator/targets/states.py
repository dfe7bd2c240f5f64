"""How a job stands, in one set of words for every place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

State = Literal["queued", "running", "finished", "failed", "stopped", "lost"]
STATES: tuple[str, ...] = get_args(State)
ACTIVE: tuple[State, ...] = ("queued", "running")

EXITS: Mapping[int, State] = {
    0: "finished",
    1: "failed",
    2: "failed",
    130: "stopped",
    143: "stopped",
}
"""What our own command's exit codes say; any other is a failure."""


@dataclass(frozen=True)
class JobState:
    """One of our words, the place's own word for it, and what it adds."""

    state: State
    native: str
    reason: str | None = None

    @property
    def active(self) -> bool:
        """Whether the job waits or runs."""
        return self.state in ACTIVE


def exited(code: int) -> JobState:
    """Return the state of a job whose command ended."""
    return JobState(EXITS.get(code, "failed"), f"exit code {code}")


LOST = JobState("lost", "unknown there", "the place no longer knows it")
Ask = Callable[[], JobState]
