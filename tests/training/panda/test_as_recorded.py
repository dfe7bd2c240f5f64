"""Babysat lives as they were recorded: every row, journal entry, file and remembered fact, to the last bit.

Record them again with ``LIVES=record`` in the environment, only where a change of numbers is meant. Other processors
and libraries compute other last bits, which a life that diverges makes large: there the comparison is left out. So does
another number of TensorFlow's threads, which a process sets once: the lives have a process of their own.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import keras
import pytest
import tensorflow as tf

from orchestrator.experiment.warm_start import promoted
from orchestrator.trials import load_checkpoint
from tests import preloaded
from tests.training.panda.life import Life

RECORDED = Path(__file__).parent / "recorded_lives.json"
ROOT = Path(__file__).parents[3]
LIVES = os.environ.get("LIVES", "")
LEFT_OUT = {"time", "seconds", "seconds_today", "bytes", "generator", "within_epoch"}
OWN_RATE = """
def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    model = keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(inputs)))
    rate = keras.optimizers.schedules.CosineDecay(0.05, 100)
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


def environment() -> str:
    """What may change the last bits: the libraries and the processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    named = [line.split(":") for line in lines if line.startswith(("cpu family", "model"))]
    names = {name.strip(): value.strip() for name, value in named}
    processor = " ".join(f"{name} {value}" for name, value in sorted(names.items()))
    return (
        f"tensorflow {tf.__version__}, keras {keras.__version__}, {os.cpu_count()} of {processor}"
    )


def plain(value: Any, ids: dict[str, str]) -> Any:
    """A record without times and sizes, its requests numbered, its numbers as text where JSON has none."""
    if isinstance(value, dict):
        kept = {name: each for name, each in value.items() if name not in LEFT_OUT}
        return {ids.get(name, name): plain(each, ids) for name, each in kept.items()}
    if isinstance(value, list | tuple):
        return [plain(each, ids) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return ids.get(value, value) if isinstance(value, str) else value


def told(life: Life) -> dict[str, Any]:
    """All that a life leaves behind."""
    requests = sorted(life.folder.requests.glob("*.json"))
    ids = {file.stem: f"request {number}" for number, file in enumerate(requests, 1)}
    home = life.folder.checkpoints / life.trial
    return plain(
        {
            "ended": life.ended,
            "rows": [row for row in life.records.epochs if row["trial"] == life.trial],
            "journal": [entry for entry in life.records.journal if entry["trial"] == life.trial],
            "files": sorted(file.name for file in home.iterdir()),
            "last": dict(load_checkpoint(home / "last.npz").about),
        },
        ids,
    )


def changed(panda) -> dict[str, Any]:
    """Requests of every kind and a schedule, an advising sitter, a kill after every fourth report, and a branch."""
    schedule = [{"epoch": 3, "set": {"learning_rate": 0.03}}]
    options = {"sitter": "advise", "days": 5, "keep_days": 2, "learning_rate_test": True}
    life = panda("changed", schedule=schedule, **options)
    life.set(at_day=2, learning_rate=0.01, momentum=0.8)
    life.set(at_day=3, dropout=0.4, batch_size=100)
    life.set(at_day=9, dropout=0.1)
    life.ask("set", at_day=3, changes={"momentum": 0.7}, expect={"momentum": 0.9})
    life.ask("set", changes={"units": 3}, why="to see")
    life.ask("note", text="it begins")
    life.ask("rollback", to_day=7)
    life.ask("rollback", to_day="2")
    life.ask("pause", at_day=2)
    life.advance(4)
    life.ask("continue")
    life = life.killed()
    life.to_day(3)
    life.ask("branch", name="gentle", at_day=2, changes={"learning_rate": 0.001})
    life.ask("branch", name="gentle")
    life.ask("rollback", to_epoch=3)
    life.ask("rollback", to_epoch=4)
    life.advance(heard=False)
    life = life.killed()
    life.to_day(4)
    life.ask("rollback", to_day=3)
    life.set(learning_rate=0.2, dropout=0.0)
    life.advance(2)
    life = life.killed().to_end()
    branch = life.branch("gentle")
    branch.ask("rollback", at_day=4, to_day=1)
    return {"changed": told(life), "gentle": told(branch.to_end())}


def diverged(panda) -> dict[str, Any]:
    """A sitter that goes back from a divergence, and what becomes of one that nobody may save."""
    start = {"learning_rate": 40.0, "momentum": 0.0, "activation": "tanh", "dropout": 0.0}
    saved = panda("saved", start=start, sitter="act", days=3)
    saved.advance(2)
    nan = {"learning_rate": 1e30, "batch_norm": False}
    given_up = panda("given-up", start=nan, sitter="act")
    left = panda("left", start=nan)
    lives = {"saved": saved.killed(), "given-up": given_up, "left": left}
    return {name: told(life.to_end()) for name, life in lives.items()}


def plateau(panda) -> dict[str, Any]:
    """A sitter that lowers the rate on a plateau, and one that compares a few rates first."""
    sitter = {"mode": "act", "patience": 2, "plateau": {"standard_errors": 3}}
    start = {"learning_rate": 0.3, "dropout": 0.0, "learning_rate_decay": 0.0}
    lowered = panda("lowered", start=start, sitter=sitter, days=7, day="1 epoch").to_end()
    tries = {"epochs": 2, "factors": [1, 0.1, 1000], "budget_share": 0.8}
    sitter |= {"plateau": {"standard_errors": 50}, "branch_and_compare": tries}
    options = {"start": {"learning_rate": 1e-5}, "sitter": sitter, "day": "1 epoch"}
    compared = panda("compared", days=8, **options)
    compared.advance(5)
    return {"lowered": told(lowered), "compared": told(compared.killed().to_end())}


def inherited(panda) -> dict[str, Any]:
    """A rate found by a test and used; weights of an earlier run gone on from; a stop."""
    first = panda("first", days=2, learning_rate_test=True, sitter="act", start={"units": 8})
    first.to_day(1)
    first.ask("stop")
    first.to_end()
    recipe = promoted(str(first.folder.path), str(first.folder.path.parent))
    recipe["panda"] |= {"day": "60 steps", "days": 2, "sitter": "advise"}
    second = Life.begun(first.folder.path.parent, first.trainer, recipe)
    return {"first": told(first), "second": told(second.to_end())}


def fixed_rate(panda_of) -> dict[str, Any]:
    """A model whose rate nobody can set: its sitter only advises."""
    life = panda_of(OWN_RATE, start={}, sitter="act", learning_rate_test=True, days=2)
    life.set(learning_rate=0.1)
    life.set(at_day=2, batch_size=100)
    return {"fixed rate": told(life.to_end())}


def compare(name: str, found: dict[str, Any]) -> None:
    """Compare to the last bit."""
    known = json.loads(RECORDED.read_text()) if RECORDED.exists() else {"lives": {}}
    if LIVES == "record":
        known = {"environment": environment(), "lives": {**known["lives"], name: found}}
        RECORDED.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    both = known["lives"][name], found
    expected, here = (json.dumps(lives, indent=1, sort_keys=True) for lives in both)
    if known["environment"] != environment():
        pytest.skip(f"recorded with {known['environment']}")
    assert here == expected


if not LIVES:

    def test_lives_are_as_they_were_recorded(monkeypatch):
        monkeypatch.setenv("LIVES", "compare")
        monkeypatch.chdir(ROOT)
        words = ["-p", "no:cacheprovider", "-q", __file__]
        code, said = preloaded.python(f"import pytest, sys; sys.exit(pytest.main({words}))")
        assert code == 0, said[-4000:]


@pytest.mark.skipif(not LIVES, reason="in a process of their own")
@pytest.mark.parametrize("lives", [changed, diverged, plateau, inherited])
def test_a_life_is_as_it_was_recorded(panda, lives):
    compare(lives.__name__, lives(panda))


@pytest.mark.skipif(not LIVES, reason="in a process of their own")
def test_a_life_at_a_fixed_rate_is_as_it_was_recorded(panda_of):
    compare("fixed_rate", fixed_rate(panda_of))
