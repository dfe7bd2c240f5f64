"""Choose good first points of the mlp space from the recorded tables, and write search_spaces/points/mlp.yaml.

Greedy cover: one point after another, each the one that most raises the mean over tasks of the best rank that the
points so far have. A task is a table, a budget in epochs and a draw of the validation rows: ranks are those of values
with the standard error of so many rows, so that the list does not end with the one configuration that was luckiest.

    python benchmarks/first_points.py [--points 5] [--write]
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import search_tables

TARGET = Path(__file__).parents[1] / "search_spaces" / "points" / "mlp.yaml"
BUDGETS = (3, 9, 27)
DRAWS = 50
ROWS = {"digits": 360, "mnist5k": 1_000}
"""How many validation rows a table's accuracies are of."""
NAMES = ("learning_rate", "momentum", "batch_size", "units", "hidden_layers", "learning_rate_decay")
HEAD = """\
# First points of the space mlp: known configurations, the best first. caviar.points: none leaves them out.
# Chosen by benchmarks/first_points.py from curves recorded on {tables}.
"""


def accuracies(table: str) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return a table's configurations, and their best accuracies, budgets x configurations."""
    columns = pq.read_table(search_tables.shipped()[table]).to_pydict()
    best: dict[str, list[float]] = {}
    values: dict[str, dict[str, Any]] = {}
    for row, config in enumerate(columns["config"]):
        values.setdefault(config, {name: columns[name][row] for name in NAMES})
        reached = best.setdefault(config, [0.0] * len(BUDGETS))
        for place, budget in enumerate(BUDGETS):
            if columns["epoch"][row] <= budget:
                reached[place] = max(reached[place], columns["val_accuracy"][row] or 0.0)
    return list(values.values()), np.array(list(best.values())).T


def ranks(table: str) -> np.ndarray:
    """Return the rank of each configuration, 0 the worst and 1 the best, in each of a table's tasks."""
    best = accuracies(table)[1]
    error = np.sqrt(best * (1 - best) / ROWS[table])
    noise = np.random.default_rng(0).normal(size=(DRAWS, *best.shape))
    values = (best + error * noise).reshape(-1, best.shape[1])
    return np.asarray(values.argsort(axis=1).argsort(axis=1) / (best.shape[1] - 1))


def chosen(tables: Sequence[str], points: int = 5) -> list[dict[str, Any]]:
    """Return the configurations that cover the tasks of these tables best, the best first."""
    configurations = accuracies(tables[0])[0]
    of_all = np.concatenate([ranks(table) for table in tables])
    covered = np.zeros(len(of_all))
    found: list[dict[str, Any]] = []
    for _ in range(points):
        gains = np.maximum(of_all, covered[:, None]).mean(axis=0)
        place = int(gains.argmax())
        covered = np.maximum(covered, of_all[:, place])
        found.append(rounded(configurations[place]))
    return found


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration as one would write it: two digits of α and of 1-β."""
    rate = float(f"{values['learning_rate']:.2g}")
    momentum = round(1 - float(f"{1 - values['momentum']:.2g}"), 8)
    return {**values, "learning_rate": rate, "momentum": momentum}


def main(arguments: argparse.Namespace) -> None:
    """Choose, print, write."""
    tables = list(search_tables.shipped())
    found = chosen(tables, arguments.points)
    lines = [
        "- {" + ", ".join(f"{name}: {value:g}" for name, value in point.items()) + "}\n"
        for point in found
    ]
    text = HEAD.format(tables=" and ".join(tables)) + "".join(lines)
    print(text)
    if arguments.write:
        TARGET.write_text(text)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--points", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main(_parsed())
