"""What it costs to start or resume a trial against training it, measured from a run's epochs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

SEVERAL = 3
"""So many starts are measured before anything is made of them: the first ones load, compile and warm up."""
AFFORDABLE = 0.1
"""The share of a full training that a start or resume may cost for promotion to gain anything."""


@dataclass(frozen=True)
class Remark:
    """What a scheduler has chosen by itself, once: a sentence that begins with its name, and the figures."""

    text: str
    facts: Mapping[str, Any]

    def of(self, scheduler: str) -> Remark:
        """Return the same of a scheduler that asks this one."""
        text = self.text.replace(str(self.facts["scheduler"]), scheduler, 1)
        return Remark(text, {**self.facts, "scheduler": scheduler})


@dataclass
class StartCost:
    """Takes in rows of ``epochs.jsonl``; ``epochs`` is how many a whole training has. A row told twice counts once."""

    epochs: int
    starts: list[float] = field(default_factory=list)
    resumes: list[float] = field(default_factory=list)
    last: dict[str, int] = field(default_factory=dict)
    trained: float = 0.0
    count: int = 0

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in an epoch; that of a warm worker's first epoch of a trial tells what its start took."""
        trial, epoch = row["trial"], int(row["epoch"])
        if epoch <= self.last.get(trial, 0):
            return
        begun = trial in self.last
        self.last[trial] = epoch
        self.trained += float(row.get("seconds") or 0.0)
        self.count += 1
        if row.get("start_seconds") is not None:
            (self.resumes if begun else self.starts).append(float(row["start_seconds"]))

    @property
    def affordable(self) -> bool | None:
        """Whether a resume costs little enough, None while it is not known; that starts cost too much tells it too."""
        if len(self.resumes) >= SEVERAL:
            return self._share(self.resumes) <= AFFORDABLE
        if len(self.starts) >= SEVERAL and self._share(self.starts) > AFFORDABLE:
            return False
        return None

    @property
    def what(self) -> str:
        """What was measured: to ``resume`` a trial or, before enough are known, to ``start`` one."""
        return "resume" if len(self.resumes) >= SEVERAL else "start"

    @property
    def measured(self) -> dict[str, Any]:
        """The figures: seconds of a start or resume, and of an epoch; and the former's share of a whole training."""
        of = self.resumes if self.what == "resume" else self.starts
        return {
            "start_seconds": round(median(of), 4),
            "epoch_seconds": round(self.trained / self.count, 4),
            "share": round(self._share(of), 4),
        }

    def _share(self, seconds: list[float]) -> float:
        training = self.epochs * self.trained / self.count
        return median(seconds) / training if training else float("inf")
