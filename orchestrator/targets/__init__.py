"""Submitting is running our own command somewhere else: one module a place, all keeping ``target.Target``.

This room knows nothing of tuning. What a place is told is rendered as text first, which ``--dry-run`` prints and
``submit`` sends.
"""

from orchestrator.config.targets import TARGETS
from orchestrator.targets.fetching import fetch_run, reachable_run
from orchestrator.targets.job import Job, parse_handle
from orchestrator.targets.registry import find_job, known_jobs, remember
from orchestrator.targets.states import JobState, State
from orchestrator.targets.submission import EXPERIMENT_FILE, SentFile, Submission
from orchestrator.targets.table import find_target
from orchestrator.targets.target import Target

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
