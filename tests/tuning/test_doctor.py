from __future__ import annotations

import subprocess
import sys
import tempfile

import psutil
import pytest

from orchestrator.errors import PlaceError
from orchestrator.tuning.cluster import ray_resources
from orchestrator.tuning.doctor import (
    disk,
    encodings,
    folder_modes,
    gpus,
    hidden_files,
    leftovers,
    limits,
    memory,
    packages,
    ray_answers,
    shared_memory,
)

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


@pytest.mark.parametrize(
    ("names", "stdout", "status"),
    [("utf-8", "UTF-8", "ok"), ("utf-8", "ascii", "warn"), ("latin-1", "utf-8", "warn")],
)
def test_what_cannot_hold_every_character_is_told(names, stdout, status):
    assert encodings(names, stdout).status == status


def test_a_file_of_an_installed_modules_name_is_told(tmp_path):
    assert hidden_files(tmp_path).status == "ok"
    (tmp_path / "queue.py").touch()
    found = hidden_files(tmp_path)
    assert found.status == "warn" and "queue.py" in found.finding


def test_a_folder_that_anybody_may_change_is_told(tmp_path):
    tmp_path.chmod(0o755)
    assert folder_modes(tmp_path).status == "ok"
    tmp_path.chmod(0o777)
    assert folder_modes(tmp_path).status == "warn"


def test_what_a_dead_driver_left_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert leftovers().status == "ok"
    code = (
        "import os, sys; from orchestrator.tuning.scratch import scratch_folder\n"
        "with scratch_folder('orch-', sys.argv[1]): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    found = leftovers()
    assert found.status == "warn" and "1 folders and 0 processes" in found.finding


def test_limits_in_rays_way_fail():
    code = "from orchestrator.tuning.doctor import limits; print(limits().status)"
    line = f'ulimit -n 64; exec "{sys.executable}" -c "{code}"'
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
    assert ended.stdout == "fail\n"
    assert limits().status == "ok"


def test_a_system_without_shared_memory_is_fine(tmp_path):
    assert shared_memory(tmp_path / "none").status == "ok"


def test_an_address_that_nothing_listens_at_fails_at_once(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    found = ray_answers()
    assert found.status == "fail" and "RAY_ADDRESS" in found.advice


@pytest.mark.integration
def test_ray_is_started_asked_and_gone(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = ray_processes()  # the one that other tests share
    assert ray_resources(1)["CPU"] == 1
    assert ray_processes() <= before


@pytest.mark.integration
def test_a_ray_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(PlaceError, match=r"nothing in 0\.1 s"):
        ray_resources(1, seconds=0.1)


def ray_processes() -> set[int]:
    below = psutil.Process().children(recursive=True)
    return {each.pid for each in below if each.name() in ("raylet", "gcs_server")}
