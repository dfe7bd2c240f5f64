from __future__ import annotations

import psutil
import pytest

from orchestrator.errors import PlaceError
from orchestrator.experiment.doctor import disk, gpus, memory, packages, ray_answers, shared_memory
from orchestrator.tuning.cluster import ray_resources

ALL = dict.fromkeys(("ray", "keras", "numpy", "pandas", "scikit-learn", "tensorflow-cpu"), "1")


def test_a_missing_package_fails_with_the_command_that_installs_it():
    found = packages({name: number for name, number in ALL.items() if name != "keras"})
    assert (found.status, found.advice) == ("fail", "pip install keras")
    assert packages(ALL).status == "ok"


@pytest.mark.parametrize(("gib", "status"), [(0.5, "fail"), (2.5, "warn"), (4, "ok")])
def test_memory_is_judged_by_the_workers_it_holds(gib, status):
    assert memory(gib, 4).status == status


def test_gpus_that_tensorflow_cannot_use_are_told():
    assert gpus(0, ALL).status == "ok"
    assert gpus(2, ALL).status == "warn"
    assert gpus(2, {"tensorflow": "2"}).status == "ok"


def test_a_storage_to_be_made_is_judged_by_where_it_will_lie(tmp_path):
    assert disk("disk", tmp_path / "a" / "b").status in ("ok", "warn")
    (tmp_path / "file").write_text("")
    assert disk("disk", tmp_path / "file" / "runs").status == "fail"


def test_a_system_without_shared_memory_is_fine(tmp_path):
    assert shared_memory(tmp_path / "none").status == "ok"


def test_an_address_that_nothing_listens_at_fails_at_once(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = ray_answers()
    assert found.status == "fail" and "RAY_ADDRESS" in found.advice


@pytest.mark.integration
def test_ray_is_started_asked_and_gone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    assert ray_resources(1)["CPU"] == 1
    assert not [child for child in psutil.Process().children(recursive=True) if is_ray(child)]


@pytest.mark.integration
def test_a_ray_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(PlaceError, match=r"nothing in 0\.1 s"):
        ray_resources(1, seconds=0.1)


def is_ray(process: psutil.Process) -> bool:
    return any(name in process.name() for name in ("raylet", "gcs_server"))
