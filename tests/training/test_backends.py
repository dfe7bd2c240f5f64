"""Trials on JAX and PyTorch: what Keras gives there, gone on with as if never cut off; recorded, and refused in time.

Each backend has a process of its own, since Keras takes one a process; skipped where its package is not installed.
What JAX has compiled is kept for all of these processes: most of them train the same few programs.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from orchestrator.errors import TrialError
from orchestrator.training import keras_setup
from orchestrator.training.keras_setup import is_installed
from orchestrator.training.trainer import Trainer
from tests.preloaded import SERVERS

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
CHOSEN = " or ".join(f"{Path(file).name} and ({chosen})" for file, chosen in CLAIMS)
LANES = (
    "tests/training/test_lanes.py",
    "tests/training/test_lane_models.py",
    "tests/training/panda/test_branches_as_lanes.py",
)
EXPERIMENT = """
model: mlp
data: digits
search_space: {learning_rate: "loguniform(0.01, 0.3)", momentum: "uniform(0.5, 0.95)"}
metrics: [macro_f1, auc]
epochs: 3
caviar: {num_samples: 3, scheduler: {asha: {promote: true}}}
"""


def environment(**more: str) -> dict[str, str]:
    """Return an environment with this project first among modules, and with one folder for what JAX compiles."""
    modules = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    compiled = {
        "JAX_COMPILATION_CACHE_DIR": f"{os.environ[SERVERS]}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    return {**os.environ, "PYTHONPATH": modules, **compiled, **more}


def run_in(folder: Path, *words: str):
    """Run the command as a user would, with what is trained in its own process."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *words], cwd=folder, capture_output=True, text=True,
        env=environment(), check=False,
    )  # fmt: skip


def passes_on(backend: str, *words: str) -> str:
    """Run tests by a pytest of their own; return what it says when none fails."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words],
        cwd=ROOT, env=environment(KERAS_BACKEND=backend), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS)
def test_a_trial_is_what_keras_gives_and_goes_on_where_it_was(backend):
    passes_on(backend, *dict(CLAIMS), "-k", CHOSEN)


@pytest.mark.cluster
@pytest.mark.skipif(not is_installed("jax"), reason="not installed")
def test_a_lane_trains_what_its_trial_is_alone():
    assert "skipped" not in passes_on("jax", *LANES)


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS)
def test_a_run_has_the_same_records_and_no_other_backend_goes_on_with_it(backend, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(f"backend: {backend}\n{EXPERIMENT}")
    done = run_in(tmp_path, "run", "own.yaml", "--inline")
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
        tmp_path, "extend", "own", "--num-samples", "+1", "--set", "backend=tensorflow"
    )
    assert refused.returncode == 2
    assert f"backend: {backend} -> tensorflow" in " ".join(refused.stderr.split())


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS)
def test_a_run_on_ray_that_was_killed_goes_on_as_if_it_had_not_been(backend, tmp_path):
    text = EXPERIMENT.replace(
        "scheduler: {asha: {promote: true}}",
        "scheduler: none, finalists: false, max_concurrent_trials: 1",
    )
    (tmp_path / "own.yaml").write_text(f"backend: {backend}\n{text}")
    command = [sys.executable, "-m", "orchestrator", "run", "own.yaml"]
    cut = subprocess.Popen(command, cwd=tmp_path, env=environment())
    while len(epochs_in(tmp_path, "own")) < 2:
        assert cut.poll() is None
        time.sleep(0.05)
    cut.kill()
    cut.wait()
    before = epochs_in(tmp_path, "own")
    gone_on = run_in(tmp_path, "resume", "own")
    assert gone_on.returncode == 0, gone_on.stdout + gone_on.stderr
    whole = run_in(tmp_path, "run", "own.yaml", "--inline", "--set", "name=whole")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    after = epochs_in(tmp_path, "own")
    assert before.items() <= after.items()
    assert after == epochs_in(tmp_path, "whole") and len(after) == 9


def epochs_in(folder: Path, name: str) -> dict[tuple[str, int], dict[str, float]]:
    """Return the metrics of each epoch that a run has recorded."""
    file = folder / "runs" / name / "epochs.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return {(row["trial"], row["epoch"]): row["metrics"] for row in rows}


PANDA = """
model: mlp
data: digits
backend: jax
strategy: panda
panda:
  start: {learning_rate: 1.0e-5, momentum: 0.9, units: 8, batch_size: 64, dropout: 0.2}
  days: 8
  sitter:
    mode: act
    patience: 2
    plateau: {standard_errors: 50}
    branch_and_compare: {epochs: 1, factors: [1, 0.1, 1000], budget_share: 0.45}
