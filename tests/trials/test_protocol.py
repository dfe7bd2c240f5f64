"""A kind of trial that is a plain Python function: neither TensorFlow nor Ray knows of it, and it needs no data."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = '''
import sys
from dataclasses import dataclass
from pathlib import Path

from orchestrator.trials import Trainable
from orchestrator.tuning.inline import run_plan
from orchestrator.tuning.protocol import Sitting
from tests.tuning.play import Heard, Play


def train(hp, report):
    """Raises for the largest learning rates; the others' loss falls."""
    if hp["learning_rate"] > 0.3:
        raise ValueError("diverges")
    for epoch in range(1, 10):
        report({"loss": 1 / epoch, "val_accuracy": 1 - hp["learning_rate"] / epoch})


@dataclass(frozen=True)
class Function:
    home: Path = Path()

    def open(self):
        return self

    def session(self, spec):
        return Session(spec)

    def about(self):
        return {"path": "function"}

    def leave(self):
        pass

    def judge(self, checkpoint, best):
        return {"trial": checkpoint.stem}


@dataclass
class Session:
    spec: object
    told: int = 0

    def advance(self, progress, seconds):
        def report(metrics):
            epoch = len(progress.rows) + 1
            row = {"trial": self.spec.trial, "epoch": epoch, "metrics": metrics, "seconds": 0.0}
            progress.rows.append(row)

        train(self.spec.hyperparameters, report)
        progress.done = True

    def keep(self):
        pass


class Listener(Heard):
    verdict = staticmethod(lambda: None)


trainable: Trainable = Function()
listener = Listener()
outcome = run_plan(Play(8).plan, trainable, listener, Sitting(1))
assert outcome.ended and outcome.trouble is None
rates = {spec.trial: spec.hyperparameters["learning_rate"] for spec in Play(8).plan.draws()}
for trial, end in listener.ends.items():
    assert end.status == ("failed" if rates[trial] > 0.3 else "finished"), (trial, end)
    assert end.error == ("ValueError: diverges" if rates[trial] > 0.3 else None)
print(sorted({end.status for end in listener.ends.values()}), len(listener.ends))
print(sorted({"tensorflow", "keras", "ray", "pandas"} & sys.modules.keys()))
'''


def test_a_function_is_a_kind_of_trial_without_any_framework():
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines() == ["['failed', 'finished'] 8", "[]"]
