"""Ray Tune comes without Ray Data, which is there for whoever wants it."""

from __future__ import annotations

import subprocess
import sys

from ray.tune.execution import experiment_state

from orchestrator.tuning.ray_tune import without_datasets

LATER = """
import sys
import orchestrator.tuning.tune
print(sorted(name for name in sys.modules if name.startswith("ray.data")))
import ray.data
print(ray.data.Dataset.__module__, ray.data.from_items.__module__)
"""
FIRST = "import ray.data; mine = ray.data; import orchestrator.tuning.tune; print(ray.data is mine)"


def said_by(program: str) -> list[str]:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_ray_data_is_imported_when_it_is_first_used():
    assert said_by(LATER) == ["[]", "ray.data.dataset ray.data.read_api"]


def test_what_was_imported_before_stays():
    assert said_by(FIRST) == ["True"]


def test_tunes_snapshots_look_for_data_sets_outside_of_the_block_alone():
    usual = experiment_state.out_of_band_serialize_dataset
    with without_datasets(), experiment_state.out_of_band_serialize_dataset() as nothing:
        assert nothing is None and experiment_state.out_of_band_serialize_dataset is not usual
    assert experiment_state.out_of_band_serialize_dataset is usual
