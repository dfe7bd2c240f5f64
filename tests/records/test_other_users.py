"""Who may read a run's folder is what the umask says; another user really tries."""

from __future__ import annotations

import os

import pytest

from orchestrator.records import RunFolder, RunWriter
from tests.another_user import did, needs_another_user, open_place

pytestmark = needs_another_user


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "done"), [(0o077, set()), (0o022, {"list", "read"})])
def test_a_runs_folder_is_as_open_as_the_umask_lets_it(umask, mask, done):
    with open_place() as place:
        (place / "runs").mkdir()
        umask(mask)
        folder = RunFolder.create(
            place / "runs", "one", lambda made: made.write_experiment("name: one\n")
        )
        with RunWriter(folder) as writer:
            writer.event("run_started")
        folder.write_log("00000", "told")
        everything = [folder.path, *folder.path.rglob("*")]
        assert len(everything) > 5
        assert {what for what, _ in did(everything)} == done
