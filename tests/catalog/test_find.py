from __future__ import annotations

import pickle
import subprocess
import sys

import pytest

from orchestrator.catalog import find_data, find_model, find_space
from orchestrator.errors import ExperimentFileError, UnknownNameError

BUILD = "def build(hp, input_shape, num_classes):\n    return 'net'\n"


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def models(tmp_path, monkeypatch):
    folder = tmp_path / "bundled"
    write(folder / "mlp.py", BUILD)
    write(folder / "_hidden.py", BUILD)
    monkeypatch.setattr("orchestrator.catalog.names.bundled_folder", lambda kind: folder)
    return folder


def test_a_bundled_model_is_known_by_its_file_alone(models, tmp_path):
    write(models / "fresh.py", BUILD)
    found = find_model("fresh", tmp_path)
    assert (found.kind, found.place, found.function) == ("bundled", "fresh", "build")
    assert found.load()({}, (4,), 2) == "net"


def test_an_unknown_bundled_model_names_the_near_miss_and_the_known(models, tmp_path):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'mlp'\? Known: mlp\.$"):
        find_model("mpl", tmp_path)


def test_a_bare_word_with_a_file_of_that_name_beside_says_how_to_write_it(models, tmp_path):
    write(tmp_path / "net.py", BUILD)
    with pytest.raises(UnknownNameError, match=r"write \./net\.py\.$"):
        find_model("net", tmp_path)


def test_a_file_is_resolved_against_the_experiments_folder(tmp_path):
    path = write(tmp_path / "nets" / "net.py", BUILD.replace("build", "build_wide"))
    found = find_model("./nets/net.py:build_wide", tmp_path)
    assert (found.kind, found.place, found.function) == ("file", str(path.resolve()), "build_wide")


def test_a_reference_survives_pickling_and_loads_afterwards(tmp_path):
    write(tmp_path / "net.py", BUILD)
    found = find_model("./net.py", tmp_path)
    copy = pickle.loads(pickle.dumps(found))  # noqa: S301 - bytes made in this line
    assert copy == found
    assert copy.load()({}, (1,), 2) == "net"


def test_a_missing_file_says_where_it_was_looked_for_and_the_near_miss(tmp_path):
    write(tmp_path / "net.py", BUILD)
    with pytest.raises(UnknownNameError) as caught:
        find_model("./nett.py", tmp_path)
    assert str((tmp_path / "nett.py").resolve()) in str(caught.value)
    assert "Did you mean 'net.py'?" in str(caught.value)


def test_a_missing_folder_and_a_folder_are_told_apart_from_a_missing_file(tmp_path):
    (tmp_path / "net.py").mkdir()
    with pytest.raises(UnknownNameError, match="its folder does not exist"):
        find_model("./nowhere/net.py", tmp_path)
    with pytest.raises(UnknownNameError, match="Received the folder"):
        find_model("./net.py", tmp_path)


def test_a_file_without_the_function_names_those_it_has(tmp_path):
    write(tmp_path / "net.py", BUILD + "def build_wide(hp, i, n): ...\ndef _private(): ...\n")
    with pytest.raises(UnknownNameError) as caught:
        find_model("./net.py:build_wid", tmp_path)
    assert "Did you mean 'build_wide'?" in str(caught.value)
    assert "Known: build, build_wide." in str(caught.value)


def test_a_file_without_any_function_says_so(tmp_path):
    write(tmp_path / "net.py", "units = 3\n")
    with pytest.raises(UnknownNameError, match="which defines no function"):
        find_model("./net.py", tmp_path)


@pytest.mark.parametrize(
    "source",
    [
        "from elsewhere import build\n",
        "from elsewhere import *\n",
        "import elsewhere\nbuild = elsewhere.make()\n",
        "if True:\n    def build(hp, input_shape, num_classes): ...\n",
        "try:\n    from a import build\nexcept ImportError:\n    build = None\n",
        "class build:\n    def __init__(self, hp, i, n): ...\n",
    ],
)
def test_a_function_that_is_imported_or_assigned_counts_as_defined(tmp_path, source):
    write(tmp_path / "net.py", source)
    assert find_model("./net.py", tmp_path).function == "build"


@pytest.mark.parametrize("head", ["(hp)", "(hp, a, b, c)", "(hp, a, b, *, c)", "()"])
def test_a_builder_of_other_arguments_is_refused_before_any_trial(tmp_path, head):
    write(tmp_path / "net.py", f"def build{head}: ...\n")
    with pytest.raises(ExperimentFileError, match=r"build\(hp, input_shape, num_classes\).*line 1"):
        find_model("./net.py", tmp_path)


@pytest.mark.parametrize(
    "head", ["(*args)", "(hp, a, b, c=1)", "(hp, a, b, *, c=1)", "(a, /, b, c)"]
)
def test_a_builder_that_can_take_the_three_arguments_is_accepted(tmp_path, head):
    write(tmp_path / "net.py", f"def build{head}: ...\n")
    assert find_model("./net.py", tmp_path).function == "build"


