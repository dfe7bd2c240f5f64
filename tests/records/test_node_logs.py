"""Ray's logs of a node are kept in the run's folder without the secrets that a worker printed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.records.node_logs import LARGEST

ROOT = Path(__file__).parents[2]
REFERRED, NAMED = 'wörd with "quotes"', "opensesame-hunter2"


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "runs" / "one"
    folder.mkdir(parents=True)
    (folder / "experiment.yaml").write_text("name: one\nnote: ${ENV:MY_DATA}\n")
    (tmp_path / "logs" / "old").mkdir(parents=True)
    return folder


def keep(run, **environment):
    """Call the module as the batch script does."""
    words = [run.parents[1] / "logs", run, "slurm-7", "node1"]
    secrets = {"MY_DATA": REFERRED, "DB_PASSWORD": NAMED, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.records.node_logs", *map(str, words)],
        env=os.environ | secrets | environment, cwd="/", capture_output=True, text=True,
    )  # fmt: skip


def kept(run):
    folder = run / "logs" / "slurm-7" / "node1"
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


def test_what_a_worker_printed_is_kept_with_its_secrets_as_references(run, tmp_path):
    printed = f"token {REFERRED}\n{NAMED!r}\n".encode() + b"\xff\x00 no text\n"
    (tmp_path / "logs" / "worker-1.out").write_bytes(printed)
    done = keep(run)
    assert (done.returncode, done.stderr) == (0, "")
    expected = b"token ${ENV:MY_DATA}\n'${ENV:DB_PASSWORD}'\n\xff\x00 no text\n"
    assert kept(run) == {"worker-1.out": expected}


def test_a_link_a_pipe_and_what_is_empty_or_too_large_are_left_out(run, tmp_path):
    logs = tmp_path / "logs"
    (tmp_path / "outside").write_text("secret of another program")
    (logs / "link.log").symlink_to(tmp_path / "outside")
    os.mkfifo(logs / "pipe")
    (logs / "empty.err").touch()
    with (logs / "large.out").open("wb") as file:
        file.truncate(LARGEST + 1)
    assert keep(run).returncode == 0
    assert kept(run) == {}


def test_a_run_whose_logs_are_a_link_is_refused(run, tmp_path):
    (tmp_path / "logs" / "worker-1.out").write_text("told")
    (tmp_path / "elsewhere").mkdir()
    (run / "logs").symlink_to(tmp_path / "elsewhere")
    done = keep(run)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr and "a link" in done.stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_no_logs_is_one_sentence(run, tmp_path):
    (tmp_path / "logs" / "old").rmdir()
    (tmp_path / "logs").rmdir()
    done = keep(run)
    assert done.returncode == 1
    assert done.stderr.startswith("Ray's logs of this node are not kept: ")
