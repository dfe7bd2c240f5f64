"""Ours, as its user runs it: an experiment file and `orchestrator run`.

Beside the common figures, from the run's own records: what each worker's memory was at the 64th and
at the 256th ended trial, and the share of the workers' wall time spent inside compiled epochs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import peer
from cases import ROOT, SEED

MEMORY_AT = (64, 256)


def experiment(task: peer.Task) -> dict[str, Any]:
    """Return the experiment file's content."""
    return {
        "name": "bench",
        "model": task.case.model,
        "data": task.case.data,
        "search_space": task.case.document(),
        "strategy": "caviar",
        "metric": "val_accuracy",
        "mode": "max",
        "epochs": task.epochs,
        "seed": SEED,
        "caviar": {
            "num_samples": task.trials,
            "max_concurrent_trials": task.concurrent,
            "scheduler": {"asha": {"grace_period": 1, "reduction_factor": 3}},
        },
        "storage_path": str(task.folder / "runs"),
    }


def search(task: peer.Task) -> peer.Outcome:
    """Run the command line on the file and read the records it left."""
    file = task.folder / "experiment.yaml"
    file.write_text(json.dumps(experiment(task), indent=2), encoding="utf-8")  # JSON is YAML
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(file)],
        check=True,
        # Programs that an earlier run has traced would flatter this one.
        env={"ORCHESTRATOR_PROGRAMS": str(task.folder / "programs")}
        | os.environ
        | {"PYTHONPATH": path, "CI": "1"},
    )
    wall_seconds = time.perf_counter() - start
    run = task.folder / "runs" / "bench"
    trials, epochs = lines(run / "trials.jsonl"), lines(run / "epochs.jsonl")
    ended = [line for line in trials if line["event"] == "ended"]
    return peer.Outcome(
        trials=sum(line["status"] in ("finished", "stopped") for line in ended),
        epochs=len(epochs),
        best_val_accuracy=best(line["metrics"]["val_accuracy"] for line in epochs),
        notes={
            "statuses": {s: [e["status"] for e in ended].count(s) for s in statuses(ended)},
            "paths": sorted({str(line.get("path")) for line in ended}),
            "compiled_share": compiled_share(epochs, task.concurrent, wall_seconds),
            "worker_rss_mb": worker_memory(ended),
        },
    )


def lines(path: Path) -> list[dict[str, Any]]:
    """Return a JSON-lines record."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def statuses(ended: Sequence[dict[str, Any]]) -> list[str]:
    """Return the statuses that occur, sorted."""
    return sorted({line["status"] for line in ended})


def best(values: Iterable[Any]) -> float:
    """Return the largest finite value; records write a NaN as the string "NaN"."""
    return max(value for value in map(float, values) if value < float("inf"))


def compiled_share(epochs: Sequence[dict[str, Any]], workers: int, wall_seconds: float) -> float:
    """Return the seconds of all epochs over workers x wall: 1 would be the machine's limit."""
    return round(sum(line["seconds"] for line in epochs) / (workers * wall_seconds), 4)


def worker_memory(ended: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return, for trial 64 and 256, each worker's resident memory as last recorded by then."""
    memory: dict[str, dict[str, float]] = {}
    for mark in MEMORY_AT:
        if len(ended) < mark:
            continue
        seen = [line for line in ended[:mark] if line.get("rss_mb") is not None]
        memory[str(mark)] = {str(line.get("worker")): line["rss_mb"] for line in seen}
    return memory


if __name__ == "__main__":
    peer.main(search, concurrent=2)
