"""Submitting is running our own command somewhere else: one module a place, all keeping ``target.Target``.

This room knows nothing of tuning. What a place is told is rendered as text first, which ``--dry-run`` prints and
``submit`` sends.
"""

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.config.targets import TARGETS
    from orchestrator.targets.fetching import fetch_run, reachable_run
    from orchestrator.targets.job import (
        Job,
        JobState,
        State,
        find_job,
        known_jobs,
        parse_handle,
        remember,
    )
    from orchestrator.targets.target import (
        EXPERIMENT_FILE,
        SentFile,
        Submission,
        Target,
        find_target,
    )

__all__ = [
    "EXPERIMENT_FILE",
    "TARGETS",
    "Job",
    "JobState",
    "SentFile",
    "State",
    "Submission",
    "Target",
    "fetch_run",
    "find_job",
    "find_target",
    "known_jobs",
    "parse_handle",
    "reachable_run",
    "remember",
]

load_when_used(__name__)
