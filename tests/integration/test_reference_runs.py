"""Whole runs that were recorded once: whoever rebuilds the inside must give their curves, tables and journals again.

``REFERENCE_RUNS=record`` in the environment writes what the runs give now to ``reference_runs.json``, beside what they
gave on other processors. Those and other versions compute other last bits, which a trial that diverges makes large:
where nothing was recorded the comparison is left out.
"""

from __future__ import annotations

import json
import math
import os
import platform
import shutil
from pathlib import Path

import pytest

import orchestrator
from tests.integration.people import MAIN, Person, experiment, paused, until

FILE = Path(__file__).with_name("reference_runs.json")
RECORDING = os.environ.get("REFERENCE_RUNS") == "record"
CLOCK = ("seconds", "time", "id", "request", "bytes", "who", "by", "worker", "rss_mb", "sha256")
"""What a clock, a process or whoever ran it says."""
DETAILS = ("noise", "calibration", "failing", "not_finite", "batch_norm")
"""What the winner's examination finds besides its scores has tests of its own."""
NONE = {"scheduler": "none", "max_concurrent_trials": 1}
ASHA = {
    "scheduler": {"asha": {"promote": False, "grace_period": 1, "reduction_factor": 3}},
    "max_concurrent_trials": 1,
}


def environment():
    import keras
    import tensorflow as tf

    return [keras.__version__, tf.__version__, processor()]


def processor():
    """Its name, and what tells apart those whose name is one: their generation and their widest vectors."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().partition("\n\n")[0].splitlines() if cpuinfo.exists() else []
    told = {name.strip(): said.strip() for name, _, said in (line.partition(":") for line in lines)}
    if "flags" not in told:
        return platform.processor()
    vectors = sorted(flag for flag in told["flags"].split() if flag.startswith(("avx", "fma")))
    return " ".join([told["model name"], told["cpu family"], told["model"], *vectors])


def plain(value):
    """A value as JSON holds it, without what a clock says."""
    if isinstance(value, dict):
        kept = {str(k): plain(v) for k, v in value.items() if k not in CLOCK}
        by = str(value.get("by", "")).rpartition("@")
        return kept | ({"by": by[2] if not by[1] else "somebody"} if "by" in value else {})
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value.item() if hasattr(value, "item") else value


def told(run):
    """What a run's records and tables say, each trial by itself: who comes first of two at once is chance."""
    records = run.reload().records
    table = json.loads(run.table().drop(columns="seconds").to_json(orient="records"))
    trials = {}
    for trial in sorted(records.trials, key=lambda trial: trial.trial):
        name = trial.trial
        trials[name] = {
            "seed": trial.seed,
            "hyperparameters": plain(dict(trial.hyperparameters)),
            "ending": [trial.ending, plain(trial.stopped_by), trial.group, plain(trial.origin)],
            "epochs": [[row["epoch"], plain(row["metrics"])] for row in records.of(name).epochs],
            "abandoned": [
                [row["epoch"], plain(row["metrics"])] for row in records.of(name).abandoned_epochs
            ],
            "journal": [plain(entry) for entry in records.of(name).journal],
            "in_force": plain(records.of(name).current_hyperparameters),
        }
    winner = {k: v for k, v in plain(records.winner).items() if k not in DETAILS}
    return {
        "status": run.status,
        "trials": trials,
        "table": table,
        "winner": winner,
        "best": [run.best.trial, run.best.epoch, run.best.value],
        "kept": sorted(file.name for file in (run.path / "checkpoints").glob("*.npz")),
    }


@pytest.fixture(scope="module")
def whole(request, tmp_path_factory):
    """`whole(name, caviar, **keys)`: the run of an experiment, all in one storage."""
    storage = tmp_path_factory.mktemp("reference")

    def run(name, caviar, executor="inline", **keys):
        space = {
            "learning_rate": "loguniform(0.001, 3)",
            "momentum": "one_minus_loguniform(0.9, 0.99)",
            "units": "choice([8, 16])",
            "batch_norm": "choice([true, false])",
        }
        content = {"name": name, "model": "mlp", "data": "digits", "search_space": space, "seed": 4,
                   "storage_path": str(storage), "caviar": caviar, "keep_checkpoints": 2}  # fmt: skip
        if executor == "tune":
            request.getfixturevalue("cluster")
        return orchestrator.run(content | keys, progress=False, executor=executor)

    return run


