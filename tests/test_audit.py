"""Claims about all of our code at once: what it never calls, however it is written."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCES = [*(ROOT / "orchestrator").rglob("*.py"), *(ROOT / "models").rglob("*.py")]
UNPICKLERS = {"pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}


def calls() -> Iterator[tuple[str, ast.Call, str]]:
    """Every call: where it is, itself, and its name as written."""
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                where = f"{path.relative_to(ROOT).as_posix()}:{node.lineno}"
                yield where, node, ast.unparse(node.func)


CALLS = list(calls())


def keywords(call: ast.Call) -> dict[str | None, str]:
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def test_nothing_is_unpickled():
    imported = {
        f"{path.relative_to(ROOT).as_posix()}: {name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node)
        if name.split(".")[0] in UNPICKLERS
    }
    assert imported == set()
    assert [
        where for where, _, name in CALLS if name.endswith(("read_pickle", "load_weights"))
    ] == []


def test_arrays_are_loaded_without_objects():
    loads = [
        (where, keywords(call)) for where, call, name in CALLS if name in ("np.load", "numpy.load")
    ]
    assert loads
    assert [where for where, given in loads if given.get("allow_pickle") != "False"] == []


def test_yaml_is_loaded_safely():
    names = {name for _, _, name in CALLS if name.startswith("yaml.") and "load" in name}
    assert names <= {"yaml.safe_load"}
    assert any(name == "yaml_dialect.Loader" for _, _, name in CALLS), "a SafeLoader of ours"


def test_keras_files_are_loaded_in_safe_mode():
    loads = [(where, keywords(call)) for where, call, name in CALLS if name.endswith("load_model")]
    ours = [given for where, given in loads if "keras" in where or given]
    assert ours and all(given.get("safe_mode") == "True" for given in ours)
    assert not any("enable_unsafe_deserialization" in name for _, _, name in CALLS)


def test_no_text_becomes_code_or_a_shell_command():
    forbidden = {"eval", "exec", "compile", "os.system", "os.popen", "__import__"}
    assert [where for where, _, name in CALLS if name in forbidden] == []
    assert [where for where, call, _ in CALLS if keywords(call).get("shell") == "True"] == []


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
