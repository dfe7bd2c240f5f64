from __future__ import annotations

import json

import pytest

from orchestrator.errors import ExperimentFileError, PlaceError, RunExistsError, UnknownNameError
from orchestrator.records import RunFolder, run_names, write_atomically


def make(storage, name):
    folder = RunFolder.create(storage, name)
    folder.write_experiment(f"name: {name}\n")
    return folder


def test_a_new_run_has_its_folders(tmp_path):
    folder = make(tmp_path / "deep" / "runs", "digits")
    assert folder.path == tmp_path / "deep" / "runs" / "digits"
    assert folder.best.is_dir() and folder.logs.is_dir() and folder.checkpoints.is_dir()


def test_an_existing_run_is_never_overwritten(tmp_path):
    make(tmp_path, "digits")
    with pytest.raises(RunExistsError, match=r"orchestrator show \S*digits'.*--set name="):
        RunFolder.create(tmp_path, "digits")


def test_a_link_of_that_name_is_not_followed(tmp_path):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "digits").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RunExistsError):
        RunFolder.create(tmp_path / "runs", "digits")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "a/b", ".hidden", "a\n", "a b"])
def test_a_name_cannot_leave_the_storage(tmp_path, name):
    with pytest.raises(ExperimentFileError, match="folder name"):
        RunFolder.create(tmp_path / "runs", name)
    assert not (tmp_path / "runs").exists()


def test_a_run_is_found_by_name_and_by_path(tmp_path, monkeypatch):
    folder = make(tmp_path / "runs", "digits")
    assert RunFolder.open("digits", tmp_path / "runs") == folder
    assert RunFolder.open(folder.path).path == folder.path
    monkeypatch.chdir(folder.path)
    assert RunFolder.open(".").name == "digits"


def test_an_unknown_run_names_the_near_miss(tmp_path):
    make(tmp_path, "digits")
    make(tmp_path, "mnist")
    with pytest.raises(UnknownNameError, match=r"Did you mean 'digits'\? Known: digits, mnist"):
        RunFolder.open("digit", tmp_path)
    with pytest.raises(UnknownNameError, match="holds no runs"):
        RunFolder.open("digit", tmp_path / "none")


def test_only_folders_with_an_experiment_are_runs(tmp_path):
    make(tmp_path, "b")
    make(tmp_path, "a")
    (tmp_path / "other").mkdir()
    assert run_names(tmp_path) == ["a", "b"]


def test_the_manifest_and_logs_are_kept(tmp_path):
    folder = make(tmp_path, "digits")
    folder.write_manifest({"seed": 3, "machine": {"cores": 2}})
    assert json.loads(folder.manifest_file.read_text()) == {
        "seed": 3,
        "machine": {"cores": 2},
        "format": 2,
    }
    relative = folder.write_log("00007", "Traceback ✗")
    assert relative == "logs/00007.txt"
    assert (folder.path / relative).read_text(encoding="utf-8") == "Traceback ✗"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    file = tmp_path / "a.txt"
    write_atomically(file, "old")
    with pytest.raises(TypeError):
        write_atomically(file, ["new"])  # type: ignore[arg-type]
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_place_that_cannot_hold_a_run_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PlaceError, match=r"storage_path: .*file.*digits"):
        RunFolder.create(tmp_path / "file", "digits")