"""


@pytest.mark.cluster
@pytest.mark.skipif(not is_installed("jax"), reason="not installed")
def test_a_panda_whose_branches_are_lanes_on_ray_has_the_days_of_one_alone(tmp_path):
    (tmp_path / "own.yaml").write_text(PANDA)
    lanes = run_in(tmp_path, "run", "own.yaml", "--set", "panda.lanes=3", "--set", "name=lanes")
    assert lanes.returncode == 0, lanes.stdout + lanes.stderr
    alone = run_in(tmp_path, "run", "own.yaml", "--inline")
    assert alone.returncode == 0, alone.stdout + alone.stderr
    mine, theirs = (epochs_in(tmp_path, name) for name in ("lanes", "own"))
    assert mine.keys() == theirs.keys()
    for epoch, metrics in theirs.items():
        assert mine[epoch] == pytest.approx(metrics, abs=1e-4)
    [end] = ends_in(tmp_path, "lanes")
    assert end["path"] == "compiled"
    journal = (tmp_path / "runs" / "lanes" / "journal.jsonl").read_text()
    assert '"branch_and_compare"' in journal


@pytest.mark.cluster
@pytest.mark.skipif(not is_installed("jax"), reason="not installed")
def test_replicates_of_finalists_are_lanes_of_one_program(tmp_path):
    caviar = "num_samples: 3, lanes: 3, scheduler: none, finalists: {top: 3, seeds: 2, budget: 6}"
    text = EXPERIMENT[: EXPERIMENT.index("caviar")]
    (tmp_path / "own.yaml").write_text(f"backend: jax\n{text}caviar: {{{caviar}}}\n")
    done = run_in(tmp_path, "run", "own.yaml", "--inline")
    assert done.returncode == 0, done.stdout + done.stderr
    ends = {end["trial"]: end for end in ends_in(tmp_path, "own")}
    assert len(ends) == 9 and {end["path"] for end in ends.values()} == {"compiled"}
    file = tmp_path / "runs" / "own" / "epochs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for replicate in ("r1", "r2"):
        took = {row["seconds"] for row in rows if row["trial"].endswith(replicate)}
        assert len(took) == 3, "an epoch of three is one call, and takes each as long"


def ends_in(folder: Path, name: str) -> list[dict[str, object]]:
    """Return how a run's trials ended."""
    lines = (folder / "runs" / name / "trials.jsonl").read_text().splitlines()
    return [line for line in map(json.loads, lines) if "status" in line]


OWN_STEP = """
import jax
import keras
from keras import layers

class Own(keras.Model):
    def loss_of(self, trainable, fixed, x, y):
        p, fixed = self.stateless_call(trainable, fixed, x, training=True)
        return self.compute_loss(x, y, p), (p, fixed)

    def train_step(self, state, data):
        trainable, fixed, optimizer, metrics = state
        x, y = data[:2]
        (loss, (p, fixed)), slopes = jax.value_and_grad(self.loss_of, has_aux=True)(trainable, fixed, x, y)
        trainable, optimizer = self.optimizer.stateless_apply(optimizer, slopes, trainable)
        known = dict(zip(map(id, self.metrics_variables), metrics))
        logs, metrics = {}, []
        for metric in self.metrics:
            own = [known[id(variable)] for variable in metric.variables]
            seen = (loss,) if metric.name == "loss" else (y, p)
            own = metric.stateless_update_state(own, *seen)
            logs[metric.name] = metric.stateless_result(own)
            metrics += own
        return logs, (trainable, fixed, optimizer, metrics)

def build(hp, input_shape, num_classes):
    x = keras.Input(input_shape)
    h = layers.Dense(hp["units"], activation="relu")(layers.Flatten()(x))
    kind = Own if hp["own"] else keras.Model
    model = kind(x, layers.Dense(num_classes, activation="softmax")(h))
    model.compile(keras.optimizers.SGD(hp["learning_rate"]), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.mark.cluster
@pytest.mark.parametrize("backend", OTHERS[:1])
def test_a_step_of_ones_own_trains_on_jax_as_kerass_does(backend, tmp_path):
    (tmp_path / "net.py").write_text(OWN_STEP)
    space = "{own: 'choice([false, true])', units: 8, learning_rate: 0.1}"
    caviar = "{searcher: grid, scheduler: none, finalists: false}"
    (tmp_path / "own.yaml").write_text(
        f"model: ./net.py\nbackend: jax\ndata: digits\nepochs: 2\nseed: 3\nsearch_space: {space}\ncaviar: {caviar}\n"
    )
    done = run_in(tmp_path, "run", "own.yaml", "--inline")
    assert done.returncode == 0, done.stdout + done.stderr
    rows = epochs_in(tmp_path, "own")
    assert len(rows) == 4
    assert all(0 < row["loss"] < 3 and row["val_accuracy"] > 0.1 for row in rows.values())


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
