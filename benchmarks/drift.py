"""Does `reevaluate` notice what changed, call it by its name, and leave alone what did not? On scikit-learn's sets.

    python -m benchmarks.drift [--seeds 50] [--runs 0] [--truth 20] [--sets wine,...] [--shifts noise,...]

A set is halved at random: one half are the rows of then, of which a run keeps a profile, the other today's, which one
shift has changed. No network is trained for the first table, one row a shift: in what share of the seeds anything was
found, and in what share a finding of the expected name. The second table is of ``--runs`` whole runs a set and shift:
a search of six small networks on the rows of then, and its re-evaluation on today's, with as many seeds as it takes by
itself; ``right`` says whether ``--truth`` seeds for each configuration decide the same.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn import datasets

import orchestrator.drift.shifts as tests
from orchestrator.drift.finding import Finding
from orchestrator.drift.profile import Profile, significant

Array = np.ndarray
Rows = tuple[Array, Array]
SETS = ("wine", "cancer", "digits", "made-up")
MOST_ROWS = 1200


def rows_of(name: str) -> Rows:
    """Return features (rows, ...) and classes of a set."""
    if name == "made-up":
        return datasets.make_classification(
            800, 12, n_informative=6, n_classes=3, flip_y=0.05, random_state=0
        )
    load = {"wine": "load_wine", "cancer": "load_breast_cancer", "digits": "load_digits"}[name]
    x, y = getattr(datasets, load)(return_X_y=True)
    return (x.reshape(-1, 8, 8, 1) if name == "digits" else x)[:MOST_ROWS], y[:MOST_ROWS]


def _noise(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    return x + draw.normal(size=x.shape) * x.std(axis=0), y


def _inverted(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    if x.ndim == 4:
        return x.max() - x, y
    return x.max(axis=0) + x.min(axis=0) - x, y


def _balance(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    kept = (y != draw.choice(np.unique(y))) | (draw.random(len(y)) < 0.25)
    return x[kept], y[kept]


def _permuted(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    # One that says something: of the digits' corner pixels nobody would miss the order.
    flat = x.reshape(len(x), -1).copy()
    relation = np.abs(np.nan_to_num(np.corrcoef(flat, rowvar=False))).sum(axis=0)
    at = draw.choice(np.argsort(relation)[-4:])
    flat[:, at] = draw.permutation(flat[:, at])
    return flat.reshape(x.shape), y


def _new_class(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    new = draw.random(len(y)) < 0.2
    far = x + (x.std(axis=0) + 0.1) * draw.normal(size=x.shape[1:]) * 2
    return np.where(new.reshape(-1, *[1] * (x.ndim - 1)), far, x), np.where(new, y.max() + 1, y)


def _flipped(x: Array, y: Array, draw: np.random.Generator) -> Rows:
    third, classes = draw.random(len(y)) < 1 / 3, len(np.unique(y))
    return x, np.where(third, (y + draw.integers(1, classes, len(y))) % classes, y)


SHIFTS: Mapping[str, tuple[Callable[..., Rows], frozenset[str]]] = {
    "nothing": (lambda x, y, draw: (x, y), frozenset()),
    "noise": (_noise, frozenset({"features"})),
    "inverted": (_inverted, frozenset({"features", "concept"})),
    "balance": (_balance, frozenset({"class balance"})),
    "permuted": (_permuted, frozenset({"features"})),
    "new class": (_new_class, frozenset({"new class"})),
    "flipped": (_flipped, frozenset({"concept"})),
}
"""A shift made, and what names it rightly."""


def halves(name: str, shift: str, seed: int) -> tuple[Rows, Rows]:
    """Return the rows of then, and today's after a shift."""
    x, y = rows_of(name)
    draw = np.random.default_rng([seed, list(SHIFTS).index(shift)])
    order = draw.permutation(len(x))
    then, today = order[: len(x) // 2], order[len(x) // 2 :]
    return (x[then], y[then]), SHIFTS[shift][0](x[today], y[today], draw)


def profile(x: Array, y: Array) -> Profile:
    """Return what a run remembers of these rows."""
    labels, flat = y.astype(str), x.reshape(len(x), -1)
    names = tuple(f"feature {at}" for at in range(flat.shape[1]))
    counts = Counter(labels.tolist())
    return Profile(
        names, significant(flat), {}, labels, "classes", counts, len(x), picture=x.ndim == 4
    )


def found_in(name: str, shift: str, seed: int) -> list[Finding]:
    """Return what is found between the halves of a set."""
    then, today = halves(name, shift, seed)
    return tests.shifts(profile(*then).kept(), profile(*today))


SCRIPT = """
import numpy as np
def load():
    with np.load({file!r}) as kept:
        return {{"x": kept["x"], "y": kept["y"]}}
"""


def run_and_look(
    name: str, shift: str, seed: int, truth: int, folder: Path
) -> tuple[str, str, list[Mapping[str, Any]]]:
    """Return the decision on a run of then's rows that is re-evaluated on today's, that of more seeds, and findings."""
    import orchestrator

    for which, (x, y) in zip(("then", "today"), halves(name, shift, seed), strict=True):
        np.savez(folder / f"{which}.npz", x=x.astype("float32"), y=y)
        (folder / f"{which}.py").write_text(SCRIPT.format(file=str(folder / f"{which}.npz")))
    content = {
        "name": "run",
        "storage_path": str(folder),
        "model": "mlp",
        "seed": seed,
        "epochs": 6,
        "data": {"source": f"{folder / 'then.py'}:load"},
        "search_space": {
            "learning_rate": "loguniform(3e-3, 0.1)", "units": "choice([8, 16])",
            "batch_size": 32,
        },
        "caviar": {"num_samples": 6, "scheduler": "none", "searcher": "random", "finalists": False},
    }  # fmt: skip
    done = orchestrator.run(content, executor="inline", progress=False)
    data = f"{folder / 'today.py'}:load"
    quiet = {"executor": "inline", "progress": False}
    found = orchestrator.reevaluate(done, data=data, **quiet)
    known = orchestrator.reevaluate(done, data=data, seeds=truth, **quiet) if truth else found
    return found.decision, known.decision, found.record["drift"]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)  # fmt: skip
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument(
        "--quick", action="store_true", help="without the classifier, which takes most of the time"
    )
    parser.add_argument("--runs", type=int, default=0)
    parser.add_argument("--truth", type=int, default=20)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shifts", default=",".join(SHIFTS))
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    if asked.quick:
        tests.joint = lambda *both: iter(())  # type: ignore[assignment]
    print("| set | shift | noticed | named | what was found |", "|---|---|---|---|---|", sep="\n")
    both = [(name, kind) for name in asked.sets.split(",") for kind in asked.shifts.split(",")]
    for name, kind in both if asked.seeds else ():
        every = [{f.what for f in found_in(name, kind, seed)} for seed in range(asked.seeds)]
        noticed = np.mean([bool(each) for each in every])
        named = np.mean([bool(each & SHIFTS[kind][1]) for each in every])
        what = dict(Counter(what for each in every for what in each).most_common())
        print(f"| {name} | {kind} | {noticed:.2f} | {named:.2f} | {what} |", flush=True)
    right = []
    print("| set | shift | decision | right | what was found |", "|---|---|---|---|---|", sep="\n")
    for (name, kind), seed in itertools.product(both, range(asked.runs)):
        with tempfile.TemporaryDirectory() as folder:
            decision, known, drift = run_and_look(name, kind, seed, asked.truth, Path(folder))
        right.append(decision == known)
        what = ", ".join(sorted({str(each["what"]) for each in drift}))
        said = "yes" if right[-1] else f"no: {known}"
        print(f"| {name} | {kind}, seed {seed} | {decision} | {said} | {what} |", flush=True)
    if right:
        print(f"decided as {asked.truth} seeds do: {sum(right)} of {len(right)}")


if __name__ == "__main__":
    main()
