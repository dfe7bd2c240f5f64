"""Ten thousand trials of a model that takes a millisecond: what the orchestration itself costs.

The trainer trains nothing: an epoch sleeps for a millisecond. Everything else is what a run is made of: Ray Tune, warm
workers, ASHA, records, the lock and its heartbeat, checkpoints' bookkeeping, tables.

    python benchmarks/many_trials.py [--trials 10000]
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

import orchestrator
from orchestrator.config import Experiment, parse_experiment
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunFolder, read_run
from orchestrator.schedulers import make_scheduler
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Progress, Trainable
from orchestrator.tuning.protocol import Listener, Outcome, Sitting
from orchestrator.tuning.tune import run_plan

EPOCHS = 9
EPOCH_SECONDS = 0.001
WINDOW = 100
"""Trials over which a cost per trial is taken."""


@dataclass(frozen=True)
class NoTraining:
    """A job that trains nothing: the curve of a trial follows from its learning rate."""

    milestones: frozenset[int]
    home: Path = Path()

    def open(self) -> NoWorkbench:
        """Set nothing up."""
        return NoWorkbench(self.milestones)


class NoWorkbench:
    """A process that pretends."""

    def __init__(self, milestones: frozenset[int]) -> None:
        self._milestones = milestones

    def session(self, spec: TrialSpec) -> NoSession:
        """Return a trial's pretended training."""
        return NoSession(spec, self._milestones)

    def about(self) -> Mapping[str, Any]:
        """Return the facts of a model without parameters."""
        return {"parameters": 0, "path": "compiled"}

    def leave(self) -> None:
        """Leave nothing."""

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Examine nothing: no trial has a checkpoint."""
        raise NotImplementedError


class NoSession:
    """Sleeps a millisecond an epoch, up to the next milestone."""

    def __init__(self, spec: TrialSpec, milestones: frozenset[int]) -> None:
        self._spec = spec
        self._milestones = milestones
        self._epoch = 0

    def advance(self, progress: Progress, seconds: float) -> None:
        """Pretend to train to the next milestone."""
        rate = float(self._spec.hyperparameters["learning_rate"])
        while not progress.done:
            time.sleep(EPOCH_SECONDS)
            self._epoch += 1
            score = (1.0 - rate) * (1.0 - 0.5**self._epoch)
            metrics = {"loss": 1 - score, "accuracy": score, "val_loss": 1 - score}
            metrics |= {"val_accuracy": score, "learning_rate": rate}
            row = {"trial": self._spec.trial, "epoch": self._epoch, "metrics": metrics}
            progress.rows.append(row | {"seconds": EPOCH_SECONDS})
            progress.done = self._epoch >= EPOCHS
            if self._epoch in self._milestones:
                return

    def keep(self) -> None:
        """Keep nothing."""


def run_on_nothing(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
    """Run a plan on Ray Tune with the job that trains nothing in place of its own."""
    scheduler = make_scheduler(plan.scheduler, plan.epochs, plan.mode)
    return run_plan(plan, NoTraining(frozenset(scheduler.milestones)), listener, sitting)


class Memory(threading.Thread):
    """Watches this process: its resident memory, in bytes, against the trials that have ended."""

    def __init__(self, trials_file: Path) -> None:
        super().__init__(daemon=True)
        self._file = trials_file
        self._over = threading.Event()
        self.points: list[tuple[int, int]] = []

    def run(self) -> None:
        """Look every two seconds."""
        read, ended, process = 0, 0, psutil.Process()
        while not self._over.wait(2.0):
            if self._file.exists():
                with self._file.open("rb") as file:
                    file.seek(read)
                    new = file.read()
                read += len(new)
                ended += new.count(b'"ended"')
                self.points.append((ended, process.memory_info().rss))

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self.join()


def experiment(storage: Path, trials: int) -> Experiment:
    """Return the experiment: one hyperparameter, ASHA, as many trials as asked for."""
    return parse_experiment(
        {
            "name": "many", "model": "mlp", "data": "digits", "epochs": EPOCHS,
            "search_space": {"learning_rate": "loguniform(1e-4, 1)"},
            "caviar": {"num_samples": trials}, "storage_path": str(storage),
        }
    )  # fmt: skip


def seconds_at(times: list[float], trial: int) -> float:
    """Return the median of the seconds between two ends of trials, over a window that begins at ``trial``."""
    window = times[trial : trial + WINDOW + 1]
    return (window[-1] - window[0]) / (len(window) - 1)


def growth(points: list[tuple[int, int]], first: int) -> float:
    """Return the bytes a trial by which the memory grew from trial ``first`` on, as a line through the points."""
    later = [(trial, rss) for trial, rss in points if trial >= first]
    trials, memory = [trial for trial, _ in later], [rss for _, rss in later]
    return statistics.linear_regression(trials, memory).slope


def timed_command(*arguments: str) -> float:
    """Return the seconds that a command of ours takes."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "orchestrator", *arguments]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return time.perf_counter() - began


def rebuilding(folder: RunFolder) -> float:
    """Return the seconds that it takes to rebuild the run from its records, as after a kill at its very end."""
    events = folder.events_file.read_bytes().splitlines(keepends=True)
    folder.events_file.write_bytes(b"".join(line for line in events if b"run_finished" not in line))
    began = time.perf_counter()
    prepare_to_resume(folder)
    return time.perf_counter() - began


def main() -> None:
    """Run it and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--trials", type=int, default=10_000)
    trials = parser.parse_args().trials
    with tempfile.TemporaryDirectory(prefix="many-") as place:
        figures = measure(Path(place), trials)
    print(json.dumps(figures, indent=2))


def measure(storage: Path, trials: int) -> dict[str, Any]:
    """Return the figures of one run and of the commands on it."""
    memory = Memory(storage / "many" / "trials.jsonl")
    memory.start()
    began = time.perf_counter()
    run = orchestrator.run(experiment(storage, trials), executor=run_on_nothing)
    seconds = time.perf_counter() - began
    memory.stop()
    gc.collect()
    records = read_run(run.path)
    ends = sorted(datetime.fromisoformat(t.ended).timestamp() for t in records.trials if t.ended)
    early, late = seconds_at(ends, 100), seconds_at(ends, trials - WINDOW - 1)
    commands = {"table": ("--format", "csv"), "best": (), "resume": ()}
    took = {name: timed_command(name, str(run.path), *more) for name, more in commands.items()}
    return {
        "trials": len(records.trials),
        "epochs": len(records.epochs),
        "seconds": round(seconds, 1),
        "ms_a_trial": round(1000 * seconds / trials, 2),
        "ms_a_trial_at_100": round(1000 * early, 2),
        "ms_a_trial_at_the_end": round(1000 * late, 2),
        "ratio_end_to_100": round(late / early, 2),
        "driver_kb_a_trial": round(growth(memory.points, min(500, trials // 4)) / 1000, 2),
        "driver_mb": [
            round(point / 2**20) for _, point in memory.points[:: max(1, len(memory.points) // 10)]
        ],
        "commands_s": {name: round(value, 2) for name, value in took.items()},
        "rebuilt_s": round(rebuilding(run.folder), 2),
    }


if __name__ == "__main__":
    main()
