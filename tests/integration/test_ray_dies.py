"""A run whose Ray is killed is interrupted: a sentence, an event, the exit code, and it goes on afterwards."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import psutil
import pytest

from orchestrator import resume
from orchestrator.records import read_run
from tests.preloaded import PYTHONPATH

FILE = """
name: one
trial: ./train.py:train
metric: score
mode: max
epochs: 40
strategy: caviar
caviar: {num_samples: 1, scheduler: none}
search_space: {x: "uniform(0, 1)"}
"""
TRAIN = """
import os, time

def train(hp, report):
    for epoch in range(40):
        time.sleep(float(os.environ.get("PAUSE", "0")))
        report(score=hp["x"])
"""


def children_called(name, parent):
    found = []
    for child in psutil.Process(parent).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            found += [child] if child.name() == name else []
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="processes are waited for by pidfd")
def test_a_run_whose_raylet_is_killed_is_interrupted_and_can_continue(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "e.yaml").write_text(FILE)
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    with subprocess.Popen(
        [sys.executable, "-P", "-m", "orchestrator", "run", "e.yaml"], cwd=tmp_path, text=True,
        env={**environment, "PYTHONPATH": PYTHONPATH, "PAUSE": "2"}, stderr=subprocess.PIPE,
    ) as running:  # fmt: skip
        while (
            not (epochs := tmp_path / "runs/one/epochs.jsonl").exists() or not epochs.stat().st_size
        ):
            assert running.poll() is None
            time.sleep(0.1)
        for raylet in children_called("raylet", running.pid):  # what is below it ends as it does
            raylet.kill()
        assert running.wait(300) == 130
        said = running.stderr.read()
    assert "Ray's process raylet ended: the run is interrupted; resume continues it\n" in said
    assert "Traceback" not in said and " (raylet) " not in said
    records = read_run(tmp_path / "runs/one")
    assert records.standing.state == "interrupted"
    assert records.events[-1]["reason"] == "Ray's process raylet ended"
    assert resume(tmp_path / "runs/one", progress=False, executor="inline").status == "finished"
