"""Does the race of finalists tell the truth? Made-up scores, and whole searches over recorded seeds of real networks.

    python -m benchmarks.race [--races 300] [--searches 30] [--sets wine,cancer,digits,made-up]
        [--seeds 50] [--scheduler asha] [--auto]

A race is right where its intervals hold the truth, the mean over ever more seeds (of networks: over ``--seeds``), and
its winner is not worse than another finalist by more than the noise: a seed's standard deviation, ``1 sd``, or two
standard errors of the paired difference of as many replicates as the winner had, ``2 se``. Networks are trained
beforehand, all seeds of a configuration at once; a search then draws them by its trials' seeds.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialEnd
from orchestrator.search import Plan, Search, TrialSpec, make_plan
from orchestrator.search.race import Scores, intervals, unit_of, verdict
from orchestrator.search.steps import NextRound, Resume, Start

Array = np.ndarray
EPOCHS = 9
TRIALS = 60
RATES = [0.003, 0.006, 0.01, 0.02, 0.04, 0.08, 0.16, 0.3, 0.5, 0.8]
UNITS = [2, 3, 4, 6, 8, 12, 16, 24]
BATCH, MOMENTUM = 32, 0.9
Trained = tuple[TrialSpec, list[float]]
"""A trial and its values by epoch."""
NOISES = ("normal", "heavy tails", "a tail below", "a tenth fails")


@dataclass(frozen=True)
class Judged:
    """Whether the winner's interval held the truth, the share of all that did, how wrong it was, and what it cost."""

    winner: bool
    all: float
    behind_sd: float
    behind_se: float
    cost: float
    regret: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Truth:
    """What is known of configurations: mean, a seed's sd, and the sd of the paired difference from the winner."""

    mean: Mapping[str, float]
    sd: Mapping[str, float]
    pair_sd: Mapping[str, float]


def judged(scores: Scores, winner: str, truth: Truth, cost: float, unit: float = 0.0) -> Judged:
    """Return how right a race was whose configurations had these scores."""
    found = intervals(scores, unit=unit)
    holds = {
        name: each.low is not None and each.low <= truth.mean[name] <= (each.high or 0.0) + 1e-12
        for name, each in found.items()
    }
    best = max(scores, key=lambda name: truth.mean[name])
    behind = truth.mean[best] - truth.mean[winner]
    error = truth.pair_sd[best] / math.sqrt(len(scores[winner]))
    by_sd = behind / max(truth.sd[best], truth.sd[winner], 1e-12)
    first = next(iter(scores))
    regret = truth.mean[best] - truth.mean[first], behind
    mean = float(np.mean(list(holds.values())))
    return Judged(holds[winner], mean, by_sd, behind / max(error, 1e-12), cost, regret)


