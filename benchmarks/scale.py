"""`make bench-scale`: the rows of Ray Tune's scalability table, ours beside plain Ray Tune, in one sitting.

    python benchmarks/scale.py [--rows trials results bursts] [--shorten N] [--slots 16]

Trials sleep, on logical slots, so that any machine has sixteen, and none is trained again as a finalist.
``trials``: 10,000 of one second. ``results``: 1,000 of 300 reports. ``bursts``: 96 that report ten times a second. No
scheduler, each epoch is a row of the records; ours come about a second of them in a message, as those of Keras models
do. ``--shorten 100`` has a hundredth of the trials.
``driver_ms_a_report`` is the driver's processor time, ``waited`` what ours waited for it between two messages.
``seconds`` include Ray's workers' start, ``least`` does not.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orchestrator
from orchestrator.config import parse_experiment
from orchestrator.records import read_run
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Progress, Trainable
from orchestrator.tuning.cluster import running_ray
from orchestrator.tuning.protocol import Listener, Outcome, Sitting
from orchestrator.tuning.tune import run_plan


@dataclass(frozen=True)
class Row:
    """So many trials of so many reports, one every ``seconds``."""

    trials: int
    reports: int
    seconds: float

    def least(self, slots: int) -> float:
        """Return the seconds that no orchestration could go below."""
        return math.ceil(self.trials / slots) * self.reports * self.seconds


ROWS = {
    "trials": Row(10_000, 1, 1.0),
    "results": Row(1_000, 300, 0.1),
    "bursts": Row(96, 300, 0.1),
}


@dataclass(frozen=True)
class Sleeps:
    """A job whose trials sleep."""

    row: Row
    home: Path

    def open(self) -> Sleeps:
        """Set nothing up."""
        return self

    def session(self, spec: TrialSpec) -> Asleep:
        """Return a trial."""
        return Asleep(self.row, spec.trial)

    def about(self) -> Mapping[str, Any]:
        """Return the facts of a model without parameters."""
        return {"parameters": 0, "path": "compiled"}

    def leave(self) -> None:
        """Leave nothing."""

    def judge(self, checkpoint: Path, best: Path) -> dict[str, Any]:
        """Examine nothing: no trial has a checkpoint."""
        raise NotImplementedError


class Asleep:
    """A trial that sleeps and reports, epochs of about a second in one message as those of Keras models are.

    The first row of a message tells how long its worker had waited for the driver: since the last message was ready.
    """

    ready: float | None = None

    def __init__(self, row: Row, trial: str) -> None:
        self._row = row
        self._trial = trial
        self._epoch = 0

    def advance(self, progress: Progress, seconds: float) -> None:
        """Sleep from report to report."""
        began = time.monotonic()
        waited = {} if Asleep.ready is None else {"waited": began - Asleep.ready}
        while not progress.done:
            time.sleep(self._row.seconds)
            self._epoch += 1
            told = {"trial": self._trial, "epoch": self._epoch, "seconds": self._row.seconds}
            metrics = {"val_accuracy": 0.5, "loss": 1.0, **waited}
            progress.rows.append({**told, "metrics": metrics})
            progress.done = self._epoch >= self._row.reports
            waited = {}
            if time.monotonic() - began >= seconds:
                break
        Asleep.ready = time.monotonic()

    def keep(self) -> None:
        """Keep nothing."""


def ours(row: Row, place: Path) -> dict[str, Any]:
    """Run a row on our orchestration: records, lock and tables included; return how long workers waited for it."""
    experiment = parse_experiment(
        {
            "name": "scale", "model": "mlp", "data": "digits", "epochs": row.reports,
            "search_space": {"learning_rate": "loguniform(1e-4, 1)"}, "report": False,
            "caviar": {"num_samples": row.trials, "scheduler": "none", "finalists": False},
            "storage_path": str(place),
        }
    )  # fmt: skip

    def on_slots(plan: Plan, job: Trainable, listener: Listener, sitting: Sitting) -> Outcome:
        return run_plan(plan, Sleeps(row, place), listener, sitting)

    run = orchestrator.run(experiment, executor=on_slots, progress=False)
    rows = [epoch["metrics"] for epoch in read_run(run.path).epochs]
    waited = sorted(1000 * float(each["waited"]) for each in rows if "waited" in each)
    if not waited:
        return {}
    half, most = waited[len(waited) // 2], waited[int(0.99 * len(waited))]
    share = sum(waited) / 1000 / (len(rows) * row.seconds + sum(waited) / 1000)
    found = {"waited_ms_median": half, "waited_ms_p99": most, "waited_share": share}
    return {"messages": len(waited)} | {name: round(each, 4) for name, each in found.items()}


def plain_tune(row: Row, place: Path) -> dict[str, Any]:
    """Run a row on Ray Tune by itself, as its scalability tests do: no loggers, trials as they come."""
    from ray import tune

    def sleep(config: dict[str, Any]) -> None:
        for _ in range(row.reports):
            time.sleep(row.seconds)
            tune.report({"val_accuracy": 0.5, "loss": 1.0})

    tune.Tuner(
        tune.with_resources(sleep, {"cpu": 1}),
        param_space={"learning_rate": tune.loguniform(1e-4, 1)},
        tune_config=tune.TuneConfig(num_samples=row.trials),
        run_config=tune.RunConfig(storage_path=str(place), verbose=0),
    ).fit()
    return {}


CONTESTANTS: dict[str, Callable[[Row, Path], dict[str, Any]]] = {
    "ours": ours,
    "ray-tune": plain_tune,
}


def main() -> None:
    """Run the rows and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    parser.add_argument("--peers", nargs="+", choices=CONTESTANTS, default=list(CONTESTANTS))
    parser.add_argument("--shorten", type=int, default=1, metavar="N", help="an N-th of the trials")
    parser.add_argument("--slots", type=int, default=16)
    asked = parser.parse_args()
    for name in asked.rows:
        whole = ROWS[name]
        row = Row(max(1, whole.trials // asked.shorten), whole.reports, whole.seconds)
        for peer in asked.peers:
            if len(asked.rows) == len(asked.peers) == 1:
                print(json.dumps(measured(name, row, peer, asked.slots)), flush=True)
                continue
            one = [
                "--rows",
                name,
                "--peers",
                peer,
                "--shorten",
                asked.shorten,
                "--slots",
                asked.slots,
            ]
            subprocess.run([sys.executable, __file__, *map(str, one)], check=True)


def measured(name: str, row: Row, peer: str, slots: int) -> dict[str, Any]:
    """Return what a row took: the clock, the driver's processor time, and the least that it could."""
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    with tempfile.TemporaryDirectory(prefix="scale-") as place, running_ray(slots):
        began, used = time.perf_counter(), time.process_time()
        waited = CONTESTANTS[peer](row, Path(place))
        took, used = time.perf_counter() - began, time.process_time() - used
    least = row.least(slots)
    figures = {"seconds": round(took, 1), "least": round(least, 1), "ratio": round(took / least, 2)}
    reports = {"driver_ms_a_report": round(1000 * used / (row.trials * row.reports), 2)}
    return {
        "row": name,
        "trials": row.trials,
        "slots": slots,
        "peer": peer,
        **figures,
        **reports,
        **waited,
    }


if __name__ == "__main__":
    main()
