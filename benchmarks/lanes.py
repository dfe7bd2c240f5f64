"""Lanes of one JAX program against the same trials one at a time: ``make bench-lanes``; no Ray, no TensorFlow.

With ``--rates 3`` so many learning rates that a panda's sitter tries, instead of trials.

Each size is one process of JAX. An epoch is trained twice before it is timed, so that compiling is told apart. What is
timed is what an executor waits for: reports of whole epochs, best states written, records aside. Needs the packages
numpy, scipy, scikit-learn, pandas, pyarrow, pydantic, pyyaml, psutil, keras and jax alone.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"
sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np

from orchestrator.catalog import CallableReference, find_data
from orchestrator.config import DataOptions, Duration, SitterOptions
from orchestrator.data import load_dataset
from orchestrator.search import Nursery, TrialSpec
from orchestrator.training.keras_setup import KerasSettings
from orchestrator.training.task import TrainingTask
from orchestrator.training.workbench import KerasJob
from orchestrator.trials import Progress
from orchestrator.trials.judging import Objective
from orchestrator.tuning.trial_runner import TrialRunner

WARM_EPOCHS = 2
NURSERY = Nursery(Duration(1, "epoch"), 30, SitterOptions(), False, None)


def main() -> None:
    """Print a table: seconds an epoch of all lanes, of one, and how many times the trials an hour that is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mlp", "cnn"])
    parser.add_argument("--lanes", nargs="+", type=int, default=[1, 4, 16, 64])
    parser.add_argument("--epochs", type=int, default=10, help="how many are timed")
    parser.add_argument("--data", default="digits")
    parser.add_argument("--rates", type=int, help="how many learning rates a panda tries at once")
    asked = parser.parse_args()
    import jax

    print(
        f"{jax.devices()[0].device_kind}, jax {jax.__version__}, {asked.data}, {asked.epochs} epochs"
    )
    if asked.rates:
        for model in asked.models:
            show_rates(model, asked.data, asked.rates, asked.epochs)
        return
    print("model  lanes  compile s  epoch s  cpu s  trial-epochs/s  against one at a time")
    for model in asked.models:
        alone = measured(model, asked.data, 1, asked.epochs, side_by_side=False)
        show(model, "fit", alone, alone["rate"])
        found = {}
        for lanes in asked.lanes:
            found[lanes] = measured(model, asked.data, lanes, asked.epochs)
            show(model, str(lanes), found[lanes], alone["rate"])
        few, many = (found[pick(found)] for pick in (min, max))
        print(
            f"{model}: {max(found)} lanes take {many['epoch'] / few['epoch']:.2f}x the time of {min(found)}, and train"
            f" {many['rate'] / alone['rate']:.1f}x the trials an hour of one at a time",
            flush=True,
        )


def show_rates(model: str, data: str, rates: int, epochs: int) -> None:
    """Print what it takes to try several learning rates for some epochs, one after another and side by side."""
    with_what = {"fit": None, "one lane": 1, f"{rates} lanes": rates}
    for name, lanes in with_what.items():
        with tempfile.TemporaryDirectory() as folder:
            job = job_of(task_of(model, data, 2 * epochs), lanes, Path(folder), NURSERY)
            session: Any = job.open().session(trials(1)[0])
            session.begin(Progress())
            values = [{"learning_rate": 0.01 * 2**at} for at in range(rates)]
            first = spent(lambda: session.panda.model.tried(values, 1))  # noqa: B023
            again = spent(lambda: session.panda.model.tried(values, 1))  # noqa: B023
            longer = spent(lambda: session.panda.model.tried(values, epochs))  # noqa: B023
        each = [(longer[at] - again[at]) / (epochs - 1) / rates for at in (0, 1)]
        print(
            f"{model}, {rates} rates, {name}: the first try of an epoch each {first[0]:.2f} s ({first[1]:.2f} s of the"
            f" processor), a further one {again[0]:.2f} ({again[1]:.2f}); an epoch of one rate {each[0] * 1000:.1f} ms"
            f" ({each[1] * 1000:.1f})",
            flush=True,
        )


def spent(action: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds that something takes by the clock and of the processor."""
    began, cpu = time.perf_counter(), time.process_time()
    action()
    return time.perf_counter() - began, time.process_time() - cpu


def show(model: str, lanes: str, found: dict[str, float], alone: float) -> None:
    """Print a row."""
    print(
        f"{model:5}  {lanes:>5}  {found['begin']:9.2f}  {found['epoch']:7.4f}  {found['cpu']:5.3f}"
        f"  {found['rate']:14.1f}  {found['rate'] / alone:10.2f}",
        flush=True,
    )


def measured(
    model: str, data: str, lanes: int, epochs: int, side_by_side: bool = True
) -> dict[str, float]:
    """Return the seconds to the end of the warm epochs, and of an epoch of all trials after them."""
    with tempfile.TemporaryDirectory() as folder:
        beside = lanes if side_by_side else None
        job = job_of(task_of(model, data, WARM_EPOCHS + epochs), beside, Path(folder))
        runner = TrialRunner(job, lanes)
        began, cpu = time.perf_counter(), time.process_time()
        for spec in trials(lanes):
            runner.take(spec)
        train(runner, WARM_EPOCHS)
        warm_at, cpu_at = time.perf_counter(), time.process_time()
        train(runner, WARM_EPOCHS + epochs)
        seconds, used = time.perf_counter() - warm_at, time.process_time() - cpu_at
    return {
        "begin": warm_at - began,
        "begin_cpu": cpu_at - cpu,
        "epoch": seconds / epochs,
        "cpu": used / epochs,
        "rate": lanes * epochs / seconds,
    }


def task_of(model: str, data: str, epochs: int) -> TrainingTask:
    """Return what is learned."""
    options = DataOptions(source=data).for_model(True)
    dataset = load_dataset(find_data(data, Path()), options, 0, "auto")
    return TrainingTask(CallableReference("bundled", model, "build", model), dataset, epochs)


def job_of(task: TrainingTask, lanes: int | None, folder: Path, nursery: Any = None) -> KerasJob:
    """Return what a worker is given."""
    objective = Objective("val_accuracy", "max", frozenset({WARM_EPOCHS}), folder / "checkpoints")
    keras = KerasSettings(backend="jax")
    return KerasJob(task, objective, os.cpu_count() or 1, nursery, keras, lanes=lanes)


def train(runner: TrialRunner, until: int) -> None:
    """Train all trials to an epoch."""
    at = dict.fromkeys(runner.trials, 0)
    while min(at.values()) < until:
        for report in runner.step():
            if report.failure:
                raise SystemExit(report.failure.whole)
            at[report.trial] = report.progress.epoch


def trials(count: int) -> list[TrialSpec]:
    """Return trials of one structure, which differ in what a lane has of its own."""
    rng = np.random.default_rng(0)
    return [TrialSpec(f"{at:05d}", at, at, _drawn(rng)) for at in range(count)]


def _drawn(rng: np.random.Generator) -> dict[str, Any]:
    return {
        "learning_rate": float(10 ** rng.uniform(-2.5, -1)),
        "momentum": float(rng.uniform(0.5, 0.95)),
        "dropout": float(rng.uniform(0.1, 0.4)),
        "label_smoothing": float(rng.uniform(0.01, 0.1)),
        "weight_decay": float(10 ** rng.uniform(-5, -3)),
        "batch_size": 64,
    }


if __name__ == "__main__":
    main()
