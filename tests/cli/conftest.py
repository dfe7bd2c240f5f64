"""The command line in an empty folder of its own, and runs written there by the real writer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from orchestrator.cli import app
from orchestrator.records import RunFolder, RunWriter, TrialEnd, trial_name
from tests.preloaded import PYTHONPATH

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder, 80 columns, no cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


@pytest.fixture
def cli():
    """Run a command in this process; the result has exit_code, stdout and stderr."""

    def call(*arguments: object):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return call


@pytest.fixture
def process():
    """Run a command in a process of its own."""

    def call(*arguments: object, then: str = "", **environment: str):
        command = [sys.executable, "-m", "orchestrator", *map(str, arguments)]
        return subprocess.run(
            ["bash", "-c", f'"$@" {then}', "bash", *command],
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, **environment},
        )

    return call


def write_run(name: str, trials: int = 3, status: str = "run_finished", **changes: object) -> None:
    """Write ``runs/<name>``: its trials finished but for the last, which failed."""
    folder = RunFolder.create("runs", name)
    experiment = {
        "name": name,
        "model": "mlp",
        "data": {"source": "digits"},
        "search_space": {"learning_rate": "loguniform(1e-4, 1)", "units": "integer(16, 64)"},
        "strategy": "caviar",
        "metric": "val_accuracy",
        "mode": "max",
        "epochs": 2,
        "caviar": {"num_samples": trials},
    }
    folder.write_experiment(yaml.safe_dump({**experiment, **changes}))
    with RunWriter(folder) as writer:
        writer.event("run_started")
        for index in range(trials):
            _write_trial(writer, index, fails=index == trials - 1)
        if status == "run_finished":
            (folder.best / "model.keras").write_bytes(b"a model")
            test = {"loss": 0.2, "accuracy": 0.875}
            writer.event("winner", trial="00000", epoch=2, metric=0.9, validation={}, test=test)
        writer.event(status)


def _write_trial(writer: RunWriter, index: int, fails: bool) -> None:
    trial = trial_name(index)
    writer.trial_started(trial, index, index, {"learning_rate": 0.1 / (index + 1), "units": 32})
    if fails:
        writer.trial_ended(TrialEnd(trial, "failed", 0.1, error="ValueError: units"))
        return
    for epoch in (1, 2):
        value = 0.8 + 0.05 * epoch - index / 100
        metrics = {"val_accuracy": value, "loss": 1.0}
        writer.epochs([{"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}])
    writer.trial_ended(TrialEnd(trial, "finished", 1.0, parameters=1000, path="compiled"))


@pytest.fixture
def a_run():
    return write_run
