"""How soon searches come to good configurations, on recorded and made-up learning curves, in virtual time.

Ours by default, each of our searchers and schedulers, random, Ray's ASHA and Optuna with their defaults: the same
tables, the same mapping of proposals to rows, the same virtual clock.

    python benchmarks/search_quality.py [--quick] [--seeds 20] [--only default,ray] [--tables digits] [--output FILE]
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import first_points
import numpy as np
import search_peers
import search_tables

from orchestrator.config import parse_experiment
from orchestrator.schedulers import SCHEDULERS
from orchestrator.search import Plan, make_plan
from orchestrator.searchers import SEARCHERS
from orchestrator.simulation import Costs, CurveTable, Rows, Simulated, Simulator, Summary

SEEDS = 20
QUICK_SEEDS = 5
BUDGET = 60
"""The work that a search may use, in full trainings of an average configuration."""
MOMENTS = (1, 2, 3, 5, 8, 12, 20, 30, 45, 60)
"""When regret is looked at, in full trainings of work."""
START = 0.08
"""What a start and a resume take where they take anything, in full trainings: as measured on the digits."""
NOT_ALONE = {"grid"}
"""Searchers that have nothing to say about so large a space."""


@dataclass(frozen=True)
class Setting:
    """A table, how many workers, and what a start costs, in full trainings."""

    table: str
    workers: int
    start: float

    def __str__(self) -> str:
        workers = f"{self.workers} worker{'s' * (self.workers != 1)}"
        return f"{self.table}, {workers}, a start costs {self.start:g}"


@dataclass(frozen=True)
class Found:
    """How one contender fared in one setting; ``fault`` is why it could not be run."""

    contender: str
    setting: Setting
    summary: Summary | None
    full: float
    took: float
    fault: str = ""


Caviar = dict[str, Any]


def contenders() -> dict[str, Caviar | str]:
    """Return who is compared: keys of ``caviar``, or the name of another tuner; the default alone has first points."""
    found: dict[str, Caviar | str] = {
        "default": {},
        "random": {"searcher": "random", "scheduler": "none"},
        "random + asha": {"searcher": "random", "scheduler": "asha"},
        "ray": "ray",
        "optuna": "optuna",
        "optuna, no pruner": "optuna, no pruner",
    }
    for name in SEARCHERS:
        if name not in NOT_ALONE:
            found.setdefault(f"{name} + asha", {"searcher": name, "scheduler": "asha"})
    for name in SCHEDULERS:
        found.setdefault(f"random + {name}", {"searcher": "random", "scheduler": name})
    found["random + asha promote"] = {
        "searcher": "random",
        "scheduler": {"asha": {"promote": True}},
    }
    return found


@functools.cache
def points_for(table: str) -> tuple[dict[str, Any], ...]:
    """Return first points as the bundled space has them, chosen without the table that a search is judged on."""
    return tuple(first_points.chosen([name for name in search_tables.shipped() if name != table]))


def plan_of(caviar: Caviar, trials: int) -> Plan:
    """Return the plan of an experiment that is all defaults but for ``caviar``."""
    experiment = parse_experiment(
        {
            "name": "search-quality",
            "model": "mlp",
            "data": "digits",
            "search_space": "mlp",
            "metric": search_tables.METRIC,
            "epochs": search_tables.EPOCHS,
            "caviar": {"points": "none", **caviar, "num_samples": trials},
        }
    )
    return make_plan(experiment, search_tables.space())


@functools.cache
def table_of(name: str) -> tuple[CurveTable, float]:
    """Return a table and the seconds of a full training, on average."""
    table = search_tables.table(name)
    whole = [each.seconds.sum() for each in table.curves if each.ending is None]
    return table, float(np.mean(whole))


def simulated(who: Caviar | str, setting: Setting, seed: int) -> Simulated:
    """Return one simulated run."""
    table, full = table_of(setting.table)
    costs = Costs(setting.workers, setting.start * full, setting.start * full)
    until = BUDGET * full / setting.workers
    rows = Rows(table, search_tables.space())
    caviar = who if isinstance(who, dict) else {}
    if who == {}:
        caviar = {"points": list(points_for(setting.table))}
    plan = replace(plan_of(caviar, len(table)), seed=seed)
    np.random.seed(seed)  # Ray draws brackets from it
    if who == "ray":
        plan = replace(plan_of({"searcher": "random"}, len(table)), seed=seed)
        plan = replace(plan, scheduler=search_peers.RaysAsha())
    elif isinstance(who, str):
        search = search_peers.OptunaSearch(plan, rows, pruned=who == "optuna")
        return Simulator(plan, rows, costs, search).run(until)
    return Simulator(plan, rows, costs).run(until)


def measured(task: tuple[str, Setting, int]) -> Found:
    """Return how a contender fares in a setting."""
    name, setting, seeds = task
    table, full = table_of(setting.table)
    began = time.perf_counter()
    try:
        runs = tuple(simulated(contenders()[name], setting, seed) for seed in range(seeds))
    except Exception as error:
        return Found(name, setting, None, full, time.perf_counter() - began, repr(error))
    costs = Costs(setting.workers, setting.start * full, setting.start * full)
    summary = Summary(table, costs, runs, search_tables.EPOCHS)
    return Found(name, setting, summary, full, time.perf_counter() - began)


def settings(tables: Sequence[str], quick: bool) -> list[Setting]:
    """Return every setting; the quick ones are those of one worker and no cost, and of eight and the measured one."""
    pairs = [(1, 0.0), (8, START)] if quick else [(w, s) for w in (1, 8) for s in (0.0, START)]
    return [Setting(table, workers, start) for table in tables for workers, start in pairs]


def regret(found: Found) -> list[dict[str, float]]:
    """Return the mean distance to the table's best over time, with its bootstrap interval."""
    if found.summary is None:
        return []
    summary = found.summary
    best = summary.table.bests(summary.metric, summary.mode, summary.epochs_of_a_trial)[0]
    rows = []
    for moment in MOMENTS:
        at = moment * found.full / found.setting.workers
        values = np.array([abs(best - run.best_at(at)) for run in summary.runs])
        known = values[np.isfinite(values)]
        if len(known):
            low, high = _interval_of_mean(known)
            mean = float(known.mean())
            rows.append({"trainings": moment, "regret": mean, "low": low, "high": high})
    return rows


