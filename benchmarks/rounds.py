"""Rounds against one round of the same budget, on surfaces whose optimum is known: ``python -m benchmarks.rounds``.

Each surface gives the share of the best possible accuracy for a point of the space; a trial's curve rises to it with
noise from epoch to epoch. Reported is the median and mean regret of the best trial, over seeds.
"""

from __future__ import annotations

import argparse
import functools
import math
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import benchmarks.search_tables as tables
from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import Plan, TrialSpec, make_plan
from orchestrator.simulation import Costs, Curve, Simulator, curves_between

EPOCHS = 27
NOISE = 0.01
SPACE = {
    "learning_rate": "loguniform(1e-4, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "batch_size": "choice([32, 64, 128, 256])",
    "units": "log_integer(16, 256)",
    "dropout": "uniform(0, 0.5)",
    "learning_rate_decay": "choice([0.0, 0.01, 0.1])",
}
Point = Mapping[str, float]
Surface = Callable[[Point], float]


def places(space: Space, hyperparameters: Mapping[str, Any]) -> dict[str, float]:
    """Return where a trial lies on the scales of the original space, beyond its ends too."""
    place = {
        "learning_rate": (math.log10(hyperparameters["learning_rate"]) + 4) / 4,
        "momentum": (-math.log10(1 - hyperparameters["momentum"]) - 1) / 2,
        "dropout": hyperparameters["dropout"] / 0.5,
        "units": math.log2(hyperparameters["units"] / 16) / 4,
        "batch_size": math.log2(hyperparameters["batch_size"] / 32) / 3,
    }
    return place


def hill(point: Point, centre: Point, widths: Mapping[str, float]) -> float:
    """Return a bell around a centre."""
    return math.exp(-sum(((point[n] - c) / widths[n]) ** 2 for n, c in centre.items()))


ONE = {"learning_rate": 0.25, "momentum": 0.6, "units": 0.8, "dropout": 1.5}
INNER = {"learning_rate": 0.6, "momentum": 0.5, "units": 0.6, "dropout": 0.4}


def inside(point: Point) -> float:
    """Have the optimum inside."""
    return 0.95 * hill(point, INNER, ONE)


def at_an_edge(point: Point) -> float:
    """Have the optimum at the upper end of the learning rate."""
    return 0.95 * hill(point, {**INNER, "learning_rate": 1.0}, ONE)


def beyond(point: Point) -> float:
    """Have the optimum below the lower end of the learning rate, by half a decade."""
    return 0.95 * hill(point, {**INNER, "learning_rate": -0.125}, ONE)


def in_a_corner(point: Point) -> float:
    """Have the optimum in a corner."""
    corner = {"learning_rate": 0.0, "momentum": 1.0, "units": 1.0, "dropout": 0.0}
    return 0.95 * hill(point, corner, ONE)


def diagonal(point: Point) -> float:
    """Have the optimum on the diagonal of α/(1-β): decades of α, those of 1/(1-β), and their sum."""
    along = 4 * point["learning_rate"] + 2 * point["momentum"]
    wide = hill(point, {"units": 0.6, "dropout": 0.4}, ONE)
    return 0.95 * wide * math.exp(-(((along - 3.2) / 0.6) ** 2))


def two_modes(point: Point) -> float:
    """Have two optima, the better one narrow."""
    wide = 0.85 * hill(
        point, {"learning_rate": 0.3, "momentum": 0.5}, {**ONE, "learning_rate": 0.3}
    )
    narrow = 0.95 * hill(
        point, {"learning_rate": 0.85, "momentum": 0.8}, {"learning_rate": 0.06, "momentum": 0.25}
    )
    return max(wide, narrow)


def no_signal(point: Point) -> float:
    """Have the noise alone decide."""
    return 0.5


SURFACES: dict[str, Surface] = {
    each.__name__: each
    for each in (inside, at_an_edge, beyond, in_a_corner, diagonal, two_modes, no_signal)
}


