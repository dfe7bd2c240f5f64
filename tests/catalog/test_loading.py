from __future__ import annotations

import os
import sys

import pytest

from orchestrator.catalog import CallableReference, find_data, find_model
from orchestrator.catalog.user_code import load_file
from orchestrator.errors import TrialError, UnknownNameError

HEAD = "def build(hp, input_shape, num_classes):\n"


def project(folder, name, value):
    """Write a project whose net imports its neighbour ``helper`` and its own package ``models``."""
    (folder / name / "models").mkdir(parents=True)
    (folder / name / "helper.py").write_text(f"VALUE = {value!r}\n", encoding="utf-8")
    (folder / name / "models" / "__init__.py").write_text("", encoding="utf-8")
    (folder / name / "models" / "blocks.py").write_text(f"BLOCK = {value!r}\n", encoding="utf-8")
    (folder / name / "net.py").write_text(
        "import helper\nfrom models.blocks import BLOCK\n"
        + HEAD
        + "    return helper.VALUE, BLOCK\n",
        encoding="utf-8",
    )
    return folder / name


@pytest.fixture(autouse=True)
def modules_as_before():
    before, path = dict(sys.modules), list(sys.path)
    yield
    sys.modules.clear()
    sys.modules.update(before)
    assert sys.path == path


def test_a_file_imports_its_neighbours(tmp_path):
    folder = project(tmp_path, "one", 1)
    assert find_model("./net.py", folder).load()({}, (), 2) == (1, 1)


def test_two_projects_with_neighbours_of_one_name_keep_their_own(tmp_path):
    one, two = project(tmp_path, "one", 1), project(tmp_path, "two", 2)
    first, second = find_model("./net.py", one).load(), find_model("./net.py", two).load()
    again = find_model("./net.py", one).load()
    assert [call({}, (), 2) for call in (first, second, again)] == [(1, 1), (2, 2), (1, 1)]


def test_a_neighbour_imported_only_when_called_is_found(tmp_path):
    (tmp_path / "late.py").write_text("VALUE = 7\n", encoding="utf-8")
    (tmp_path / "net.py").write_text(HEAD + "    import late\n    return late.VALUE\n", "utf-8")
    build = find_model("./net.py", tmp_path).load()
    assert build({}, (), 2) == 7
    assert build({}, (), 2) == 7


def test_a_module_called_models_from_elsewhere_stays_what_it_was(tmp_path, monkeypatch):
    other = project(tmp_path, "cwd", "theirs")
    monkeypatch.syspath_prepend(str(other))
    import models  # type: ignore[import-not-found]

    folder = project(tmp_path, "one", 1)
    assert find_model("./net.py", folder).load()({}, (), 2) == (1, 1)
    assert sys.modules["models"] is models


def test_an_installed_package_is_not_pushed_aside_by_a_folder_of_its_name(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "net.py").write_text(
        "import numpy\n" + HEAD + "    return numpy.ones(1)\n", "utf-8"
    )
    assert find_model("./net.py", tmp_path).load()({}, (), 2).sum() == 1


def test_a_loaded_file_is_executed_once_until_its_content_changes(tmp_path):
    path = tmp_path / "net.py"
    path.write_text("count = []\n" + HEAD + "    count.append(1); return len(count)\n", "utf-8")
    reference = find_model("./net.py", tmp_path)
    assert [reference.load()({}, (), 2) for _ in range(2)] == [1, 2]
    path.write_text(HEAD + "    return 'new'\n", encoding="utf-8")
    assert reference.load()({}, (), 2) == "new"


def test_code_that_raises_when_loaded_names_file_line_and_error(tmp_path):
    (tmp_path / "net.py").write_text("import math\nmath.sqrt(-1)\n" + HEAD + "    ...\n", "utf-8")
    reference = find_model("./net.py", tmp_path)
    with pytest.raises(TrialError, match=r"ValueError: .*\(net\.py line 2, in <module>\)\.$"):
        reference.load()
    with pytest.raises(TrialError):
        reference.load()


def test_a_file_that_was_removed_is_unknown_when_loaded(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(HEAD + "    ...\n", encoding="utf-8")
    reference = find_model("./net.py", tmp_path)
    path.unlink()
    with pytest.raises(UnknownNameError, match=r"net\.py"):
        reference.load()


def test_a_name_that_is_no_function_after_all_is_unknown_when_loaded(tmp_path):
    (tmp_path / "load.py").write_text("load = 3\ndef lod(): ...\n", encoding="utf-8")
    reference = find_data("./load.py", tmp_path).function
    assert reference is not None
    with pytest.raises(UnknownNameError, match="Did you mean 'lod'"):
        reference.load()


def test_an_installed_module_is_loaded_by_name(tmp_path):
    reference = find_data("datetime:date.today".replace(".today", ""), tmp_path).function
    assert reference is not None
    assert reference.load()(2000, 1, 1).year == 2000


def test_a_changed_helper_is_imported_anew_in_one_process_too(tmp_path):
    (tmp_path / "net.py").write_text("import part\n\ndef build():\n    return part.x\n")
    (tmp_path / "part.py").write_text("x = 1\n")
    assert load_file(tmp_path / "net.py").build() == 1
    (tmp_path / "part.py").write_text("x = 1 + 1\n")
    assert load_file(tmp_path / "net.py").build() == 2


@pytest.mark.parametrize("changed", ["net.py", "helper.py", "parts/inner.py"])
def test_a_file_that_was_changed_within_a_second_is_loaded_as_it_is(tmp_path, monkeypatch, changed):
    """Bytecode on disk stands for a file by its size and second: it would be the one before."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "parts").mkdir()
    files = {
        "net.py": "import helper\nfrom parts import inner\ndef build(): return (1, helper.units, inner.units)\n",
        "helper.py": "units = 1\n",
        "parts/inner.py": "units = 1\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1e9, 1e9))
    reference = CallableReference("file", str(tmp_path / "net.py"), "build", "./net.py")
    assert reference.load()() == (1, 1, 1)
    (tmp_path / changed).write_text(
        files[changed].replace("(1,", "(2,").replace("units = 1", "units = 2")
    )
    os.utime(tmp_path / changed, (1e9 + 0.5, 1e9 + 0.5))
    assert sorted(reference.load()()) == [1, 1, 2]
