"""Whole searches on made-up workers with a clock of their own: what a stage hears of them, in which order."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from orchestrator.errors import StopNow
from orchestrator.trials import Progress
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Report
from orchestrator.tuning.stage import Stage

BUG = Failure("error", "ValueError: units", "Traceback", transient=False)
DIED = Failure("worker_died", "worker died: x", "x")


@dataclass
class MadeUp:
    """What trials give: a function of their hyperparameters, seed and epoch alone, and of the ``story``."""

    story: int
    metric: str
    failing: float = 0.0
    short: float = 0.0
    dying: float = 0.0

    def chance(self, *of) -> random.Random:
        """The draws that belong to these things alone."""
        return random.Random(repr((self.story, *of)))

    def report(self, spec, epoch, epochs) -> Report:
        """The report of one epoch."""
        chosen = sorted((k, repr(v)) for k, v in spec.hyperparameters.items())
        level = self.chance(chosen).random()
        noise = self.chance(chosen, spec.seed, epoch).gauss(0, 0.02)
        row = {"trial": spec.trial, "epoch": epoch, "seconds": 1.0,
               "metrics": {"loss": 1.0, self.metric: round(level + noise + 0.01 * epoch, 3)}}  # fmt: skip
        draw = self.chance("end", chosen, spec.seed)
        ends = draw.randint(1, epochs)
        fails, is_short = draw.random() < self.failing, draw.random() < self.short
        if fails and epoch == ends:
            return Report(spec.trial, Progress(rows=[row]), BUG, {})
        done = epoch == epochs or (is_short and epoch == ends)
        return Report(spec.trial, Progress(rows=[row], done=done), None, {})

    def seconds(self, spec) -> float:
        """How long its epochs take."""
        return 0.5 + self.chance("pace", spec.trial).random()


@dataclass
class Player:
    """So many workers, which train made-up trials; ``most`` reports are heard, then it is stopped.

    ``before`` {how many reports: action} is done before the next one.
    """

    made_up: MadeUp
    workers: int
    most: int = 10**6
    heard: int = 0
    time: float = 0.0
    epochs: dict = field(default_factory=dict)
    died: set = field(default_factory=set)
    before: dict = field(default_factory=dict)

    def play(self, plan, listener, sitting) -> Stage:
        """Run what is left of a plan; return its stage."""
        stage = Stage(plan, listener, sitting, now=lambda: self.time)
        free, busy = list(range(self.workers)), []
        while not stage.over:
            for worker in list(free):
                if (spec := stage.next_trial()) is not None:
                    stage.started(spec.trial)
                    free.remove(worker)
                    heapq.heappush(busy, (self.time + self.made_up.seconds(spec), worker, spec))
            if not busy:
                self.time += 1.0  # one that is tried again waits for its time
                assert self.time < 10**6, "nothing trains and nothing comes"
                continue
            self.time, worker, spec = heapq.heappop(busy)
            self.before.pop(self.heard, bool)()
            if self.heard >= self.most:
                raise StopNow
            self.heard += 1
            epoch = self.epochs[spec.trial] = self.epochs.get(spec.trial, 0) + 1
            if self.dies(spec.trial, epoch):
                free.append(worker)
                stage.lost(spec.trial, DIED)
                continue
            if stage.heard(self.made_up.report(spec, epoch, plan.epochs)):
                heapq.heappush(busy, (self.time + self.made_up.seconds(spec), worker, spec))
                continue
            free.append(worker)
            stage.look_ahead()
        return stage

    def dies(self, trial, epoch) -> bool:
        """Whether the worker dies before it can report this epoch; once."""
        if (trial, epoch) in self.died:
            return False
        dies = self.made_up.chance("death", trial, epoch).random() < self.made_up.dying
        if dies:
            self.died.add((trial, epoch))
            self.epochs[trial] = 0
        return dies
