"""A small finished run, written by the real writer; its best trials have high learning rates."""

from __future__ import annotations

import math

import pytest
import yaml

from orchestrator.records import RunFolder, RunRecords, RunWriter, TrialEnd, read_run, trial_name

SPACE = {
    "learning_rate": "loguniform(1e-4, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "units": {"distribution": "integer", "min": 16, "max": 64, "when": {"optimizer": "adam"}},
    "optimizer": "choice([sgd, adam])",
}


def _write_experiment(folder: RunFolder, **changes: object) -> None:
    experiment = {
        "name": folder.name,
        "model": "mlp",
        "data": {"source": "digits"},
        "search_space": SPACE,
        "strategy": "caviar",
        "metric": "val_accuracy",
        "mode": "max",
        "epochs": 3,
        "caviar": {"num_samples": 12},
    }
    folder.write_experiment(yaml.safe_dump({**experiment, **changes}, sort_keys=False))


def epoch(trial: str, number: int, value: float, **others: float) -> dict:
    metrics = {"val_accuracy": value, **others}
    return {"trial": trial, "epoch": number, "metrics": metrics, "seconds": 0.1}


def _write_trial(writer: RunWriter, index: int, values: list[float]) -> str:
    trial = trial_name(index)
    hyperparameters = {
        "learning_rate": 1.0 - index / 100,
        "momentum": 0.95,
        "one_minus_momentum": 0.05,
        "optimizer": "sgd",
    }
    if index % 2:
        hyperparameters |= {"optimizer": "adam", "units": 32}
    writer.trial_started(trial, index, index, hyperparameters)
    writer.epochs(epoch(trial, number, value, loss=1.0) for number, value in enumerate(values, 1))
    return trial


@pytest.fixture
def write_experiment():
    return _write_experiment


@pytest.fixture
def write_trial():
    return _write_trial


@pytest.fixture
def run(tmp_path) -> RunRecords:
    folder = RunFolder.create(tmp_path / "runs", "digits")
    _write_experiment(folder)
    with RunWriter(folder) as writer:
        writer.event("run_started")
        for index in range(8):
            trial = _write_trial(writer, index, [0.5, 0.9 - index / 100, 0.8 - index / 100])
            writer.trial_ended(TrialEnd(trial, "finished", 1.5, parameters=1000, path="compiled"))
        stop = {"scheduler": "asha", "epoch": 1, "value": 0.51, "cutoff": 0.83}
        trial = _write_trial(writer, 8, [0.51])
        writer.trial_ended(TrialEnd(trial, "stopped", 0.5, stopped_by=stop, parameters=1000))
        trial = _write_trial(writer, 9, [])
        log = folder.write_log(trial, "Traceback …")
        message = "ValueError: a | b \x1b[31m 100%_"
        writer.trial_ended(TrialEnd(trial, "failed", 0.1, error=message, error_file=log))
        trial = _write_trial(writer, 10, [math.nan])
        writer.trial_ended(TrialEnd(trial, "diverged", 0.1))
        writer.event(
            "winner",
            trial="00000",
            epoch=2,
            metric="val_accuracy",
            validation={"loss": 0.1, "accuracy": 0.91234},
            validation_before_recalibration={"loss": 0.2, "accuracy": 0.9},
            test={"loss": 0.15, "accuracy": 0.88888},
        )
        writer.event("run_finished")
    return read_run(folder.path)
