"""Nothing in a run's folder, however it came there, makes us read or write outside of it."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from orchestrator.errors import ExperimentFileError, OrchestratorError, RecordError, RunExistsError
from orchestrator.records import (
    DamagedLineWarning,
    RunFolder,
    RunWriter,
    UnreadableRequestWarning,
    read_run,
    requests_of,
    run_names,
    write_atomically,
)

STARTED = {
    "event": "started", "trial": "00000", "index": 0, "seed": 1, "hyperparameters": {},
    "time": "2026-11-05T10:00:00+00:00",
}  # fmt: skip
ENTRY = {"kind": "applied", "action": "branch", "trial": "00000", "epoch": 1, "day": 1,
         "time": STARTED["time"]}  # fmt: skip
OUTSIDE = [
    "../../x",
    "/etc/passwd",
    "a/b",
    "..",
    ".",
    ".x",
    "",
    "x\0y",
    "x\n",
    "~root",
    "a\\b",
    7,
    None,
    ["x"],
]


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder.create(tmp_path / "runs", "one")
    folder.write_experiment("name: one\nsearch_space: {}\n")
    folder.write_manifest({})
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started("00000", 0, 1, {})
        writer.epochs([{"trial": "00000", "epoch": 1, "metrics": {}, "seconds": 1.0}])
    folder.requests.mkdir()
    return folder


@pytest.mark.parametrize(
    "name", ["../x", "/elsewhere/x", "a/b", "..", ".", ".x", "", "x\0y", "x\n", "~root"]
)
def test_a_run_cannot_be_named_so_that_it_lies_elsewhere(tmp_path, name):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ExperimentFileError):
        RunFolder.create(tmp_path / "runs", name)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", OUTSIDE)
@pytest.mark.parametrize("field", ["trial", "origin"])
def test_a_trial_in_a_record_cannot_be_named_so(folder, name, field):
    value = {"trial": name} if field == "origin" else name
    folder.trials_file.write_text(json.dumps({**STARTED, field: value}) + "\n")
    with pytest.raises(RecordError, match=r"trials\.jsonl, line 1: (trial|origin): "):
        read_run(folder.path, exact=True)
    with pytest.warns(DamagedLineWarning, match=r"trials\.jsonl, line 1: "):
        assert read_run(folder.path).trials == ()


@pytest.mark.parametrize("name", [name for name in OUTSIDE if name is not None])
def test_a_branch_in_the_journal_cannot_be_named_so(folder, name):
    folder.journal_file.write_text(json.dumps({**ENTRY, "branch": name}) + "\n")
    with pytest.raises(RecordError, match=r"journal\.jsonl, line 1: branch"):
        read_run(folder.path, exact=True)
    with pytest.warns(DamagedLineWarning, match=r"journal\.jsonl, line 1: "):
        assert read_run(folder.path).journal == ()


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_request_to_a_trial_named_so_is_none(folder, name):
    asked = {"action": "note", "trial": name, "arguments": {}, "who": "x", "time": "now"}
    (folder.requests / "1.json").write_text(json.dumps(asked))
    with pytest.warns(UnreadableRequestWarning):
        assert requests_of(folder) == []


@pytest.mark.parametrize(
    "part",
    ["experiment.yaml", "manifest.json", "trials.jsonl", "epochs.jsonl", "events.jsonl", "best", "logs",
     "checkpoints", "requests"],
)  # fmt: skip
@pytest.mark.parametrize("relative", [False, True])
def test_a_part_of_a_run_that_is_a_link_is_refused(folder, tmp_path, part, relative):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder.path / part, elsewhere)
    (folder.path / part).symlink_to("../../elsewhere" if relative else elsewhere)
    with pytest.raises(RecordError, match="Received: 'a link'"):
        RunFolder.open(folder.path)


def test_a_link_deep_in_a_run_is_refused(folder, tmp_path):
    (folder.checkpoints / "00000").mkdir()
    (folder.checkpoints / "00000" / "day-00001.npz").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RecordError, match=r"day-00001\.npz"):
        read_run("one", folder.path.parent)


def test_a_pipe_in_place_of_a_record_is_refused_and_not_waited_for(folder):
    folder.epochs_file.unlink()
    os.mkfifo(folder.epochs_file)
    with pytest.raises(RecordError, match="something else"):
        read_run(folder.path)


def test_a_run_that_is_a_link_is_none_of_this_place(folder, tmp_path):
    (tmp_path / "runs" / "two").symlink_to(folder.path)
    assert run_names(tmp_path / "runs") == ["one"]
    with pytest.raises(OrchestratorError):
        RunFolder.open("two", tmp_path / "runs")
    with pytest.raises(RecordError, match="a link"):
        RunFolder.open(tmp_path / "runs" / "two")
    with pytest.raises(RunExistsError):
        RunFolder.create(tmp_path / "runs", "two")


def test_a_folder_of_runs_may_be_a_link(folder, tmp_path):
    (tmp_path / "mine").symlink_to(tmp_path / "runs")
    assert RunFolder.open("one", tmp_path / "mine").name == "one"


def test_a_request_that_is_a_link_a_pipe_or_huge_is_left_out(folder, tmp_path):
    good = {"action": "note", "trial": "00000", "arguments": {}, "who": "x", "time": "now"}
    (tmp_path / "good.json").write_text(json.dumps(good))
    (folder.requests / "1.json").symlink_to(tmp_path / "good.json")
    os.mkfifo(folder.requests / "2.json")
    (folder.requests / "3.json").write_text(json.dumps({**good, "why": "x" * 2_000_000}))
    (folder.requests / "4.json").mkdir()
    (folder.requests / "5.json").write_text("[" * 100_000)
    (folder.requests / "6.json").write_text(json.dumps(good))
    with pytest.warns(UnreadableRequestWarning):
        assert [request.id for request in requests_of(folder)] == ["6"]


def test_what_is_written_whole_is_not_written_through_a_link(tmp_path):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "manifest.json").symlink_to(precious)
    (tmp_path / f".manifest.json.{os.getpid()}.part").symlink_to(precious)
    write_atomically(tmp_path / "manifest.json", "new")
    assert precious.read_text() == "precious"
    assert (tmp_path / "manifest.json").read_text() == "new"
    assert not (tmp_path / "manifest.json").is_symlink()


def test_records_are_not_appended_to_what_a_link_leads_to(folder, tmp_path):
    shutil.move(folder.trials_file, tmp_path / "precious")
    before = (tmp_path / "precious").read_bytes()
    folder.trials_file.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        RunWriter(folder)
    assert (tmp_path / "precious").read_bytes() == before


def test_a_run_moved_or_deleted_while_it_is_looked_at_is_no_link(folder, monkeypatch):
    real = os.scandir

    def vanishing(path):
        if str(path).endswith("logs"):
            raise FileNotFoundError(path)
        return real(path)

    monkeypatch.setattr(os, "scandir", vanishing)
    assert RunFolder.open(folder.path).name == "one"


def test_a_name_too_long_for_a_folder_is_that_of_no_run(tmp_path):
    with pytest.raises(OrchestratorError, match="expected a run's name"):
        RunFolder.open("a" * 300, tmp_path)
