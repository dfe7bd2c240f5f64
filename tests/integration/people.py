"""Somebody at another terminal, and what the machine does meanwhile."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil

from orchestrator.experiment import open_run

MAIN = "00000"
FAR_OFF = {
    "learning_rate": 40.0, "momentum": 0.0, "activation": "tanh", "hidden_layers": 1, "units": 16,
    "batch_size": 64,
}  # fmt: skip


def experiment(storage: Path, name: str, panda: dict, **keys) -> dict:
    options = {"start": FAR_OFF | panda.pop("start", {}), "day": "2 epochs"} | panda
    return {"name": name, "model": "mlp", "data": "digits", "strategy": "panda", "seed": 3,
            "storage_path": str(storage), "panda": options} | keys  # fmt: skip


def until(condition, seconds=900.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


class Person(threading.Thread):
    """Somebody at another terminal: opens the run when it trains and asks for things."""

    def __init__(self, path: Path, asks) -> None:
        super().__init__(daemon=True)
        self.path, self.asks, self.done = path, asks, False

    def run(self) -> None:
        records, done = self.path / "trials.jsonl", False
        try:
            until(lambda: records.exists() and open_run(self.path).records.trials)
            self.asks(open_run(self.path))
            done = True
        finally:
            self.done = done
            if not done:
                open_run(self.path).stop()


def paused(run, epoch):
    """Wait until a run waits after that many epochs."""

    def is_so():
        entries = run.reload().records.of(MAIN).journal
        pauses = [e for e in entries if e["kind"] == "applied" and e["action"] == "pause"]
        return any(entry["epoch"] == epoch for entry in pauses)

    until(is_so)


def workers() -> list[psutil.Process]:
    """The processes below this one that Ray trains in, once there is one: it names and starts them in its own time."""
    until(_workers)
    return _workers()


def _workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [process] if process.name().startswith("ray::ResourceTrainable") else []
    return found


def cpu_seconds(seconds: float) -> float:
    """How much CPU this process and the workers take in so much time."""
    watched = [psutil.Process(), *workers()]
    before = {p: sum(p.cpu_times()[:2]) for p in watched}
    time.sleep(seconds)
    return sum(sum(p.cpu_times()[:2]) - before[p] for p in watched if p.is_running())


def entries(run, trial=MAIN, **facts):
    found = run.records.of(trial).journal
    return [e for e in found if all(e.get(name) == value for name, value in facts.items())]


def begin(*words: str) -> subprocess.Popen:
    """The command line in a process of its own, with a cluster of its own."""
    command = [sys.executable, "-m", "orchestrator", *words]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=os.environ | {"RAY_ADDRESS": ""}, **quiet)