@pytest.fixture(scope="module")
def short(whole):
    return whole("short", NONE | {"num_samples": 4}, "tune", epochs=3)


def test_a_caviar_that_stops_no_trial(short):
    check("caviar", short)


def test_asha_on_one_slot(whole):
    check("asha", whole("asha", ASHA | {"num_samples": 12}, epochs=9))


def test_a_run_that_is_taken_up_where_a_kill_left_it(short, tmp_path):
    path = tmp_path / "cut"
    shutil.copytree(short.path, path)
    shutil.rmtree(path / "best")
    for file in (path / "checkpoints").iterdir():
        if file.stem not in ("00000", "00001"):
            file.unlink()
    (path / "driver.json").unlink()
    for name, lines in (("trials.jsonl", 5), ("epochs.jsonl", 7), ("events.jsonl", 1)):
        whole = (path / name).read_bytes().splitlines(keepends=True)
        (path / name).write_bytes(b"".join(whole[:lines]))
    resumed = orchestrator.resume(path, progress=False, executor="inline")
    assert told(resumed) == told(short)
    check("caviar", resumed)


def test_an_extension(short, tmp_path):
    shutil.copytree(short.path, tmp_path / "longer")
    halving = {"asha": {"promote": False, "grace_period": 1}}
    check(
        "extension",
        orchestrator.extend(
            tmp_path / "longer",
            num_samples="+3",
            epochs=6,
            scheduler=halving,
            progress=False,
            executor="inline",
        ),
    )


def test_a_panda_that_is_changed_taken_back_and_branched(cluster, tmp_path):
    def asks(run):
        run.pause(at_day=3)
        paused(run, 4)
        run.set(learning_rate=0.1, why="ten is much")
        run.set(batch_size=32)
        run.branch("gentle", {"learning_rate": 0.02}, at_day=2)
        run.note("as agreed")
        until(lambda: run.reload().records.trial("gentle") is not None)
        until(lambda: run.reload().records.trial("gentle").ending)
        run.pause(at_day=5)
        run.continue_()
        paused(run, 8)
        run.rollback(to_day=3, why="try again")
        run.set(learning_rate=0.05)
        run.continue_()

    person = Person(tmp_path / "panda", asks)
    person.start()
    options = {
        "days": 6,
        "sitter": {"mode": "act", "patience": 9},
        "schedule": [{"epoch": 9, "set": {"momentum": 0.5}}],
    }
    run = orchestrator.run(experiment(tmp_path, "panda", options), progress=False)
    person.join(300)
    assert person.done
    kinds = {(entry["kind"], entry.get("action")) for entry in run.records.of(MAIN).journal}
    assert {
        ("applied", "set"),
        ("applied", "rollback"),
        ("applied", "branch"),
        ("effect", None),
    } <= kinds
    check("panda", run)


def check(name, run):
    """Compare a run with its record; when recording, write it down instead."""
    all_recorded = json.loads(FILE.read_text()) if FILE.exists() else []
    now, here = json.loads(json.dumps(told(run))), environment()
    recorded = next((each for each in all_recorded if each["environment"] == here), None)
    if RECORDING:
        others = [each for each in all_recorded if each is not recorded]
        all_recorded = [*others, {**(recorded or {}), "environment": here, name: now}]
        FILE.write_text(json.dumps(all_recorded, indent=1, sort_keys=True) + "\n")
        return
    if recorded is None:
        pytest.skip(f"recorded with {[each['environment'] for each in all_recorded]}")
    assert unlike(recorded[name], now, name) == []


def unlike(then, now, where):
    """Where two values differ."""
    if isinstance(then, dict) and isinstance(now, dict) and then.keys() == now.keys():
        pairs = [(then[key], now[key], f"{where}.{key}") for key in then]
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = [(a, b, f"{where}[{i}]") for i, (a, b) in enumerate(zip(then, now, strict=True))]
    else:
        return [] if then == now else [(where, then, now)]
    return [found for a, b, place in pairs for found in unlike(a, b, place)]
