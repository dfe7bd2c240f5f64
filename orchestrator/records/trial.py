"""One trial as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrialRecord:
    """One trial, from its ``started`` line and, once it has one, its ``ended`` line.

    ``origin`` is where a branch or a promoted trial comes from: {run (None: this one), trial, day,
    epoch, and stretch, where it was written down}. ``group`` is the group of comparable trials.
    """

    trial: str
    index: int
    seed: int
    hyperparameters: Mapping[str, Any]
    started: str
    ended: str | None = None
    ending: str | None = None
    stopped_by: Mapping[str, Any] | None = None
    error: str | None = None
    error_file: str | None = None
    parameters: int | None = None
    path: str | None = None
    path_reason: str | None = None
    worker: str | None = None
    rss_mb: float | None = None
    failure: str | None = None
    attempts: int | None = None
    seconds: float | None = None
    origin: Mapping[str, Any] | None = None
    group: int = 1

    @property
    def status(self) -> str:
        """finished, stopped, failed, diverged, interrupted; running where no ending is recorded."""
        return self.ending or "running"

    @property
    def is_over(self) -> bool:
        """Whether the trial ended for good: one that was interrupted may go on."""
        return self.ending not in (None, "interrupted")

    @property
    def is_branch(self) -> bool:
        """Whether the trial forked from another one of the same run."""
        return self.origin is not None and self.origin.get("run") is None