def noise(kind: str, draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Return noise of mean 0 and about unit variance."""
    if kind == "heavy tails":
        return draw.standard_t(3, size=shape) / math.sqrt(3)
    if kind == "a tail below":
        return 1 - draw.exponential(size=shape)
    normal = draw.normal(size=shape)
    return normal if kind == "normal" else normal / 2 - 3 * ((draw.random(shape) < 0.1) - 0.1)


def made_up(kind: str, many: int, gap: float, races: int) -> Iterator[Judged]:
    """Yield races of ``many`` configurations with as many seeds, true means ``gap`` apart and unequal noise."""
    draw = np.random.default_rng([NOISES.index(kind), many, int(10 * gap)])
    for _ in range(races):
        truth, sd = draw.normal(0, gap, many), draw.uniform(0.2, 1.8, many)
        table = (
            truth[:, None]
            + draw.normal(0, 0.5, many)
            + sd[:, None] * noise(kind, draw, (many, many))
        )
        left, count = list(range(many)), [0] * many
        for blocks in range(2, many + 1):
            count = [blocks if at in left else count[at] for at in range(many)]
            found = verdict({str(at): table[at, :blocks] for at in left}, {}, 0.95, many)
            if found.kind == "best":
                break
            left = [int(name) for name in found.tied]
        names = list(map(str, range(many)))
        sds, truths = (dict(zip(names, each.tolist(), strict=True)) for each in (sd, truth))
        pairs = {name: math.hypot(sds[name], sds[found.winner]) for name in names}
        scores = {name: table[int(name), : count[int(name)]].tolist() for name in names}
        yield judged(scores, found.winner, Truth(truths, sds, pairs), sum(count) / many**2)


def rows_of(name: str) -> tuple[Array, Array]:
    """Return features and classes of a set, 600 rows at most."""
    if name == "made-up":
        return datasets.make_classification(
            600, 20, n_informative=6, n_classes=3, flip_y=0.1, random_state=0
        )
    load = {"wine": "load_wine", "cancer": "load_breast_cancer", "digits": "load_digits"}[name]
    x, y = getattr(datasets, load)(return_X_y=True)
    some = np.random.default_rng(0).permutation(len(x))[:600]
    return x[some], y[some]


def curves_of(name: str, rate: float, units: int, seeds: int) -> Array:
    """Return the validation accuracies (seeds, EPOCHS) of a network of one hidden layer, one seed each."""
    x, y = rows_of(name)
    x, vx, y, vy = train_test_split(x, y, test_size=0.25, random_state=0, stratify=y)
    scaler = StandardScaler().fit(x)
    x, vx = scaler.transform(x), scaler.transform(vx)
    classes = int(y.max()) + 1
    draws = [np.random.default_rng([at, 7]) for at in range(seeds)]
    shapes = [(x.shape[1], units), (1, units), (units, classes), (1, classes)]
    weights = [np.stack([d.normal(0, 1 / math.sqrt(s[0]), s) * (s[0] > 1) for d in draws]) for s in shapes]  # fmt: skip
    speeds = [np.zeros_like(each) for each in weights]
    target = np.eye(classes)[y]
    found = np.zeros((seeds, EPOCHS))
    for epoch in range(EPOCHS):
        order = np.stack([d.permutation(len(x)) for d in draws])
        for at in range(0, len(x) - BATCH + 1, BATCH):
            rows = order[:, at : at + BATCH]
            for w, v, g in zip(weights, speeds, _gradients(weights, x[rows], target[rows]), strict=True):  # fmt: skip
                v *= MOMENTUM
                v -= rate * g
                w += v
        found[:, epoch] = (_forward(weights, vx[None])[1].argmax(-1) == vy).mean(axis=1)
    return found


def _forward(weights: Sequence[Array], x: Array) -> tuple[Array, Array]:
    hidden = np.maximum(x @ weights[0] + weights[1], 0)
    return hidden, hidden @ weights[2] + weights[3]


def _gradients(weights: Sequence[Array], x: Array, target: Array) -> list[Array]:
    hidden, out = _forward(weights, x)
    out = np.exp(np.clip(out - out.max(-1, keepdims=True), -50, 0))
    off = (out / out.sum(-1, keepdims=True) - target) / x.shape[1]
    back = (off @ weights[2].transpose(0, 2, 1)) * (hidden > 0)
    parts = [x.transpose(0, 2, 1) @ back, back.sum(1, keepdims=True)]
    return [*parts, hidden.transpose(0, 2, 1) @ off, off.sum(1, keepdims=True)]


def plan_of(scheduler: str, auto: bool) -> Plan:
    """Return the plan of a search, with the race that it has by default or with the one of the docs."""
    finalists: Any = "auto" if auto else {"top": 5, "seeds": 5, "budget": 0.25}
    content = {
        "name": "race",
        "trial": "benchmarks.race:curves_of",
        "metric": "val_accuracy",
        "epochs": EPOCHS,
        "search_space": {"learning_rate": f"choice({RATES})", "units": f"choice({UNITS})"},
        "caviar": {"num_samples": TRIALS, "scheduler": scheduler, "finalists": finalists},
    }
    experiment = parse_experiment(content)
    return make_plan(experiment, Space.parse(content["search_space"]))


def searched(plan: Plan, curves: Mapping[tuple[float, int], Array]) -> tuple[Search, list[Trained]]:
    """Return a search that is over, and every trial's curve as far as it came."""
    search, seen = Search(plan), dict[str, Trained]()
    while True:
        step = search.next()
        if isinstance(step, NextRound):
            continue
        if not isinstance(step, Start | Resume):
            if search.is_done and not search.paused:
                return search, list(seen.values())
            for trial in list(search.paused):
                search.tell(TrialEnd(trial, "stopped"))
            continue
        spec = step.spec
        pool = curves[spec.hyperparameters["learning_rate"], spec.hyperparameters["units"]]
        values = seen.setdefault(spec.trial, (spec, []))[1]
        while len(values) < plan.epochs:
            values.append(float(pool[spec.seed % len(pool), len(values)]))
            row = {"trial": spec.trial, "epoch": len(values), "metrics": {plan.metric: values[-1]}}
            decision = search.tell(row)
            if spec.trial in search.paused:
                break
            if len(values) == plan.epochs or (decision is not None and decision.stop):
                ending = "finished" if len(values) == plan.epochs else "stopped"
                search.tell(TrialEnd(spec.trial, ending))
                break


def of_recorded(name: str, plan: Plan, searches: int, seeds: int) -> tuple[int, list[Judged]]:
    """Return how many searches of a set came to a race, and how right those were."""
    curves = {(rate, units): curves_of(name, rate, units, seeds) for rate in RATES for units in UNITS}  # fmt: skip
    best = {key: each.max(axis=1) for key, each in curves.items()}
    found = []
    for seed in range(searches):
        search, seen = searched(replace(plan, seed=seed), curves)
        ended = [news.facts for news in search.decided if news.event == "race_ended"]
        if not ended or not ended[0].get("winner"):
            continue
        scores: dict[str, list[float]] = {}
        specs = {spec.trial: spec for spec, _ in seen}
        epochs = {True: 0, False: 0}
        for spec, values in seen:
            epochs[spec.repeats is not None] += len(values)
            if spec.repeats is not None:
                scores.setdefault(spec.repeats, []).append(max(values))
        key = {t: tuple(specs[t].hyperparameters[k] for k in ("learning_rate", "units")) for t in scores}  # fmt: skip
        winner = str(ended[0]["winner"])
        truth = {t: float(best[key[t]].mean()) for t in scores}
        sd = {t: float(best[key[t]].std(ddof=1)) for t in scores}
        pairs = {t: float((best[key[t]] - best[key[winner]]).std(ddof=1)) for t in scores}
        cost = epochs[True] / epochs[False]
        unit = unit_of({"all": [max(values) for _, values in seen]})
        found.append(judged(scores, winner, Truth(truth, sd, pairs), cost, unit))
    return searches, found


def line(name: str, found: Sequence[Judged], of: int) -> str:
    """Return a row of the table."""
    if not found:
        return f"| {name} | 0 of {of} | | | | | | |"
    mean = lambda values: float(np.mean(list(values)))  # noqa: E731
    shares = [
        mean(each.winner for each in found),
        mean(each.all for each in found),
        mean(each.behind_sd > 1 for each in found),
        mean(each.behind_se > 2 for each in found),
        mean(each.cost for each in found),
    ]
    regret = " → ".join(f"{mean(each.regret[at] for each in found):.4f}" for at in (0, 1))
    figures = " | ".join(f"{share:.3f}" for share in shares)
    return f"| {name} | {len(found)} of {of} | {figures} | {regret} |"


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--races", type=int, default=300)
    parser.add_argument("--searches", type=int, default=30)
    parser.add_argument("--sets", default="wine,cancer,digits,made-up")
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--scheduler", default="none", help="that of the searches")
    parser.add_argument("--auto", action="store_true", help="the race that a search has by default")
    asked = parser.parse_args()
    head = "| | races | winner's interval holds | all | wrong by 1 sd | by 2 se | cost | regret first row → winner |"
    print(head, "|---|---|---|---|---|---|---|---|", sep="\n", flush=True)
    for kind in NOISES if asked.races else ():
        for many in (3, 5):
            for gap in (0.3, 1.0, 3.0):
                found = list(made_up(kind, many, gap, asked.races))
                print(line(f"{kind}, {many} x {many}, {gap} apart", found, asked.races), flush=True)
    plan = plan_of(asked.scheduler, asked.auto)
    for name in asked.sets.split(",") if asked.searches else ():
        of, found = of_recorded(name, plan, asked.searches, asked.seeds)
        print(line(name, found, of), flush=True)


if __name__ == "__main__":
    main()