def _interval_of_mean(values: np.ndarray) -> tuple[float, float]:
    generator = np.random.default_rng(0)
    means = values[generator.integers(len(values), size=(1_000, len(values)))].mean(axis=1)
    return float(np.quantile(means, 0.025)), float(np.quantile(means, 0.975))


def lines(found: Sequence[Found], setting: Setting) -> Iterator[str]:
    """Yield a setting's table as Markdown; times are full trainings of one worker, all workers' work together."""
    yield f"\n**{setting}**\n"
    yield "| search | 95th percentile | reached | 99th percentile | reached | regret at 12 | in the end |"
    yield "|---|---|---|---|---|---|---|"
    for each in found:
        if each.setting != setting:
            continue
        if each.summary is None:
            yield f"| {each.contender} | failed: {each.fault} | | | | | |"
            continue
        cells = []
        for target in each.summary.targets():
            unit = each.full / setting.workers
            seconds = target.seconds
            cells += [
                f"{_number(seconds.median / unit)} ({_number(seconds.low / unit)} to {_number(seconds.high / unit)})",
                f"{target.reached / target.runs:.2f}",
            ]
        over_time = {row["trainings"]: row["regret"] for row in regret(each)}
        cells += [f"{over_time.get(12, math.nan):.4f}", f"{over_time.get(BUDGET, math.nan):.4f}"]
        yield f"| {each.contender} | {' | '.join(cells)} |"


def _number(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.3g}"


BARS = (("ray", 0.5), ("optuna", 0.8), ("random + asha", 1.1))
"""The default's median time to the 99th percentile is at most so many times that of each of these."""


def bars(found: Sequence[Found]) -> Iterator[str]:
    """Yield, for each bar, the ratio in each setting, and whether it is met."""
    medians = {
        (each.contender, each.setting): each.summary.targets()[1].seconds.median
        for each in found
        if each.summary is not None
    }
    for other, allowed in BARS:
        ratios = {
            setting: _ratio(medians[name, setting], medians[other, setting])
            for name, setting in medians
            if name == "default" and (other, setting) in medians
        }
        if not ratios:
            continue
        met = sum(ratio <= allowed for ratio in ratios.values())
        known = [ratio for ratio in ratios.values() if 0 < ratio < math.inf]
        mean = math.exp(float(np.mean(np.log(known)))) if known else math.nan
        yield (
            f"\ndefault / {other}, at most {allowed}: met in {met} of {len(ratios)} settings;"
            f" geometric mean {mean:.2f} where both medians are finite ({len(known)})"
        )
        for setting, ratio in ratios.items():
            yield f"  {'ok  ' if ratio <= allowed else 'MISS'}  {_number(ratio):>6}  {setting}"


def _ratio(ours: float, theirs: float) -> float:
    """Return how many times theirs ours is; 0 where theirs is never, NaN where both are."""
    if math.isinf(theirs):
        return math.nan if math.isinf(ours) else 0.0
    return ours / theirs if theirs > 0 else math.nan


def plain(each: Found) -> dict[str, Any]:
    """Return a result for JSON."""
    about = {"search": each.contender, "table": each.setting.table}
    about |= {"workers": each.setting.workers, "start_in_trainings": each.setting.start}
    if each.summary is None:
        return {**about, "fault": each.fault}
    said = {**each.summary.to_plain(), "full_training_seconds": each.full, "took": each.took}
    return {**said, **about, "regret": regret(each)}


def main(arguments: argparse.Namespace) -> None:
    """Compare, print, write."""
    tables = arguments.tables.split(",") if arguments.tables else search_tables.names()
    only = arguments.only.split(",") if arguments.only else list(contenders())
    seeds = arguments.seeds or (QUICK_SEEDS if arguments.quick else SEEDS)
    tasks = [(n, s, seeds) for s in settings(tables, arguments.quick) for n in only]
    found: list[Found] = []
    with ProcessPoolExecutor(arguments.jobs) as pool:
        for each in pool.map(measured, tasks):
            found.append(each)
            print(f"{each.took:6.1f} s  {each.contender}: {each.setting}", file=sys.stderr)
            if len(found) == len(tasks) or tasks[len(found)][1] != each.setting:
                print("\n".join(lines(found, each.setting)), flush=True)
    print("\n".join(bars(found)))
    about = {"versions": search_peers.versions(), "seeds": seeds, "budget": BUDGET}
    text = json.dumps({**about, "results": [plain(each) for each in found]}, indent=1)
    arguments.output.write_text(text + "\n")
    print(f"\nwrote {arguments.output}")


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="five seeds, two settings a table")
    parser.add_argument("--seeds", type=int, help=f"{SEEDS} unless --quick")
    parser.add_argument("--only", help="contenders, comma-separated")
    parser.add_argument("--tables", help="names, or .parquet files, comma-separated")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--output", type=Path, default=Path("search-quality.json"))
    return parser.parse_args()


if __name__ == "__main__":
    main(_parsed())
