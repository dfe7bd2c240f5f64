"""Jobs that train nothing, so that what is tested is what goes on around the training."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from ray import cloudpickle

from orchestrator.trials import Progress

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import the tests


@dataclass(frozen=True)
class Pretence:
    """A job whose trials' curves follow from their seeds. The winner's examination takes ``judging`` seconds."""

    epochs: int
    milestones: frozenset[int] = field(default_factory=frozenset)
    judging: float = 0.0
    home: Path = Path()

    def open(self):
        return Workbench(self)


@dataclass(frozen=True)
class Workbench:
    job: Pretence

    def session(self, spec):
        return Session(self.job, spec)

    def about(self):
        return {"parameters": 0, "path": "compiled"}

    def leave(self):
        """Leave nothing."""

    def judge(self, checkpoint, best):
        time.sleep(self.job.judging)
        return {"trial": checkpoint.stem, "epoch": self.job.epochs}


class Session:
    def __init__(self, job, spec):
        self.job, self.spec, self.epoch = job, spec, 0

    def advance(self, progress: Progress, seconds):
        while not progress.done:
            self.epoch += 1
            value = (self.spec.seed % 997) / 997 * (1 - 0.5**self.epoch)
            metrics = {"loss": 1 - value, "val_accuracy": value}
            row = {"trial": self.spec.trial, "epoch": self.epoch, "metrics": metrics}
            progress.rows.append(row | {"seconds": 0.001})
            progress.done = self.epoch >= self.job.epochs
            if self.epoch in self.job.milestones:
                return

    def keep(self):
        """Keep nothing."""
