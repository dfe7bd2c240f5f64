"""What we use of Ray's own is there, and does what we rely on: a new release that breaks it fails here."""

from __future__ import annotations

import inspect
import os
import sys
from types import SimpleNamespace

import pytest
import ray
from ray._private import node, ray_constants, services, utils, worker
from ray._raylet import AuthenticationTokenLoader, Config
from ray.core.generated import common_pb2
from ray.job_config import JobConfig
from ray.tune.execution import class_cache
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from orchestrator.training.fork_server import SOCKET
from orchestrator.tuning import ray_internals
from orchestrator.tuning.cluster import TOO_SLOW
from orchestrator.tuning.conductor import Conductor
from orchestrator.tuning.ray_internals import (
    STAND_INS,
    closed_to_others,
    error_of,
    forked_workers,
    groups_of_their_own,
    installed_first,
    without_what_serves_nobody,
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


def words_of_a_raylet(monkeypatch) -> list[str]:
    """What Ray would start a raylet with in the block, if it started a process."""
    started: list[list[str]] = []
    monkeypatch.setattr(
        services, "start_ray_process", lambda words, *_, **__: started.append(words)
    )
    with without_what_serves_nobody():
        words = ["--num_prestart_python_workers=2", "--dashboard_agent_command=python agent.py"]
        services.start_ray_process(["raylet", *words])
        for name in ("start_monitor", "start_log_monitor"):
            getattr(node.Node, name)(None)
        node.Node.start_api_server(None, include_dashboard=False, raise_on_failure=False)
    return started[0]


@pytest.mark.skipif(sys.platform != "linux", reason="only there")
def test_a_local_cluster_has_stand_ins_for_agents_and_none_of_the_rest(monkeypatch):
    monkeypatch.setenv("RAY_enable_metrics_collection", "0")
    usual = node.Node.start_monitor
    idle, agent = words_of_a_raylet(monkeypatch)[1:]
    assert idle == "--num_prestart_python_workers=0" and node.Node.start_monitor is usual
    assert agent.startswith("--dashboard_agent_command=") and "stand_ins/agent.py" in agent
    assert agent.endswith(" python agent.py")
    assert utils.get_dashboard_dependency_error.__module__ == utils.__name__


def test_who_asks_for_rays_metrics_gets_its_agents(monkeypatch):
    monkeypatch.setenv("RAY_enable_metrics_collection", "1")
    with without_what_serves_nobody():
        assert node.Node.start_api_server.__qualname__ == "Node.start_api_server"


def test_ray_starts_nothing_else_by_these_names():
    made = inspect.getsource(services.start_raylet)
    for ours in (
        "--dashboard_agent_command=",
        "--runtime_env_agent_command=",
        "start_ray_process(",
    ):
        assert ours in made
    assert "--num_prestart_python_workers=" in made
    assert "utils.get_dashboard_dependency_error()" in made


def test_workers_are_told_which_script_starts_them_by_the_name_that_is_put_in_its_place(tmp_path):
    socket = tmp_path / "forks"
    with forked_workers(socket):
        assert str(STAND_INS / "worker.py") == ray_constants.SETUP_WORKER_FILENAME
        assert os.environ[SOCKET] == str(socket)
    assert SOCKET not in os.environ and "SETUP_WORKER_FILENAME" in inspect.getsource(node)


def test_tune_gives_its_workers_variables_only_in_a_cluster_that_was_joined(monkeypatch):
    asked = []
    monkeypatch.setattr(class_cache.ray, "remote", lambda **how: asked.append(how) or (lambda c: c))
    for started in ({}, {"raylet": None}):
        monkeypatch.setattr(ray_internals, "core_processes", lambda started=started: started)
        with ray_internals.workers_like_all_others():
            class_cache._ActorClassCache().get(object)
    joined, ours = (how["runtime_env"]["env_vars"] for how in asked)
    assert joined["PL_DISABLE_FORK"] == "1" and not ours


def folders_told_to_workers() -> list[str]:
    job = JobConfig()
    job._py_driver_sys_path.append("/the/drivers")  # as ray.init does
    return [*common_pb2.JobConfig.FromString(job._serialize()).py_driver_sys_path]


def test_workers_are_told_no_folder_of_the_drivers_within_the_block():
    with installed_first():
        assert not folders_told_to_workers()
    assert folders_told_to_workers() == ["/the/drivers"]
    assert "_py_driver_sys_path" in inspect.getsource(worker.connect)


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
