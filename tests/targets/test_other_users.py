"""What is submitted, its token and Ray's files on a node are closed to another user, who really tries."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ray._private.utils import validate_socket_filepath

from orchestrator.catalog import bundled_file
from orchestrator.targets.target import write_submission
from tests.another_user import as_nobody, did, needs_another_user, open_place
from tests.targets.test_slurm_script import PATIENCE_SECONDS, Node, left, wait_for

pytestmark = needs_another_user
ROOT = Path(__file__).parents[2]
TEMPORARY = Path("/tmp")  # noqa: S108 (the script's own place)
SECRET = "opensesame-hunter2"
RAY = f"""#!{sys.executable}
import os, pathlib, sys, time
if "ray.scripts.scripts" not in sys.argv:
    os.execv({sys.executable!r}, [{sys.executable!r}, *sys.argv[1:]])
[place] = [word.partition("=")[2] for word in sys.argv if word.startswith("--temp-dir=")]
logs = pathlib.Path(place, "session_1", "logs")
logs.mkdir(parents=True)
for folder in (logs, logs.parent, logs.parent.parent):
    folder.chmod(0o777)
pathlib.Path(place, "session_latest").symlink_to("session_1")
(logs / "worker-1.out").write_text("logged in with {SECRET}")
(logs / "raylet.out").write_text("node up")
up = pathlib.Path(os.environ["UP"])
part = up.with_suffix(".part")
part.write_text(place)
part.replace(up)  # there, it is whole
time.sleep(600)
"""


@pytest.fixture
def place():
    with open_place() as folder:
        yield folder


@pytest.fixture
def node(tmp_path, monkeypatch):
    place = Node(tmp_path, monkeypatch)
    yield place
    place.close()


def everything(folder):
    return [folder, *folder.rglob("*")]


@pytest.mark.parametrize("before", [None, 0o755, 0o777])
def test_what_is_submitted_is_readable_by_its_owner_alone(submission, place, before):
    made = submission("local", f"storage_path={place}/runs")
    if before is not None:  # a folder that somebody made
        made.folder.mkdir(parents=True)
        made.folder.chmod(before)
    write_submission(made, made.folder)
    assert len(everything(made.folder)) == 3
    assert did(everything(made.folder)) == set()


@pytest.mark.parametrize("theirs", ["another user's", "a link"])
def test_a_folder_of_another_user_is_refused(place, theirs):
    folder = place / ".jobs" / "digits"
    if theirs == "a link":
        (place / "mine").mkdir()
        os.chown(place / "mine", 65534, 65534)
        folder.parent.mkdir()
        folder.symlink_to(place / "mine")
    else:
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    source = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from orchestrator.errors import PlaceError
from orchestrator.targets import Submission
from orchestrator.targets.target import write_submission
made = Submission("digits", "name: digits", (), None, {str(place)!r}, {str(place)!r})
try:
    write_submission(made, made.folder)
except PlaceError as error:
    print(error)
"""
    said = as_nobody(source)
    assert said.startswith(f"{folder}: expected a folder of yours")
    assert theirs in said
    assert list(folder.iterdir()) == []


def test_a_jobs_token_and_folder_are_closed(node, submission, place):
    stays = "import pathlib, signal, sys\nsignal.pthread_sigmask(signal.SIG_BLOCK, [15])\n"
    runs = f"pathlib.Path({str(place / 'runs.now')!r}).touch()\nsignal.sigwait([15])\nsys.exit(130)"
    python = node.executable("stand-in-python", stays + runs)
    made = submission("slurm", f"storage_path={place}/runs", f"target.slurm.python={python}")
    script = node.start(made)
    wait_for(place / "runs.now")
    try:
        [token] = made.folder.glob("*.token")
        assert len(token.read_text()) == 64
        own = TEMPORARY / f"orch-{node.number}"
        made.folder.chmod(0o700)  # as write_submission makes it: the script alone was started here
        assert did([*everything(made.folder), own]) == set()
        made.folder.chmod(0o755)
        assert did([token]) == set()
    finally:
        script.send_signal(signal.SIGTERM)
    assert script.wait(PATIENCE_SECONDS) == 130
    assert left(made, node.number) == []


def on_a_node(place, number, script):
    """Run the part of the batch script that is Ray on one node, with what stands for Ray."""
    python = place / "python"
    python.write_text(RAY)
    python.chmod(0o755)
    text = bundled_file("slurm", "several-nodes").read_text()
    function = re.search(r"^ray_on_a_node\(\) \{.*?^\}$", text, re.MULTILINE | re.DOTALL)[0]
    variables = f"python=({python}) cpus=1 gpus=0 tmp=/tmp/orch-{number}-0 run={place}/runs/one"
    return subprocess.Popen(
        ["bash", "-uc", f"sweep() {{ :; }}; {variables}; {function}; {script}"],
        env=os.environ | {"SLURM_JOB_ID": str(number), "SLURMD_NODENAME": "n1", "PYTHONPATH": str(ROOT),
                          "DB_PASSWORD": SECRET, "UP": str(place / "up")},
    )  # fmt: skip


def test_rays_files_on_a_node_are_closed_and_its_logs_are_kept_without_secrets(place):
    (place / "runs" / "one").mkdir(parents=True)
    (place / "runs" / "one" / "experiment.yaml").write_text("name: one\n")
    number = f"99{os.getpid()}"
    own = TEMPORARY / f"orch-{number}-0"
    step = on_a_node(place, number, "ray_on_a_node --head")
    wait_for(place / "up")
    files = everything(own)
    assert any(file.name == "worker-1.out" for file in files)
    assert own / "r" == Path((place / "up").read_text())
    assert did(files) == set()
    step.send_signal(signal.SIGTERM)
    assert step.wait(PATIENCE_SECONDS) == 0
    assert not own.exists()
    kept = place / "runs" / "one" / "logs" / f"slurm-{number}" / "n1"
    told = {file.name: file.read_text() for file in kept.iterdir()}
    assert told == {"worker-1.out": "logged in with ${ENV:DB_PASSWORD}", "raylet.out": "node up"}


def test_each_node_has_a_folder_whose_name_leaves_room_for_rays_sockets(place):
    """As Ray names them, on nodes whose own names are long, in a job of many."""
    text = bundled_file("slurm", "several-nodes").read_text()
    function = text[text.index("steps=()") : text.index("clean_up()")]
    known = (
        "python=(python) cpus=1 gpus=0 tmp=/tmp/orch-4294967295 run=/runs/one job=. SLURM_JOB_ID=7"
    )
    stubs = "srun() { printf '%s\n' \"$@\"; }; sweep() { :; }; ray_on_a_node() { :; }"
    calls = "for i in {1..12}; do on compute-dy-gpu-a100-extra-large-$i; done; wait"
    script = f"cd {place}; {known}; {stubs}; {function}\n{calls}"
    subprocess.run(["bash", "-uc", script], check=True)
    said = "".join(file.read_text() for file in place.glob("slurm-7-*.log"))
    folders = re.findall(r'declare -- tmp="(.*)"', said)
    assert len(set(folders)) == 12
    for folder in folders:
        session = "session_2026-11-28_02-03-19_982744_4194304"
        validate_socket_filepath(f"{folder}/r/{session}/sockets/plasma_store")
