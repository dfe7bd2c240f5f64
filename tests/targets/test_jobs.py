"""Handles, the registry of jobs, their logs, and bringing their runs back."""

from __future__ import annotations

from pathlib import Path
from threading import Timer

import pytest

from orchestrator.errors import PlaceError, RequestError, RunExistsError, UnknownNameError
from orchestrator.targets import Job, fetch_run, find_job, known_jobs, parse_handle, remember
from orchestrator.targets.job import JobState, read_log
from orchestrator.targets.slurm import NATIVE, _reason, _state
from orchestrator.tuning.machine import available_cores


def job(results: str, run: str = "digits", number: str = "421") -> Job:
    return Job("slurm", number, run, "2026-11-22T12:00:00+00:00", results, {"a": 1})


@pytest.mark.parametrize("text", ["slurm:421", "slurm://", "421", "slurm://a b", "://x"])
def test_what_is_no_handle_is_refused(text):
    with pytest.raises(UnknownNameError, match="slurm://421"):
        parse_handle(text)


def test_a_handle_of_an_unknown_place_lists_those_that_are_known():
    with pytest.raises(UnknownNameError, match=r"Did you mean 'slurm'.*Known: .*local"):
        parse_handle("slurn://421")


def test_the_latest_job_of_a_handle_is_the_one_meant(here):
    remember(job("/a", "first"))
    remember(job("/b", "other", "7"))
    remember(job("/c", "second"))
    assert [(each.id, each.run) for each in known_jobs()] == [("7", "other"), ("421", "second")]
    assert find_job("slurm://421") == job("/c", "second")


def test_a_job_from_elsewhere_is_known_by_its_name_alone(here):
    assert find_job("slurm://99") == Job("slurm", "99")
    assert not find_job("slurm://99").known


def make_run(folder: Path) -> Path:
    (folder / "digits" / "best").mkdir(parents=True)
    (folder / "digits" / "experiment.yaml").write_text("name: digits\n")
    (folder / "digits" / "best" / "model.keras").write_bytes(b"weights")
    return folder


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_run_is_fetched_whole_from_a_folder_or_a_uri(scheme, here):
    make_run(here / "far")
    fetched = fetch_run(job(f"{scheme}{here}/far"), here / "near")
    assert fetched == here / "near" / "digits"
    assert (fetched / "best" / "model.keras").read_bytes() == b"weights"
    assert [path.name for path in (here / "near").iterdir()] == ["digits"]


def test_what_was_fetched_is_not_overwritten(here):
    make_run(here / "far")
    fetch_run(job(str(here / "far")), here / "near")
    with pytest.raises(RunExistsError, match="not overwritten"):
        fetch_run(job(str(here / "far")), here / "near")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_run_that_is_not_there_yet_cannot_be_fetched(scheme, here):
    (here / "far").mkdir()
    with pytest.raises(UnknownNameError, match="not there"):
        fetch_run(job(f"{scheme}{here}/far"), here / "near")
    assert list(here.glob("near/*")) == []


def test_a_run_is_fetched_while_its_checkpoints_are_renamed(here):
    checkpoints = make_run(here / "far") / "digits" / "checkpoints"
    checkpoints.mkdir()
    (checkpoints / "0.npz.part").symlink_to("gone")  # listed, and not there when it is read

    def rename() -> None:
        (checkpoints / "0.npz.part").unlink()
        (checkpoints / "0.npz").write_bytes(b"weights")

    Timer(0.3, rename).start()
    fetched = fetch_run(job(str(here / "far")), here / "near")
    assert [path.name for path in (fetched / "checkpoints").iterdir()] == ["0.npz"]


def test_what_is_gone_each_time_is_named_and_nothing_is_left(here):
    (make_run(here / "far") / "digits" / "0.npz").symlink_to("gone")
    with pytest.raises(PlaceError, match=r"0\.npz, gone each time"):
        fetch_run(job(str(here / "far")), here / "near")
    assert list((here / "near").iterdir()) == []


def test_a_filesystem_that_nobody_knows_is_one_sentence(here):
    with pytest.raises(PlaceError, match="nowhere://"):
        fetch_run(job("nowhere://bucket/runs"), here / "near")


def test_a_log_is_followed_until_the_job_ends(here):
    log = here / "log"
    states = iter(["queued", "running", "running", "finished"])

    def state() -> JobState:
        with log.open("a") as file:
            file.write("line\n")
        return JobState(next(states), "")  # type: ignore[arg-type]

    assert "".join(read_log(log, True, state)) == "line\n" * 4


@pytest.mark.parametrize(
    ("word", "code", "state"),
    [("RUNNING", "0:0", "running"), ("PENDING", "0:0", "queued"), ("COMPLETED", "0:0", "finished"),
     ("FAILED", "130:0", "stopped"), ("FAILED", "1:0", "failed"), ("FAILED", "0:9", "failed"),
     ("FAILED", "0:15", "stopped"), ("FAILED", "", "failed"),
     ("CANCELLED", "0:15", "stopped"), ("TIMEOUT", "0:0", "stopped"), ("NEW_WORD", "0:0", "lost")],
)  # fmt: skip
def test_slurms_words_become_ours(word, code, state):
    assert _state(word, code, None).state == state


def test_a_reason_says_where_and_how_often():
    fields = {"NodeList": "n[1-2]", "Reason": "None", "Restarts": "2"}
    assert _reason(fields) == "on n[1-2], restarted 2 times"
    assert _reason({"NodeList": "(null)", "Reason": "Priority", "Restarts": "0"}) == "Priority"
    assert {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "PREEMPTED"} <= set(NATIVE)


def test_a_job_of_slurm_uses_the_cores_it_was_given(monkeypatch):
    before = available_cores()
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", "1")
    assert available_cores() == 1
    monkeypatch.setenv("SLURM_CPUS_ON_NODE", str(before + 9))
    assert available_cores() == before


def test_stopping_a_job_takes_no_options_of_a_panda(here):
    from orchestrator.cli.submit import stop_job

    with pytest.raises(RequestError, match="--why"):
        stop_job("slurm://421", {"--why": "enough"})
