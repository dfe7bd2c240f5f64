"""`make bench-panda`: the sitter against ReduceLROnPlateau and EarlyStopping, from good and bad α.

    python benchmarks/panda.py [--quick] [--seeds N]

One process, one model, no Ray: a contestant is who decides about α and about stopping. Prints the
table and the bars; writes `benchmarks/results/<date>-panda.json` and `.md`. A missed bar is told in
the table, and exits 0.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import panda_contest as contest
import panda_live as live
import panda_table as told
from run import FOLDER, machine

GRID = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
GRID_SEEDS = (1000, 1001, 1002)  # none of the contest's
TOO_LARGE = 100.0
TOO_SMALL = 1e-3  # a hundredth of the good α still gets to 95 % by itself within these epochs


def main() -> None:
    """Run what the command line asks for."""
    arguments = parse()
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d-%H%M%S")
    start = time.perf_counter()
    report: dict[str, Any] = {"date": stamp, "machine": machine(), "settings": settings()}
    nursing = contest.Nursing()
    report["grid"] = grid(nursing, GRID_SEEDS[: 1 if arguments.quick else None])
    report["starts"] = starts(report["grid"], nursing.data.validation.rows)
    say(f"starts: {report['starts']}")
    report["live"] = live.live_cost(nursing.trainer, *((3, 5) if arguments.quick else (20, 10)))
    seeds = range(arguments.seeds)
    report["reference"] = reference(nursing, report["starts"]["good"], seeds)
    report["rows"] = rows(nursing, report["starts"], report["reference"], seeds)
    report["table"] = told.summaries(report["rows"], report["reference"])
    report["seconds"] = round(time.perf_counter() - start, 1)
    page = markdown(report)
    write(report, page, arguments.results)
    print(page)


def parse() -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(description="Measure the sitter against Keras's callbacks.")
    parser.add_argument("--quick", action="store_true", help="2 seeds, a shorter grid")
    parser.add_argument("--seeds", type=int, metavar="N", help="10, or 2 if quick")
    parser.add_argument("--results", type=Path, default=FOLDER / "results", metavar="FOLDER")
    arguments = parser.parse_args()
    if arguments.seeds is None:
        arguments.seeds = 2 if arguments.quick else 10
    return arguments


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def settings() -> dict[str, Any]:
    """Return what all contestants share, and how the callbacks are set."""
    return {
        "data": "mnist5k",
        "model": "mlp",
        "hyperparameters": contest.HYPERPARAMETERS,
        "epochs": contest.EPOCHS,
        "ReduceLROnPlateau": {"factor": contest.FACTOR, "patience": contest.PATIENCE},
        "EarlyStopping": {"patience": contest.STOPPING_PATIENCE, "restore_best_weights": True},
        "sitter": {"mode": "act", "day": "1 epoch"},
    }


def grid(nursing: contest.Nursing, seeds: Sequence[int]) -> dict[str, float]:
    """Return the mean best validation accuracy of each α, held constant to the end."""
    return {
        f"{alpha:g}": statistics.mean(nursing.constant(alpha, seed).best for seed in seeds)
        for alpha in GRID
    }


def starts(means: dict[str, float], validation_rows: int) -> dict[str, float]:
    """Return the four α by name: the grid's best, its runner-up, and two far off.

    The runner-up is the α furthest from the best that is within one standard error of it; where there is none, the
    second best.
    """
    good = max(means, key=lambda alpha: means[alpha])
    best = means[good]
    error = math.sqrt(best * (1 - best) / validation_rows)
    others = [alpha for alpha in means if alpha != good]
    near = [alpha for alpha in others if means[alpha] >= best - error]
    fine = max(
        near or [max(others, key=lambda alpha: means[alpha])],
        key=lambda alpha: abs(math.log(float(alpha) / float(good))),
    )
    return {
        "good": float(good),
        "fine": float(fine),
        "too large": float(good) * TOO_LARGE,
        "too small": float(good) * TOO_SMALL,
    }


def reference(nursing: contest.Nursing, good: float, seeds: Sequence[int]) -> dict[str, float]:
    """Return the good α's medians over the contest's seeds, held constant for all epochs."""
    runs = [nursing.constant(good, seed) for seed in seeds]
    return {
        "test_accuracy": statistics.median([run.test_accuracy for run in runs]),
        "val_accuracy": statistics.median([run.best for run in runs]),
    }


def rows(
    nursing: contest.Nursing,
    starts: dict[str, float],
    reference: dict[str, float],
    seeds: Sequence[int],
) -> list[dict[str, Any]]:
    """Return every contestant's run from every start with every seed."""
    level = told.LEVELS[0] * reference["val_accuracy"]
    found = []
    for start, alpha in starts.items():
        for name, train in nursing.contestants.items():
            say(f"{start}, α {alpha:g}: {name} …")
            for seed in seeds:
                run = train(alpha, seed)
                about = {"start": start, "learning_rate": alpha, "contestant": name, "seed": seed}
                found.append({**about, **row(run, level)})
    return found


