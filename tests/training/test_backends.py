"""Trials on JAX and PyTorch: what Keras gives there, gone on with as if never cut off; recorded, and refused in time.

Each backend has a process of its own, since Keras takes one a process; skipped where its package is not installed.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.errors import TrialError
from orchestrator.training import keras_setup
from orchestrator.training.keras_setup import is_installed
from orchestrator.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
OTHERS = [
    pytest.param(name, marks=pytest.mark.skipif(not is_installed(name), reason="not installed"))
    for name in ("jax", "torch")
]
CLAIMS = (
    ("tests/training/test_equals_fit.py", "(dropout and decay) or weight"),
    ("tests/training/test_amid_an_epoch.py", "goes_on and (dropout or figures)"),
    ("tests/training/panda/test_changes.py", "keeps_its_weights or put_in_force"),
)
EXPERIMENT = """
model: mlp
data: digits
search_space: {learning_rate: "loguniform(0.01, 0.3)", momentum: "uniform(0.5, 0.95)"}
metrics: [macro_f1, auc]
epochs: 3
caviar: {num_samples: 3, scheduler: {asha: {promote: true}}}
"""


def run_in(folder: Path, backend: str, *words: str, **environment: str):
    """Run the command as a user would, with what is trained in its own process."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words], cwd=folder, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment}, check=False,
    )  # fmt: skip


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS)
def test_a_trial_is_what_keras_gives_and_goes_on_where_it_was(backend):
    for file, chosen in CLAIMS:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", file, "-k", chosen],
            cwd=ROOT, env={**os.environ, "KERAS_BACKEND": backend}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.cluster
@pytest.mark.skipif(not is_installed("jax"), reason="not installed")
def test_a_lane_trains_what_its_trial_is_alone():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/training/test_lanes.py"],
        cwd=ROOT, env={**os.environ, "KERAS_BACKEND": "jax"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS)
def test_a_run_has_the_same_records_and_no_other_backend_goes_on_with_it(backend, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(f"backend: {backend}\n{EXPERIMENT}")
    done = run_in(tmp_path, backend, "run", "own.yaml", "--inline")
    assert done.returncode == 0, done.stdout + done.stderr
    run = tmp_path / "runs" / "own"
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["keras"]["backend"] == backend
    assert backend in manifest["versions"]
    metrics = json.loads((run / "best" / "metrics.json").read_text())
    assert {"macro_f1", "auc"} < metrics["validation"].keys()
    assert "calibration" in metrics
    assert (run / "best" / "model.keras").exists()
    refused = run_in(
        tmp_path, backend, "extend", "own", "--num-samples", "+1", "--set", "backend=tensorflow"
    )
    assert refused.returncode == 2
    assert f"backend: {backend} -> tensorflow" in " ".join(refused.stderr.split())


def test_a_backend_that_is_not_installed_is_one_sentence_with_what_to_install(monkeypatch):
    monkeypatch.setattr(keras_setup.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        keras_setup.PlaceError, match=r"without the package jax.*pip install 'orchestrator\[jax\]'"
    ):
        keras_setup.keras_settings("jax")


def test_a_backend_that_the_experiment_names_wins_over_the_machine(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setattr(keras_setup, "check_installed", lambda backend: None)
    assert keras_setup.keras_settings("torch").backend == "torch"


def test_a_worker_knows_its_backend_before_anything_of_the_users_is_read(monkeypatch):
    from orchestrator.training.workbench import KerasJob

    monkeypatch.setattr(keras_setup, "_CHOSEN", set())
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    settings = keras_setup.KerasSettings(backend="jax")
    sent = pickle.dumps(KerasJob(Told(), None, 1, keras=settings))
    taken = pickle.loads(sent)  # noqa: S301
    assert taken.task.backend == "jax", "as the task was read"
    assert taken.keras == settings


class Told:
    """Notes, when it is read, what Keras would take."""

    def __init__(self) -> None:
        self.backend = os.environ["KERAS_BACKEND"]

    def __reduce__(self):
        return Told, ()


def test_a_step_written_for_another_backend_is_refused_before_it_is_traced(net):
    """On JAX a step takes the model's state too: there this very model is right, and no other."""
    source = """
        class Net(keras.Model):
            def train_step(self, state, data):
                return super().train_step(state, data)

        def build(hp, input_shape, num_classes):
            x = keras.Input(input_shape)
            return Net(x, layers.Dense(num_classes, activation="softmax")(x))
    """
    with pytest.raises(TrialError) as caught:
        Trainer(net(source)).begin({"learning_rate": 0.1, "batch_size": 32}, 0)
    assert str(caught.value) == (
        "model ./net.py: expected train_step(self, data), as Keras calls it with 'backend: tensorflow'."
        " Received: train_step(self, state, data)."
    )
