"""Files beside an experiment whose names are taken: the real module comes first, and it is said where code wants it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.catalog import hidden
from orchestrator.catalog.hidden import hidden_in, is_taken, tell_hidden_imports
from orchestrator.catalog.user_code import load_file

ROOT = Path(__file__).parents[2]
TAKEN = ["json", "queue", "numpy", "pandas", "keras", "tensorflow", "yaml", "sklearn"]
RAISES = "raise RuntimeError('the file beside the experiment was imported')\n"


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(hidden, "_said", set())


@pytest.mark.parametrize("name", [*TAKEN, "orchestrator", "ray", "optuna"])
def test_what_python_or_a_run_needs_has_its_name(name):
    assert is_taken(name)


@pytest.mark.parametrize("name", ["helper", "models", "tests", "utils", "no_such_module"])
def test_other_names_are_the_users(name):
    assert not is_taken(name)


def test_code_gets_the_real_module_though_it_is_not_imported_yet(tmp_path):
    (tmp_path / "wave.py").write_text(RAISES)
    (tmp_path / "helper.py").write_text("here = True\n")
    (tmp_path / "net.py").write_text("import wave, helper\n")
    sys.modules.pop("wave", None)
    module = load_file(tmp_path / "net.py")
    assert module.wave.__file__ == sys.modules["wave"].__file__ != str(tmp_path / "wave.py")
    assert module.helper.here


def test_what_is_hidden_is_said_once_where_code_wants_it(tmp_path, capsys):
    for name in ("queue", "numpy", "json", "helper"):
        (tmp_path / f"{name}.py").write_text(RAISES)
    (tmp_path / "net.py").write_text("import queue, helper\nfrom numpy.random import default_rng\n")
    tell_hidden_imports(tmp_path / "net.py")
    tell_hidden_imports(tmp_path / "net.py")
    assert capsys.readouterr().err.splitlines() == [
        f"note: 'import {name}' in net.py is the module that is {whose}, not {name}.py beside it."
        " Rename that file to import it."
        for name, whose in (("numpy", "installed"), ("queue", "one of Python's own"))
    ]


def test_packages_are_hidden_too(tmp_path):
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").touch()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "__init__.py").touch()
    assert hidden_in(tmp_path) == [tmp_path / "keras"]


def test_python_m_starts_in_a_folder_of_such_files(tmp_path):
    for name in TAKEN:
        (tmp_path / f"{name}.py").write_text(RAISES)
    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", "ls"], cwd=tmp_path, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    assert (ended.returncode, "RuntimeError" in ended.stderr) == (0, False)