def row(run: contest.Run, level: float) -> dict[str, Any]:
    """Return a run as JSON has it; ``epochs_to_level`` is None where it never got there."""
    reached = run.epochs_to(level)
    return {
        "test_accuracy": round(run.test_accuracy, 4),
        "best_val_accuracy": round(run.best, 4),
        "epochs": round(run.epochs, 2),
        "epochs_to_level": round(reached, 2) if math.isfinite(reached) else None,
        "done": [f"epoch {epochs:.0f}, {text}" for epochs, text in run.done],
    }


def markdown(report: dict[str, Any]) -> str:
    """Return the page."""
    reference, seeds = report["reference"], len({row["seed"] for row in report["rows"]})
    facts = [f"- {name}: {value}" for name, value in report["machine"].items()]
    return "\n".join(
        [
            f"# The sitter against ReduceLROnPlateau and EarlyStopping, {report['date']} (UTC)",
            "",
            *facts,
            f"- seconds: {report['seconds']}",
            "",
            f"{seeds} seeds. Starts: "
            + ", ".join(f"{name} {alpha:g}" for name, alpha in report["starts"].items())
            + ".",
            "Grid (mean best validation accuracy at a constant α): "
            + ", ".join(f"{alpha}: {mean:.4f}" for alpha, mean in report["grid"].items())
            + ".",
            f"100 % is the good α's median test accuracy, {reference['test_accuracy']:.4f};"
            f" in validation {reference['val_accuracy']:.4f}.",
            "",
            *told.table(report["table"]),
            "",
            *LEGEND,
            "",
            "## Bars",
            "",
            *told.verdicts(report["rows"], report["table"]),
            "",
            "## A live change",
            "",
            *live.lines(report["live"]),
            "",
        ]
    )


LEGEND = (
    "95 %, 99 %: share of runs, in %, whose test accuracy is at that share of the good α's.",
    "to 95 %: median epochs until validation is at 95 % of the good α's; test: median; worst: minimum.",
    f"epochs: median of all epochs trained, of at most {contest.EPOCHS}: rolled back ones count, and so do the",
    "range test's 100 batches as a share of an epoch (`sitter, test`).",
    f"Keras: ReduceLROnPlateau(factor={contest.FACTOR}, patience={contest.PATIENCE}) and"
    f" EarlyStopping(patience={contest.STOPPING_PATIENCE},",
    "restore_best_weights=True), both on val_loss (`loss`) or both on val_accuracy (`acc`).",
)


def write(report: dict[str, Any], page: str, folder: Path) -> None:
    """Write the report as JSON and as Markdown; infinity, in JSON, is null."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{report['date']}-panda"
    table = [
        {
            **each,
            "epochs_to_level": each["epochs_to_level"]
            if math.isfinite(each["epochs_to_level"])
            else None,
        }
        for each in report["table"]
    ]
    text = json.dumps({**report, "table": table}, indent=2, allow_nan=False)
    stem.with_suffix(".json").write_text(text + "\n", encoding="utf-8")
    stem.with_suffix(".md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