class OnSurface:
    """A trial's curve from a surface; the noise of a trial is that of its seed."""

    repeated = 0

    def __init__(self, surface: Surface, space: Space) -> None:
        self._surface = surface
        self._space = space

    def by_chance(self, index: int, seed: int, space: Space) -> TrialSpec | None:
        """Return None: what is left to chance is drawn."""
        return None

    def spec(self, proposed: TrialSpec) -> TrialSpec:
        """Return a trial as it was proposed."""
        return proposed

    def of(self, spec: TrialSpec) -> Curve:
        """Return its curve."""
        noise = np.random.default_rng([spec.seed, zlib.crc32(b"noise")])
        top = (
            self._surface(places(self._space, spec.hyperparameters))
            + NOISE * noise.standard_normal()
        )
        epochs = np.arange(1, EPOCHS + 1)
        speed = 0.15 + 0.35 * noise.random()
        values = top * (1 - np.exp(-speed * epochs)) + NOISE / 2 * noise.standard_normal(EPOCHS)
        return Curve(spec.trial, spec.hyperparameters, {"score": values}, np.ones(EPOCHS))


def plan_of(name: str, trials: int, rounds: Any, scheduler: Any = "asha") -> Plan:
    """Return the plan of a search in rounds, on a surface or a table."""
    is_table = name in tables.names()
    space = tables.space() if is_table else Space.parse(SPACE)
    experiment = parse_experiment(
        {
            "name": "rounds",
            "trial": "./nothing.py:train",
            "search_space": space.to_document(),
            "metric": tables.METRIC if is_table else "score",
            "mode": "max",
            "epochs": EPOCHS,
            "caviar": {"num_samples": trials, "rounds": rounds, "scheduler": scheduler},
        }
    )
    return make_plan(experiment, space)


def regrets(name: str, plan: Plan, seeds: Sequence[int], workers: int) -> Iterator[float]:
    """Yield the regret of the best trial for each seed: by the surface itself, or the table's best value."""
    for seed in seeds:
        seeded = replace(plan, seed=seed)
        if name in SURFACES:
            yield _on_surface(SURFACES[name], seeded, workers)
            continue
        table = _table(name)
        best = max(each.best(plan.metric, plan.mode, EPOCHS) or 0.0 for each in table.curves)
        run = Simulator(seeded, curves_between("rows", table, plan.space), Costs(workers)).run()
        yield best - run.best[-1]


_table = functools.cache(tables.table)


def _on_surface(surface: Surface, plan: Plan, workers: int) -> float:
    run = Simulator(plan, OnSurface(surface, plan.space), Costs(workers)).run()
    best = max(run.trials, key=lambda trial: -1 if trial.best is None else trial.best)
    return 0.95 - surface(places(plan.space, best.hyperparameters))


@dataclass(frozen=True)
class Compared:
    """Two searches on the same seeds: mean regrets, their difference and its standard error."""

    one: float
    rounds: float
    difference: float
    error: float


def compared(
    name: str, plans: tuple[Plan, Plan], seeds: Sequence[int], workers: int = 2
) -> Compared:
    """Return how rounds do against one round on a surface."""
    one, rounds = (np.array(list(regrets(name, plan, seeds, workers))) for plan in plans)
    apart = rounds - one
    error = float(apart.std(ddof=1) / math.sqrt(len(apart)))
    return Compared(float(one.mean()), float(rounds.mean()), float(apart.mean()), error)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--trials", type=int, nargs="+", default=[64])
    parser.add_argument("--rounds", nargs="+", default=["3"])
    parser.add_argument("--scheduler", default="asha")
    parser.add_argument("--surfaces", nargs="+", default=[*SURFACES, *tables.names()])
    asked = parser.parse_args()
    for trials in asked.trials:
        for number in asked.rounds:
            rounds = int(number) if number.isdigit() else number
            print(
                f"{trials} trials, {number} rounds, {asked.scheduler}: mean regret one, rounds, difference"
            )
            for name in asked.surfaces:
                plans = (
                    plan_of(name, trials, 1, asked.scheduler),
                    plan_of(name, trials, rounds, asked.scheduler),
                )
                found = compared(name, plans, range(asked.seeds))
                verdict = "worse" if found.difference > 2 * found.error else ""
                verdict = "better" if found.difference < -2 * found.error else verdict
                print(
                    f"  {name:12} {found.one:.4f} {found.rounds:.4f} {found.difference:+.4f}"
                    f" ± {found.error:.4f} {verdict}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
