"""Records the learning curves in benchmarks/tables: 300 configurations of the mlp space, 27 epochs each.

A run that was cut off goes on; one that is finished is only exported again.

    python benchmarks/record_tables.py [--storage runs/tables] [--data digits,mnist5k] [--trials 300]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

import orchestrator

FOLDER = Path(__file__).parent / "tables"
TRIALS = 300
EPOCHS = 27
KEPT = ("epoch", "val_loss", "val_accuracy", "seconds", "parameters")
STRUCTURE = ("batch_size", "units", "hidden_layers")
"""What the length of an epoch depends on."""


def record(data: str, storage: Path, trials: int) -> orchestrator.Run:
    """Return the finished run of a data set, with what is missing of it trained."""
    return orchestrator.run(
        name=data,
        model="mlp",
        data=data,
        search_space="mlp",
        metric="val_accuracy",
        epochs=EPOCHS,
        seed=0,
        caviar={"num_samples": trials, "scheduler": "none", "points": "none"},
        storage_path=str(storage),
        executor="inline",
        or_resume=True,
    )


def curves(run: orchestrator.Run) -> pd.DataFrame:
    """Return a run's curves without what is the same for all, and with the seconds of an undisturbed epoch.

    Of the trials of one batch size, units and layers each has the shortest epoch that any of them had: what else the
    machine did meanwhile is no property of a configuration.
    """
    over = {trial.trial for trial in run.records.trials if trial.is_over}
    frame = run.curves()
    frame = frame[frame.config.isin(over)]
    constant = [name for name in frame if name not in KEPT and frame[name].nunique() == 1]
    frame = frame.drop(columns=[*constant, "loss", "accuracy"])
    later = frame[frame.epoch > 1]  # the first of a structure compiles its program
    shortest = later.groupby(list(STRUCTURE)).seconds.min().rename("shortest")
    joined = frame.join(shortest, on=list(STRUCTURE))
    return frame.assign(seconds=joined.shortest.round(5))


def main(arguments: argparse.Namespace) -> None:
    """Record and write."""
    FOLDER.mkdir(exist_ok=True)
    for data in arguments.data.split(","):
        run = record(data, arguments.storage, arguments.trials)
        frame = curves(run)
        file = FOLDER / f"{data}.parquet"
        frame.to_parquet(file, index=False, compression="zstd")
        print(
            f"wrote {file}: {frame.config.nunique()} configurations, {file.stat().st_size:,} bytes"
        )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--storage", type=Path, default=Path("runs/tables"))
    parser.add_argument("--data", default="digits,mnist5k")
    parser.add_argument("--trials", type=int, default=TRIALS)
    return parser.parse_args()


if __name__ == "__main__":
    main(_parsed())
