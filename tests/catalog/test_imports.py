"""Which files of the user's a model's or a loader's code consists of."""

from __future__ import annotations

import sys

import pytest

from orchestrator.catalog import code_files, code_fingerprint, find_data, find_model
from orchestrator.catalog.references import CallableReference

BUILD = "def build(hp, input_shape, num_classes):\n    return None\n"


@pytest.fixture
def lay(tmp_path):
    """`lay({"net.py": source, ...})`: files in the experiment's folder."""

    def write(files, folder=tmp_path):
        for name, source in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source, encoding="utf-8")
        return folder

    return write


def names(folder, text="./net.py"):
    return list(code_files(find_model(text, folder)))


@pytest.mark.parametrize(
    ("statement", "files"),
    [
        ("import helper", ["helper.py"]),
        ("import pkg.layers", ["pkg/__init__.py", "pkg/layers.py"]),
        ("import pkg.layers as layers, helper", ["pkg/__init__.py", "pkg/layers.py", "helper.py"]),
        ("from pkg import layers", ["pkg/__init__.py", "pkg/layers.py"]),
        ("from pkg.layers import block", ["pkg/__init__.py", "pkg/layers.py"]),
        ("from pkg import *", ["pkg/__init__.py", "pkg/starred.py"]),
        ("from deep.down import leaf", ["deep/down/leaf.py"]),
        ("import importlib\nx = importlib.import_module('helper')", ["helper.py"]),
        ("def late():\n    import helper", ["helper.py"]),
        ("try:\n    import helper\nexcept ImportError:\n    pass", ["helper.py"]),
        ("import json, numpy, keras, tensorflow, orchestrator", []),
        ("import absent\nfrom pkg_of_nobody import x", []),
    ],
)
def test_every_form_of_import_beside_the_file_is_followed(lay, statement, files):
    folder = lay(
        {
            "net.py": f"{statement}\n{BUILD}",
            "helper.py": "x = 1\n",
            "unrelated.py": "x = 1\n",
            "pkg/__init__.py": "__all__ = ['starred']\n",
            "pkg/layers.py": "block = 1\n",
            "pkg/starred.py": "x = 1\n",
            "deep/down/leaf.py": "x = 1\n",
        }
    )
    found = names(folder)
    assert found[0] == "net.py"
    assert sorted(found[1:]) == sorted(files)


def test_imports_of_imported_files_are_followed_as_python_would(lay):
    folder = lay(
        {
            "net.py": f"from pkg.sub import entry\n{BUILD}",
            "pkg/__init__.py": "",
            "pkg/sub/__init__.py": "from . import inner\n",
            "pkg/sub/inner.py": "from ..shared import x\nfrom ... import nothing\n",
            "pkg/sub/entry.py": "import top\nimport net\n",
            "pkg/sub/top.py": "is_not = 'what import top means'\n",
            "pkg/shared.py": "x = 1\n",
            "top.py": "x = 1\n",
        }
    )
    assert set(names(folder)) == {
        "net.py", "pkg/__init__.py", "pkg/sub/__init__.py", "pkg/sub/inner.py",
        "pkg/sub/entry.py", "pkg/shared.py", "top.py",
    }  # fmt: skip


def test_a_modules_own_package_is_followed_be_it_installed_and_no_other_installed_one(
    lay, tmp_path, monkeypatch
):
    place = lay(
        {
            "mine/__init__.py": "",
            "mine/nets.py": f"from mine import layers\nfrom .more import x\nimport other\n{BUILD}",
            "mine/layers.py": "",
            "mine/more.py": "x = 1\n",
            "mine/unrelated.py": "",
            "other/__init__.py": "",
        },
        tmp_path / "site-packages",
    )
    monkeypatch.setattr(sys, "path", [str(place), *sys.path])
    assert set(names(tmp_path, "mine.nets")) == {
        "mine/__init__.py", "mine/nets.py", "mine/layers.py", "mine/more.py",
    }  # fmt: skip


def test_what_a_file_imports_from_elsewhere_on_the_path_is_the_users_unless_it_was_installed(
    lay, tmp_path, monkeypatch
):
    lay({"lib_of_mine.py": "import second_of_mine\n", "second_of_mine.py": ""}, tmp_path / "src")
    lay({"bought/__init__.py": "", "bought-1.0.dist-info/METADATA": ""}, tmp_path / "target")
    more = [str(tmp_path / "src"), str(tmp_path / "target")]
    monkeypatch.setattr(sys, "path", [*more, *sys.path])
    folder = lay({"net.py": f"import lib_of_mine, bought\n{BUILD}"}, tmp_path / "here")
    assert names(folder) == ["net.py", "lib_of_mine.py", "second_of_mine.py"]


def test_a_compiled_helper_counts_though_nobody_reads_it(lay):
    folder = lay({"net.py": f"import fast\n{BUILD}"})
    (folder / "fast.abi3.so").write_bytes(b"\x7fELF one")
    before = code_fingerprint(find_model("./net.py", folder))
    (folder / "fast.abi3.so").write_bytes(b"\x7fELF two")
    assert names(folder) == ["net.py", "fast.abi3.so"]
    assert code_fingerprint(find_model("./net.py", folder)) != before


@pytest.mark.parametrize("changed", ["net.py", "helper.py", "pkg/__init__.py"])
def test_the_fingerprint_is_of_all_the_files_and_the_same_wherever_they_lie(lay, tmp_path, changed):
    files = {
        "net.py": f"import helper, pkg\n{BUILD}", "helper.py": "x = 1\n", "pkg/__init__.py": "",
    }  # fmt: skip
    here = code_fingerprint(find_model("./net.py", lay(files, tmp_path / "here")))
    assert code_fingerprint(find_model("./net.py", lay(files, tmp_path / "there"))) == here
    other = files | {changed: files[changed] + "y = 2\n"}
    assert code_fingerprint(find_model("./net.py", lay(other, tmp_path / "there"))) != here


def test_a_data_loaders_files_are_found_alike(lay):
    folder = lay({"load.py": "import rows\ndef load():\n    return 1\n", "rows.py": ""})
    assert list(code_files(find_data("./load.py", folder).function)) == ["load.py", "rows.py"]


def test_a_module_without_source_has_its_name_for_a_fingerprint():
    built_in = CallableReference("module", "math", "floor", "math:floor")
    assert code_files(built_in) == {}
    assert len(code_fingerprint(built_in)) == 64
