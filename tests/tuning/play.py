"""A run's trials told by hand: a stage, who listens to it, a clock that is set. No Ray, no worker."""

from __future__ import annotations

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import make_plan
from orchestrator.trials import Progress
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Report, Sitting, Spent
from orchestrator.tuning.stage import Stage

DIED = Failure("worker_died", "worker died: x", "x")
BUG = Failure("error", "ValueError: units", "Traceback", transient=False)
FULL = Failure("disk", "OSError: full", "Traceback", bytes_needed=99)
OOM = Failure("out_of_memory", "MemoryError", "Traceback")


class Disk:
    """A disk that was full, unless it is said not to have been."""

    def __init__(self):
        self.seconds, self.was_full = 0.0, True

    def is_or_was_full(self, needed):
        return self.was_full


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.ends, self.begun, self.again, self.at_once, self.rows, self.events = (
            {},
            [],
            [],
            [],
            [],
            [],
        )
        self.disk = Disk()
        self.phases = []
        self.waiting = set()

    def waits_for(self, what):
        self.phases.append(what)

    def event(self, event, **facts):
        self.events.append((event, facts))

    def remarked(self, event, text, **facts):
        self.events.append((event, facts))

    def started(self, spec):
        self.begun.append(spec.trial)

    def waits(self, trial, still=True):
        (self.waiting.add if still else self.waiting.discard)(trial)

    def epochs(self, rows):
        known = {(row["trial"], row["epoch"]) for row in self.rows}
        new = [row for row in rows if (row["trial"], row["epoch"]) not in known]
        self.rows += new
        return len(new)

    def ended(self, end, traceback):
        assert end.trial not in self.ends, "a trial ends once"
        self.ends[end.trial] = end

    def tried_again(self, trial, failure, attempt, wait):
        self.again.append((trial, failure.kind, attempt, wait))


class Play:
    """A stage with its listener and its clock."""

    def __init__(self, trials=4, spent=None, scheduler="none", **keys):
        experiment = parse_experiment(
            {
                "name": "one", "model": "mlp", "data": "digits", "epochs": 9,
                "metric": "val_accuracy", "mode": "max",
                "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
                "caviar": {"num_samples": trials, "scheduler": scheduler},
            } | keys
        )  # fmt: skip
        self.plan = make_plan(experiment, Space.parse(experiment.search_space))
        self.heard, self.time = Heard(), 0.0
        sitting = Sitting(2, spent=spent or Spent())
        self.stage = Stage(self.plan, self.heard, sitting, now=lambda: self.time)

    def begin(self, most=9):
        """Let workers take trials; return which."""
        begun = []
        while len(begun) < most and (spec := self.stage.next_trial()) is not None:
            self.stage.started(spec.trial)
            begun.append(spec.trial)
        return begun

    def report(self, trial, *epochs, value=0.5, failure=None, **ending):
        rows = [
            {"trial": trial, "epoch": epoch, "seconds": 1.0,
             "metrics": {"loss": 1.0, "val_accuracy": value}}
            for epoch in epochs
        ]  # fmt: skip
        return self.stage.heard(Report(trial, Progress(rows=rows, **ending), failure, {}))
