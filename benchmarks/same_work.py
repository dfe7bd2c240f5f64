"""`make bench-same`: the same trials, whole, by a run of ours and by a loop of Keras's `fit`, as objectives have it.

    python benchmarks/same_work.py [--case mnist5k-cnn] [--trials 16] [--epochs 3]

No scheduler and no race, so nobody's choice of trials counts. Ours has two workers of one thread, with programs traced
anew; the loop is one process of two threads, and trains what ours has drawn. Imports and starts are in both.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cases import CASES, ROOT, Case, compiled_model, limit_threads, read_split, write_split

TOLD = "trained"


def ours(case: Case, trials: int, epochs: int, folder: Path) -> list[dict[str, Any]]:
    """Run the command; return what it has drawn."""
    caviar = {"num_samples": trials, "max_concurrent_trials": 2, "scheduler": "none"}
    document = {
        "name": "same",
        "data": case.data,
        "model": case.model,
        "search_space": case.document(),
        "epochs": epochs,
        "caviar": caviar | {"finalists": False},
        "storage_path": str(folder),
    }
    file = folder / "same.json"
    file.write_text(json.dumps(document), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", str(file)],
        check=True,
        cwd=ROOT,
        env={**os.environ, "ORCHESTRATOR_PROGRAMS": str(folder / "programs"), "CI": "1"},
        stdout=subprocess.DEVNULL,
    )
    lines = (folder / "same" / "trials.jsonl").read_text(encoding="utf-8").splitlines()
    started = (line for line in map(json.loads, lines) if line["event"] == "started")
    return [line["hyperparameters"] for line in started]


def by_fit(case: Case, epochs: int, split: Path, drawn: list[dict[str, Any]]) -> None:
    """Train them one after another in this process."""
    limit_threads(2)
    import keras

    data = read_split(split)
    for hp in drawn:
        keras.utils.clear_session()
        model = compiled_model(case, hp | {"one_minus_momentum": 1 - hp["momentum"]}, data)
        model.fit(
            data["x_train"],
            data["y_train"],
            batch_size=hp["batch_size"],
            epochs=epochs,
            verbose=0,
            validation_data=(data["x_validation"], data["y_validation"]),
        )


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--case", choices=CASES, default="mnist5k-cnn")
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument(f"--{TOLD}", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    case = CASES[asked.case]
    if asked.trained:
        by_fit(case, asked.epochs, Path(asked.trained), json.load(sys.stdin))
        return
    with tempfile.TemporaryDirectory(prefix="same-") as folder:
        split = write_split(case, Path(folder) / "split.npz")
        began = time.perf_counter()
        drawn = ours(case, asked.trials, asked.epochs, Path(folder))
        took = time.perf_counter() - began
        command = [sys.executable, __file__, "--case", asked.case, "--epochs", str(asked.epochs)]
        began = time.perf_counter()
        subprocess.run(
            [*command, f"--{TOLD}", str(split)], check=True, input=json.dumps(drawn), text=True
        )
        fitted = time.perf_counter() - began
    work = {"case": asked.case, "trials": len(drawn), "epochs": asked.epochs}
    seconds = {"ours": round(took, 1), "fit": round(fitted, 1), "ratio": round(fitted / took, 2)}
    print(json.dumps(work | seconds))


if __name__ == "__main__":
    main()
