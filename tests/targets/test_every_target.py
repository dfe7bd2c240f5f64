"""The exam that every target passes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

import pytest
import yaml

from orchestrator.errors import PlaceError, RunExistsError, UnknownNameError
from orchestrator.experiment import submission as jobs
from orchestrator.experiment.submission import submit
from orchestrator.targets import TARGETS, find_job, find_target, known_jobs, parse_handle
from orchestrator.targets.job import State
from tests.targets.places import PLACES

PATIENCE_SECONDS = 300


def test_every_target_is_examined():
    assert set(TARGETS) == set(PLACES)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "__pycache__" not in path.parts)


def test_preparing_changes_nothing_and_says_the_same_twice(place, target, submission, here):
    made = submission(place.name, *place.overrides)
    before = files(here)
    assert target.prepare(made) == target.prepare(made)
    assert target.prepare(made).endswith("\n")
    assert files(here) == before


def test_what_is_prepared_is_our_own_command_safe_to_repeat(place, target, submission):
    prepared = target.prepare(submission(place.name, *place.overrides))
    assert "orchestrator run " in prepared
    assert "--or-resume" in prepared


def test_a_job_is_submitted_seen_running_and_stopped(place, target, submission):
    job = submit(place.name, submission(place.name, *place.overrides))
    assert parse_handle(job.handle) == (place.name, job.id)
    assert find_job(job.handle) == job
    assert wait_for(target, job, "running")
    assert "hello" in wait_for_output(target, job)
    assert jobs.stop(job.handle).word == "stopped"
    assert target.state(job).state == "stopped"
    assert [one.word for one in jobs.job_statuses()] == ["stopped"]


def test_a_run_that_a_job_works_on_is_not_submitted_again(place, target, submission):
    made = submission(place.name, *place.overrides)
    job = submit(place.name, made)
    wait_for(target, job, "running")
    with pytest.raises(RunExistsError, match=job.handle):
        submit(place.name, made)
    target.stop(job)
    assert submit(place.name, made).run == job.run
    jobs.stop(known_jobs()[-1].handle)


def test_an_unknown_handle_is_one_sentence(place, target):
    for ask in (jobs.status, jobs.logs, jobs.stop):
        with pytest.raises(UnknownNameError, match=place.unknown):
            ask(place.unknown)


def test_a_missing_client_is_one_sentence_with_how_to_get_it(place, target, submission, here):
    made = submission(place.name, *place.overrides)
    place.hide_client()
    if type(place).hide_client is PLACES["local"].hide_client:
        pytest.skip("needs no client")
    before = files(here)
    with pytest.raises(PlaceError, match=r"nstall") as refused:
        submit(place.name, made)
    assert "\n" not in str(refused.value)
    assert files(here) == before


def test_what_is_sent_is_complete(place, submission):
    made = submission(place.name, "epochs=3", *place.overrides)
    content = yaml.safe_load(made.document)
    assert (content["epochs"], content["name"]) == (3, "digits")
    assert content["search_space"]["units"] == "choice([8, 16])"
    assert content["model"] == "./net.py:build"
    assert content["target"] is None
    assert Path(content["storage_path"]).is_absolute()
    assert [sent.there for sent in made.files] == ["net.py"]


@pytest.mark.parametrize("name", TARGETS)
def test_native_states_become_ours_through_one_table(name):
    native = getattr(find_target(name), "NATIVE", {})
    assert set(native.values()) <= set(get_args(State))


def wait_for(target, job, state: str) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while target.state(job).state != state and time.monotonic() < deadline:
        time.sleep(0.05)
    return target.state(job).state == state


def wait_for_output(target, job) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    said = ""
    while "hello" not in said and time.monotonic() < deadline:
        said = "".join(target.logs(job, False))
    return said
