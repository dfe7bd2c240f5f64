"""A submitted job: where it is, and what is needed to ask about it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.config.targets import TARGETS
from orchestrator.errors import UnknownNameError, explain

_HANDLE = re.compile(r"(?P<target>[a-z]+)://(?P<id>[A-Za-z0-9][A-Za-z0-9._/-]*)")


@dataclass(frozen=True)
class Job:
    """One job, by the name that its place gave it.

    ``run`` is the run's name; ``results`` is where its storage is reached from here, a folder or a URI, empty where
    that is not known; ``about`` holds what else its target needs (an address, a process's start). All but the first
    two are empty for a job that was not submitted from here.
    """

    target: str
    id: str
    run: str = ""
    submitted: str = ""
    results: str = ""
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def handle(self) -> str:
        """What one pastes: slurm://421."""
        return f"{self.target}://{self.id}"

    @property
    def known(self) -> bool:
        """Whether it was submitted from here."""
        return bool(self.run)

    @property
    def folder(self) -> Path | None:
        """The folder that holds what was sent and its log, where that is a folder of this machine."""
        if not self.run or not self.results or "://" in self.results:
            return None
        return job_folder(self.results, self.run)

    def to_entry(self) -> dict[str, Any]:
        """Return the job as plain values."""
        return {**asdict(self), "about": dict(self.about)}

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Job:
        """Return the job that plain values describe."""
        names = ("target", "id", "run", "submitted", "results", "about")
        return cls(**{name: entry[name] for name in names})


def job_folder(results: str | Path, run: str) -> Path:
    """Return where a run's jobs keep what was sent and their logs: beside the runs, and not one of them."""
    return Path(results) / ".jobs" / run


def parse_handle(text: str) -> tuple[str, str]:
    """Return the target and the place's own name for a job.

    Raises UnknownNameError where it is no handle, or of a place that is not known.
    """
    found = _HANDLE.fullmatch(text)
    if found is None:
        raise UnknownNameError(explain("job", "a handle such as slurm://421", text))
    if found["target"] not in TARGETS:
        raise UnknownNameError(explain(text, "unknown target", found["target"], TARGETS))
    return found["target"], found["id"]
