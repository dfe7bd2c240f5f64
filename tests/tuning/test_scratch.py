"""A killed driver's temporary folders go at the next start; nobody else's do."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from orchestrator.records.lock.driver import this_process
from orchestrator.tuning.scratch import OWNER, scratch_folder

if not this_process().boot_id:
    pytest.skip("this system does not tell its boots apart", allow_module_level=True)


@pytest.fixture
def dead():
    """Who has just died here."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return replace(this_process(), pid=ended.pid)


def left_by(owner, tmp_path):
    folder = tmp_path / "orch-x"
    (folder / "session" / "logs").mkdir(parents=True)
    if owner is not None:
        (folder / OWNER).write_text(json.dumps(asdict(owner)))
    return folder


def stays(folder):
    with scratch_folder("orch-", str(folder.parent)):
        return folder.exists()


def test_a_folder_is_there_for_the_block_alone(tmp_path):
    with scratch_folder("orch-", str(tmp_path)) as own:
        assert [file.name for file in Path(own).iterdir()] == [OWNER]
    assert list(tmp_path.iterdir()) == []


def test_a_dead_drivers_folder_is_removed(tmp_path, dead):
    assert not stays(left_by(dead, tmp_path))


def test_what_cannot_be_removed_yet_is_at_a_later_start(tmp_path, dead, monkeypatch):
    folder = left_by(dead, tmp_path)
    with monkeypatch.context() as patched:  # somebody goes on writing there
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        assert stays(folder)
    assert not stays(folder)


def test_a_reused_process_number_does_not_keep_it(tmp_path):
    earlier = replace(this_process(), process_started=this_process().process_started - 100)
    assert not stays(left_by(earlier, tmp_path))


@pytest.mark.parametrize("elsewhere", [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}])
def test_one_of_another_machine_or_container_stays(tmp_path, dead, elsewhere):
    assert stays(left_by(replace(dead, **elsewhere), tmp_path))


def test_a_living_drivers_folder_stays(tmp_path):
    with scratch_folder("orch-", str(tmp_path)) as first, scratch_folder("orch-", str(tmp_path)):
        assert Path(first).is_dir()


@pytest.mark.parametrize("owner", ["", "{}", "[1]", '{"pid": "x"}'])
def test_one_that_does_not_say_whose_it_is_stays(tmp_path, owner):
    folder = left_by(None, tmp_path)
    assert stays(folder)
    (folder / OWNER).write_text(owner)
    assert stays(folder)


def test_a_link_is_not_followed(tmp_path, dead):
    folder = left_by(dead, tmp_path / "elsewhere")
    (tmp_path / "orch-link").symlink_to(folder)
    assert stays(tmp_path / "orch-link")
    assert (folder / "session").exists()
