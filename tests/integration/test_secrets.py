"""A real run whose experiment, model and command hold secrets, while its sockets are watched."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from pathlib import Path

import psutil
import pytest
import yaml

from tests.preloaded import PYTHONPATH

TOKEN = 's3cr3t-Tök\'n with "quotes"'
PASSWORD = "opensesame-hunter2"

NET = """
    import sys
    import keras

    def build(hp, input_shape, num_classes):
        print("stdout", hp["token"])
        print("stderr", hp["token"], file=sys.stderr)
        assert hp["token"].startswith("s3cr3t") and hp["note"].startswith("open")
        if hp["fate"] == "raises":
            raise ValueError("cannot log in with " + hp["token"] + chr(10) + hp["note"])
        return keras.Sequential([
            keras.Input(input_shape),
            keras.layers.Dense(num_classes, activation="softmax"),
        ])
"""


def listening(process: psutil.Process) -> set[str]:
    """Return the addresses at which a process or one below it accepts connections now."""
    found = set()
    with contextlib.suppress(psutil.Error):
        for each in [process, *process.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                connections = each.net_connections("inet")
                found |= {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN}
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(the run's folder, what was printed, the addresses at which anything listened, the home folder)."""
    here = tmp_path_factory.mktemp("secrets")
    home = here / "home"
    home.mkdir()
    (here / "net.py").write_text(textwrap.dedent(NET))
    (here / TOKEN).mkdir()
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    (here / TOKEN / "t.csv").write_text("\n".join(["x,y,label", *rows]) + "\n")
    experiment = {
        "name": "secret", "model": "./net.py", "epochs": 2,
        "data": {"source": "./${ENV:MY_DATA}/t.csv", "label": "label"},
        "search_space": {
            "token": {"value": "${ENV:MY_DATA}"}, "fate": "choice([fine, raises])", "note": "none",
        },
        "caviar": {"num_samples": 4, "scheduler": "none", "max_concurrent_trials": 1}, "storage_path": "runs",
    }  # fmt: skip
    (here / "e.yaml").write_text(yaml.safe_dump(experiment, allow_unicode=True))
    ours = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment |= {
        "MY_DATA": TOKEN, "DB_PASSWORD": PASSWORD, "PYTHONPATH": PYTHONPATH, "HOME": str(home),
        "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "60",
    }  # fmt: skip
    command = ["run", "e.yaml", "--set", f"search_space.note={PASSWORD}"]
    with (here / "out").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *command],
            cwd=here, env=environment, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    addresses: set[str] = set()
    while process.poll() is None:
        addresses |= listening(psutil.Process(process.pid))
        time.sleep(0.2)
    shown = (here / "out").read_bytes()
    for command in (["show", "secret"], ["table", "secret", "-f", "csv"], ["best", "secret"]):
        shown += subprocess.run(
            [sys.executable, "-m", "orchestrator", *command],
            cwd=here, env=environment, capture_output=True, check=True,
        ).stdout  # fmt: skip
    return here / "runs" / "secret", shown, addresses, home


def everything(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every file below ``folder``, those inside archives too, and the files' names."""
    found = {"names": "\n".join(map(str, folder.rglob("*"))).encode()}
    for file in folder.rglob("*"):
        if file.is_file():
            found[str(file)] = file.read_bytes()
        if file.is_file() and zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as archive:
                found |= {f"{file}:{name}": archive.read(name) for name in archive.namelist()}
    return found


def test_no_byte_of_the_runs_folder_holds_a_secret(finished):
    folder, _, _, _ = finished
    parts = [TOKEN, PASSWORD, "s3cr3t-T", "hunter2"]
    needles = [part.encode(code) for part in parts for code in ("utf-8", "utf-16-le", "utf-32-le")]
    contents = everything(folder)
    assert any(name.endswith(".npz:about.npy") for name in contents)
    assert any("logs/" in name for name in contents)
    assert {
        name for name, content in contents.items() if any(n in content for n in needles)
    } == set()


def test_nothing_that_was_printed_holds_a_secret(finished):
    _, shown, _, _ = finished
    assert b"s3cr3t" not in shown and b"hunter2" not in shown
    assert b"${ENV:MY_DATA}" in shown


def test_the_trials_had_the_values_and_the_files_have_the_references(finished):
    folder, _, _, _ = finished
    logs = [file.read_text() for file in (folder / "logs").glob("*.txt")]
    assert any("cannot log in with ${ENV:MY_DATA}\n${ENV:DB_PASSWORD}" in log for log in logs)
    experiment = yaml.safe_load((folder / "experiment.yaml").read_text())
    assert experiment["data"]["source"] == "./${ENV:MY_DATA}/t.csv"
    assert experiment["search_space"]["note"] == "${ENV:DB_PASSWORD}"
    best = yaml.safe_load((folder / "best" / "hyperparameters.yaml").read_text())
    assert best["token"] == "${ENV:MY_DATA}"


def test_nothing_listens_beyond_loopback(finished):
    _, _, addresses, _ = finished
    assert addresses, "Ray's processes listen somewhere"
    beyond = {
        a for a in addresses if not ipaddress.ip_address(a.removeprefix("::ffff:")).is_loopback
    }
    assert beyond == set()


def test_rays_token_is_not_left_in_the_home_folder(finished):
    home = finished[3]
    assert not (home / ".ray" / "auth_token").exists()
