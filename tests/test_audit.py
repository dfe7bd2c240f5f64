"""Claims about all of our code at once: what it never calls, however it is written."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from orchestrator.training.saved_model import WEIGHTS

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


@functools.cache
def calls() -> tuple[tuple[str, ast.Call, str], ...]:
    """Every call: where it is, itself, and its name as written."""
    return tuple(_calls())


def _calls() -> Iterator[tuple[str, ast.Call, str]]:
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                yield where, node, ast.unparse(node.func)


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_nothing_is_unpickled_but_functions_that_were_given_in_python():
    imported = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if UNPICKLERS & set(name.split("."))
    }
    assert imported == {
        "orchestrator/catalog/references.py: pickle",
        "orchestrator/trials/estimator.py: joblib",
        "orchestrator/tuning/pickling.py: ray.cloudpickle",
    }
    unpickled = [
        (where.split(":")[0], name, [ast.unparse(argument) for argument in call.args])
        for where, call, name in calls()
        if UNPICKLERS & set(name.split(".")) and not name.endswith((".dump", ".dumps", "_by_value"))
    ]
    assert unpickled == [("orchestrator/catalog/references.py", "pickle.loads", ["pickled"])]
    assert [where for where, _, name in calls() if name.endswith("read_pickle")] == []


def test_weights_are_loaded_from_hdf5_alone_which_holds_no_pickle():
    loads = [
        (where.split(":")[0], ast.unparse(call.args[0]))
        for where, call, name in calls()
        if name.endswith("load_weights")
    ]
    assert loads == [("orchestrator/training/saving.py", "folder / WEIGHTS")]
    assert WEIGHTS == "model.weights.h5", "Keras chooses the format by this ending"


def test_what_is_unpickled_was_made_by_this_process_and_never_read_from_a_file():
    made = {where.split(":")[0] for where, _, name in calls() if name.split(".")[-1] == "GivenCode"}
    assert made == {"orchestrator/experiment/given.py"}
    written = [path.name for path in SOURCES if ".pickled" in path.read_text(encoding="utf-8")]
    assert written == ["references.py"], "nobody else takes the bytes, to write them or otherwise"


def test_arrays_are_loaded_without_objects():
    loads = [
        (where, keywords(call))
        for where, call, name in calls()
        if name in ("np.load", "numpy.load")
    ]
    assert loads
    assert [where for where, given in loads if given.get("allow_pickle") != "False"] == []


def test_yaml_is_loaded_safely():
    names = {name for _, _, name in calls() if name.startswith("yaml.") and "load" in name}
    assert names <= {"yaml.safe_load"}
    assert any(name == "Loader" for _, _, name in calls()), "a SafeLoader of ours"


def test_keras_files_are_loaded_in_safe_mode():
    loads = [
        (where, keywords(call)) for where, call, name in calls() if name.endswith("load_model")
    ]
    ours = [given for where, given in loads if "keras" in where or given]
    assert ours and all(given.get("safe_mode") == "True" for given in ours)
    assert not any("enable_unsafe_deserialization" in name for _, _, name in calls())


def test_no_text_becomes_code_or_a_shell_command():
    forbidden = {"eval", "exec", "compile", "os.system", "os.popen", "__import__"}
    assert [where for where, _, name in calls() if name in forbidden] == []
    assert [where for where, call, _ in calls() if keywords(call).get("shell") == "True"] == []


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