def test_a_syntax_error_names_file_and_line(tmp_path):
    path = write(tmp_path / "net.py", "x = 1\ndef build(:\n")
    with pytest.raises(ExperimentFileError, match=f"{path} line 2 is not valid Python"):
        find_model("./net.py", tmp_path)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00bad", b"# coding: nonsense\n", b"x = '\x00'\n"])
def test_a_file_that_is_no_python_text_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "net.py").write_bytes(content)
    with pytest.raises(ExperimentFileError) as caught:
        find_model("./net.py", tmp_path)
    assert "\n" not in str(caught.value)


def test_a_model_in_a_file_of_another_kind_is_refused(tmp_path):
    write(tmp_path / "net.yaml", "")
    with pytest.raises(ExperimentFileError, match=r"ends in \.py"):
        find_model("./net.yaml", tmp_path)


def test_a_dotted_name_is_found_without_importing_its_package(tmp_path, monkeypatch):
    write(tmp_path / "shop_a" / "__init__.py", "raise RuntimeError('imported')\n")
    write(tmp_path / "shop_a" / "nets.py", BUILD)
    monkeypatch.syspath_prepend(tmp_path)
    found = find_model("shop_a.nets", tmp_path)
    assert (found.kind, found.place, found.function) == ("module", "shop_a.nets", "build")
    assert "shop_a" not in sys.modules
    with pytest.raises(UnknownNameError, match="Known: build"):
        find_model("shop_a.nets:construct", tmp_path)


def test_a_dotted_name_goes_through_namespace_packages(tmp_path, monkeypatch):
    write(tmp_path / "shop_b" / "inner" / "nets.py", BUILD)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_model("shop_b.inner.nets:build", tmp_path).load()({}, (), 2) == "net"


@pytest.mark.parametrize("name", ["no_such_package.nets", "json.no_such:build", "__main__.x:y"])
def test_a_module_that_is_not_installed_is_unknown(tmp_path, name):
    with pytest.raises(UnknownNameError, match=r"installed module.*write \./"):
        find_model(name, tmp_path)


def test_bundled_data_is_known_by_name(tmp_path):
    assert find_data("digits", tmp_path).kind == "bundled"
    with pytest.raises(UnknownNameError, match=r"Did you mean 'digits'\? Known: digits, mnist5k"):
        find_data("digts", tmp_path)


@pytest.mark.parametrize("kind", ["npz", "csv", "parquet"])
def test_a_data_file_is_known_by_its_ending(tmp_path, kind):
    path = write(tmp_path / f"rows.{kind}", "")
    found = find_data(f"./rows.{kind}", tmp_path)
    assert (found.kind, found.place, found.function) == (kind, str(path.resolve()), None)


def test_a_data_file_of_another_ending_or_with_a_member_is_refused(tmp_path):
    write(tmp_path / "rows.json", "")
    write(tmp_path / "rows.csv", "")
    with pytest.raises(ExperimentFileError, match=r"\.npz, \.csv, \.parquet or \.py"):
        find_data("./rows.json", tmp_path)
    with pytest.raises(ExperimentFileError, match=r"data\.label"):
        find_data("./rows.csv:species", tmp_path)


def test_a_data_function_takes_no_arguments_and_defaults_to_load(tmp_path):
    write(tmp_path / "load.py", "def load():\n    return 1\ndef other(path): ...\n")
    found = find_data("./load.py", tmp_path)
    assert found.kind == "function"
    assert found.function is not None
    assert found.function.load()() == 1
    with pytest.raises(ExperimentFileError, match=r"other\(\)"):
        find_data("./load.py:other", tmp_path)


def test_a_search_space_is_a_mapping_or_a_file(tmp_path):
    write(tmp_path / "space.yaml", "learning_rate: loguniform(1e-4, 1)\n")
    assert find_space("./space.yaml", tmp_path).names == ("learning_rate",)
    assert find_space({"units": "integer(1, 9)"}, tmp_path).names == ("units",)


def test_a_fault_in_a_search_space_file_names_file_and_line(tmp_path):
    path = write(tmp_path / "space.yaml", "units: 3\nlearning_rate: loguniform(1, 1e-4)\n")
    with pytest.raises(ExperimentFileError) as caught:
        find_space("./space.yaml", tmp_path)
    assert str(path) in str(caught.value)
    assert "line 2" in str(caught.value)


def test_a_search_space_that_is_no_file_is_refused(tmp_path):
    with pytest.raises(ExperimentFileError, match="mapping"):
        find_space("package.spaces:wide", tmp_path)


def test_finding_imports_neither_keras_nor_pandas(tmp_path):
    write(tmp_path / "net.py", "import keras\n" + BUILD)
    code = (
        "import sys; from orchestrator.catalog import find_model;"
        "find_model('./net.py', sys.argv[1]);"
        "print([name for name in ('keras', 'tensorflow', 'pandas', 'ray') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
