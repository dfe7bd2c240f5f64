"""The examples of other frameworks really train: each in its own environment, three trials of it, one table."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator
from tests.debian import CACHE, INSTALL

EXAMPLES = Path(__file__).parents[2] / "examples" / "frameworks"
KEEPS_NO_STATE = {"theano-lasagne"}


@pytest.fixture
def example(tmp_path):
    """A copy of an example's folder, beside what the examples share."""

    def of(name: str) -> Path:
        shutil.copytree(EXAMPLES / name, tmp_path / name)
        shutil.copy(EXAMPLES / "space.yaml", tmp_path)
        return tmp_path / name

    return of


def run(folder: Path, **changes):
    changes = {"caviar": {"num_samples": 3, "scheduler": "asha"}, "epochs": 3} | changes
    file = folder / "experiment.yaml"
    storage = {"storage_path": str(folder / "runs")}
    return orchestrator.run(file, progress=False, executor="inline", **storage, **changes)


def learned(done) -> bool:
    assert [row["status"] for row in done.table().to_dict("records")].count("failed") == 0
    return done.best.value > 0.8


def environment(name: str, python: str) -> Path:
    """A virtual environment with what an example asks for, made once."""
    if os.environ.get(INSTALL) != "1":
        pytest.skip(f"needs an environment with {name}: set {INSTALL}=1 to have it made")
    if shutil.which(python) is None:
        pytest.skip(f"needs {python}")
    folder = CACHE / "frameworks" / name
    if not (folder / "made").exists():
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run([python, "-m", "venv", "--clear", folder], **quiet)
        pip = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "wheel"], **quiet)
        subprocess.run([*pip, "-r", EXAMPLES / name / "requirements.txt"], **quiet)
        (folder / "made").touch()
    return folder


@pytest.mark.parametrize("script", ["./tapes.py", "./sessions.py"])
def test_tensorflow_without_keras_finds_the_minimum_at_5(example, script):
    done = run(example("tensorflow"), trial=script, epochs=9)
    best = done.records.of(done.best.trial).epochs[done.best.epoch - 1]["metrics"]
    assert best["w"] == pytest.approx(5, abs=1e-2)
    assert best["cost"] == pytest.approx((best["w"] - 5) ** 2, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "builds"),
    [
        ("cpp", ["c++ -O2 -std=c++17 -o train train.cpp"]),
        ("java", ["javac -d classes Train.java", "jar cf train.jar -C classes ."]),
    ],
)
def test_a_program_in_another_language_learns(example, tmp_path, name, builds):
    folder = example(name)
    for command in builds:
        words = command.split()
        if shutil.which(words[0]) is None:
            pytest.skip(f"needs {words[0]}")
        subprocess.run(words, cwd=folder, check=True)
    subprocess.run([sys.executable, EXAMPLES / "digits.py"], cwd=tmp_path, check=True)
    assert learned(run(folder))


@pytest.mark.parametrize(
    ("name", "python"),
    [
        ("mxnet", sys.executable),
        pytest.param("jax", sys.executable, marks=pytest.mark.slow),
        pytest.param("paddle", sys.executable, marks=pytest.mark.slow),
        pytest.param("pytorch", sys.executable, marks=pytest.mark.slow),
        pytest.param("theano-lasagne", "python3.7", marks=pytest.mark.slow),
    ],
)
def test_a_framework_in_an_environment_of_its_own_learns_and_goes_on(example, name, python):
    folder = example(name)
    (folder / "env").symlink_to(environment(name, python))
    done = run(folder)
    assert learned(done)
    manifest = json.loads((done.path / "manifest.json").read_text())
    assert manifest["trial"]["python"]["path"] == str(folder / "env/bin/python")
    kept = (done.path / "best" / "checkpoint").exists()
    assert kept == (name not in KEEPS_NO_STATE)
