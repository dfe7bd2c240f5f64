"""What we use of Ray's own is there, and does what we rely on: a new release that breaks it fails here."""

from __future__ import annotations

import inspect
import os
import sys
from types import SimpleNamespace

import pytest
import ray
from ray._private import node, ray_constants, services
from ray._raylet import AuthenticationTokenLoader, Config
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from orchestrator.tuning.cluster import TOO_SLOW
from orchestrator.tuning.conductor import Conductor
from orchestrator.tuning.ray_internals import (
    closed_to_others,
    error_of,
    groups_of_their_own,
    worker_of,
)


def started_by_ray():
    return services.start_ray_process(["sleep", "60"], "test", fate_share=False).process


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Ray ends them by their group")
def test_what_ray_starts_leads_a_process_group_only_within_the_block():
    with groups_of_their_own():
        inside = started_by_ray()
    outside = started_by_ray()
    groups = [os.getpgid(process.pid) for process in (inside, outside)]
    for process in (inside, outside):
        process.kill()
        process.wait()
    assert groups == [inside.pid, os.getpgid(0)]


def test_rays_address_is_loopback_only_within_the_block(monkeypatch):
    monkeypatch.delenv(ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR, raising=False)
    monkeypatch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", True)
    monkeypatch.setattr(ray._private.worker, "_global_node", None)  # an earlier test's Ray
    with closed_to_others():
        assert services.get_node_ip_address() == "127.0.0.1"
    assert ray_constants.ENABLE_RAY_CLUSTER


def test_a_token_that_ray_finds_exists_only_within_the_block(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    loader = AuthenticationTokenLoader.instance()
    loader.reset_cache()
    with closed_to_others():
        os.environ["RAY_AUTH_MODE"] = "token"  # as ray.init does for a new cluster
        Config.initialize("")
        assert loader.get_raw_token() == os.environ["RAY_AUTH_TOKEN"]
    assert not {name for name in os.environ if name.startswith("RAY_AUTH_")}
    assert not loader.has_token()


def test_ray_takes_the_folder_that_it_is_given():
    assert '"_temp_dir"' in inspect.getsource(ray.init)


def test_ray_says_of_a_slow_start_what_we_look_for():
    assert TOO_SLOW in inspect.getsource(node)


def test_a_trial_of_tune_has_its_worker_and_what_befell_it(tmp_path):
    trial = Trial("nothing", stub=True)
    trial.storage = SimpleNamespace(trial_driver_staging_path=str(tmp_path))
    assert worker_of(trial) is None and error_of(trial) is None
    trial.temporary_state.ray_actor = "an actor"
    trial.handle_error(RuntimeError("the node is gone"))
    assert worker_of(trial) == "an actor"
    assert str(error_of(trial)).strip().endswith("the node is gone")


def test_tune_hands_each_report_over_as_it_comes():
    assert TrialScheduler().supports_buffered_results
    assert not Conductor(None, None).supports_buffered_results
