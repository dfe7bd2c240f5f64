"""A caviar on Ray clusters of several hosts, one of which is killed, one cut off, and one that joins late."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from orchestrator.records import RunFolder, RunRecords, read_run
from tests.chaos.comparison import differences
from tests.integration.hosts.hosts import PATIENCE_SECONDS, connected, why_not
from tests.integration.people import until
from tests.pages import FAIR

TRIALS, EPOCHS = 6, 12
SPACE = {
    "learning_rate": "loguniform(0.01, 0.3)", "momentum": "one_minus_loguniform(0.9, 0.99)",
    "units": "choice([128, 192])", "batch_size": 8,
}  # fmt: skip
EXPERIMENT = {
    "name": "hosts", "model": "./net.py", "data": "digits", "seed": 7, "epochs": EPOCHS,
    "search_space": SPACE, "caviar": {"num_samples": TRIALS, "scheduler": "none"},
    "retries": {"wait": "1 second"},
}  # fmt: skip
# Where there is a folder `arrived`, no model is built before four hosts have come to build one.
NET = """
import os
import time
from pathlib import Path

import keras

ARRIVED = Path(__file__).parent / "arrived"


def build(hp, input_shape, num_classes):
    if ARRIVED.is_dir():
        (ARRIVED / os.uname().nodename).touch()
        while len(list(ARRIVED.iterdir())) < 4:
            time.sleep(0.1)
    inputs = keras.Input(input_shape)
    x = keras.layers.Flatten()(inputs)
    for _ in range(3):
        x = keras.layers.Dense(hp.get("units", 128), use_bias=False)(x)
        x = keras.layers.Activation("relu")(keras.layers.BatchNormalization()(x))
        x = keras.layers.Dropout(0.2)(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(x))
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory) -> RunRecords:
    """The records of the same run, left alone in one process."""
    folder = tmp_path_factory.mktemp("alone")
    write_experiment(folder)
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", "hosts.yaml", "--inline"], cwd=folder,
        env=own | FAIR | {"PYTHONPATH": str(Path.cwd())}, capture_output=True, text=True, timeout=PATIENCE_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return read_run(folder / "runs" / "hosts")


@pytest.fixture(scope="module")
def survived(alone) -> RunRecords:
    """The records of a run on three hosts: host 4 joins, then host 2 is killed and host 3 cut off at once."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with connected(4) as hosts:
        hosts.start_ray(1, 2, 3)
        write_experiment(hosts.folder)
        arrived = hosts.folder / "arrived"
        arrived.mkdir()
        log, path = hosts.folder / "driver.log", hosts.folder / "runs" / "hosts"
        driver = hosts.drive("run", "hosts.yaml", log=log)
        until(
            lambda: driver.poll() is not None or len(list(arrived.iterdir())) == 3, PATIENCE_SECONDS
        )
        hosts.start_ray(4)
        until(lambda: driver.poll() is not None or in_training(path) == 4, PATIENCE_SECONDS)
        hosts.kill(2)
        hosts.cut(3)
        assert driver.wait(PATIENCE_SECONDS) == 0, log.read_text()
        yield read_run(path)


def write_experiment(folder: Path) -> None:
    (folder / "hosts.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (folder / "net.py").write_text(NET)


def in_training(path) -> int:
    """How many trials have finished an epoch and not ended."""
    if not RunFolder(path).epochs_file.exists():
        return 0
    records = read_run(path)
    begun = {row["trial"] for row in records.epochs}
    return len(begun) - sum(trial.ended is not None for trial in records.trials)


def test_no_trial_is_lost_and_no_epoch_lost_or_repeated(alone, survived):
    assert [trial.status for trial in survived.trials] == ["finished"] * TRIALS
    assert differences(alone, survived, deterministic=True) == []


def test_the_trials_of_both_lost_hosts_went_on_elsewhere(survived):
    retried = [event for event in survived.events if event["event"] == "retried"]
    lost = {event["trial"] for event in retried}
    assert len(retried) == len(lost) == 2
    # Of a killed host its workers' sockets tell first, when nobody knows yet that it is more than a process.
    kinds = sorted(event["failure"] for event in retried)
    assert kinds in (["node_lost", "node_lost"], ["node_lost", "worker_died"]), retried
    assert any("its node has died" in event["error"] for event in retried)
    attempts = {trial.trial: trial.attempts for trial in survived.trials}
    assert attempts == {trial: 2 if trial in lost else 1 for trial in attempts}
    for trial in survived.trials:
        if trial.trial in lost:
            assert host_of(trial) in ("orch-h1", "orch-h4")


def test_a_host_that_joins_is_used(survived):
    assert {"orch-h1", "orch-h4"} <= {host_of(trial) for trial in survived.trials}


def host_of(trial) -> str:
    return trial.worker.split(":")[0]
