"""The sizes that code may have: limits that hold, and figures that may only get better (``RATCHET``)."""

from __future__ import annotations

import ast
import functools
import itertools
import statistics
import sys
import tempfile
import threading
import tokenize
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, NamedTuple

import grimp
import pytest

import orchestrator

ROOT = Path(__file__).parents[1]
FOLDERS = ("orchestrator", "models", "benchmarks", "tests")
FILES = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 40
DEPTH_OF_NESTING = 3
NOT_UNDERSTOOD_YET = {"utils", "util", "common", "core", "base", "manager", "helpers", "misc"}
MAY_CATCH_EVERYTHING = {
    "orchestrator/errors.py": 1,  # str and repr of anyone's classes
    "orchestrator/experiment/data_profile.py": 1,  # a user's stream read once more, when the run is over
    "orchestrator/tuning/trial_runner.py": 1,  # the trial boundary: one trial's error is a row of the table
    "orchestrator/tuning/cluster.py": 1,  # Ray's start: it raises a bare Exception
    "orchestrator/trials/function.py": 1,  # a call's thread, as one_fit_backend's
    "orchestrator/training/one_fit_backend.py": 1,  # a fit's thread: what ends it is raised in its driver's
    "orchestrator/__main__.py": 1,  # the command line's last line
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.While, ast.With, ast.Try, ast.Match)


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(paths: Iterable[Path]) -> Iterator[tuple[str, Function]]:
    for path in paths:
        for node in ast.walk(parsed(path)):
            if isinstance(node, Function):
                yield f"{short(path)}:{node.lineno} {node.name}", node


@functools.cache
def all_functions() -> tuple[tuple[str, Function], ...]:
    return tuple(functions(path for path in FILES if not path.is_relative_to(ROOT / "tests")))


def depth(node: ast.AST) -> int:
    """How many blocks lie inside one another; ``elif`` counts as its ``if``, a nested def anew."""
    if isinstance(node, Function):
        return 0
    deepest = 0
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        is_elif = isinstance(node, ast.If) and field == "orelse" and len(children) == 1
        for child in children:
            if isinstance(child, ast.AST):
                inside = depth(child)
                deepest = max(deepest, inside - (is_elif and isinstance(child, ast.If)))
    return deepest + isinstance(node, BLOCKS)


def test_no_file_is_longer_than_400_lines():
    lines = {short(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert {name: n for name, n in lines.items() if n > LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_40_lines():
    lines = {name: function.end_lineno - function.lineno + 1 for name, function in all_functions()}
    assert {name: n for name, n in lines.items() if n > LINES_OF_A_FUNCTION} == {}


def test_no_function_nests_more_than_three_blocks():
    deep = {name: max(map(depth, function.body)) for name, function in all_functions()}
    assert {name: n for name, n in deep.items() if n > DEPTH_OF_NESTING} == {}


def test_no_module_has_a_name_that_says_nothing():
    assert [short(path) for path in FILES if path.stem in NOT_UNDERSTOOD_YET] == []


def test_everything_is_caught_in_the_places_listed_alone():
    blind: dict[str, int] = {}
    for path in (ROOT / "orchestrator").rglob("*.py"):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler) and _catches_everything(node):
                blind[short(path)] = blind.get(short(path), 0) + 1
    assert blind.items() <= MAY_CATCH_EVERYTHING.items()


def _catches_everything(handler: ast.ExceptHandler) -> bool:
    """``except:``, ``except Exception`` and ``except BaseException`` that do not raise it on."""
    raised_on = any(isinstance(node, ast.Raise) and node.exc is None for node in ast.walk(handler))
    if handler.type is None:
        return not raised_on
    names = {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)}
    return not raised_on and bool(names & {"Exception", "BaseException"})


class Ratchet(NamedTuple):
    """A figure of ``orchestrator/`` that has not reached what is wanted: it may not get worse than ``today``.

    Whoever makes it better writes the new figure here.
    """

    today: float
    wanted: float
    figure: Callable[[], float]
    more_is_better: bool = False


PRODUCT = sorted((ROOT / "orchestrator").rglob("*.py"))
LIBRARIES = ("keras", "ray", "tensorflow")
INSIDE = {"src", "python"}
"""Folders of Keras and TensorFlow that are private without an underscore."""


@functools.cache
def imports() -> Mapping[str, set[str]]:
    """Each module's imports of others of ours, those for type checkers included."""
    graph = grimp.build_graph("orchestrator", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def with_one_importer() -> dict[str, str]:
    """Modules that serve one other module alone, and which; where a package's face imports a module, that is no one."""
    graph, faces = imports(), set(packages())
    importers = Counter(each for name in graph for each in graph[name])
    sole = {each: name for name in graph for each in graph[name] if importers[each] == 1}
    return {each: name for each, name in sole.items() if {each, name}.isdisjoint(faces)}


def packages() -> list[str]:
    return [name.rpartition(".")[0] for name in imports()]


def percent(modules: Sized) -> float:
    return 100 * len(modules) / len(imports().keys() - set(packages()))


def percent_with_one_importer() -> float:
    return percent(with_one_importer())


def percent_that_would_fit() -> float:
    """Those of them that were cut off: their importer has room for them, and imports them as it is imported itself.

    What a function imports is a module of its own so that its libraries are loaded late.
    """

    def file_of(name: str) -> Path:
        return ROOT.joinpath(*name.split(".")).with_suffix(".py")

    def imported_at_once(name: str, by: str) -> bool:
        package, _, last = name.rpartition(".")
        return any(
            isinstance(node, ast.ImportFrom)
            and (node.module == name or (node.module == package and last in names_of(node)))
            for node in parsed(file_of(by)).body
        )

    def names_of(node: ast.ImportFrom) -> set[str]:
        return {each.name for each in node.names}

    def lines(name: str) -> int:
        return len(file_of(name).read_text(encoding="utf-8").splitlines())

    return percent(
        [
            name
            for name, by in with_one_importer().items()
            if lines(name) + lines(by) <= LINES_OF_A_FILE and imported_at_once(name, by)
        ]
    )


def modules_in_circles() -> float:
    """Modules that import themselves by way of others."""
    graph = imports()

    def reached(name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            waiting += (new := graph[waiting.pop()] - seen)
            seen |= new
        return seen

    return sum(name in reached(name) for name in graph)


def public_methods() -> float:
    """The most that a class has."""
    return max(
        len({each.name for each in node.body if isinstance(each, Function) and each.name[0] != "_"})
        for tree in map(parsed, PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )


def median_lines() -> float:
    return statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in PRODUCT)


def comments_in_100_lines() -> float:
    """Comments for readers, and remarks below constants and fields, which say as much; those for tools do not count."""
    comments = lines = 0
    for path in PRODUCT:
        with path.open("rb") as file:
            tokens = list(tokenize.tokenize(file.readline))
        said = [each.string for each in tokens if each.type == tokenize.COMMENT]
        comments += len(
            [text for text in said if not text.startswith(("# noqa", "# type:", "# fmt"))]
        )
        comments += sum(map(_remarks, ast.walk(parsed(path))))
        lines += tokens[-1].start[0]
    return 100 * comments / lines


def _remarks(node: ast.AST) -> int:
    body = getattr(node, "body", None)
    pairs = itertools.pairwise(body) if isinstance(body, list) else ()
    return sum(
        isinstance(one, ast.Assign | ast.AnnAssign)
        and isinstance(other, ast.Expr)
        and isinstance(other.value, ast.Constant)
        for one, other in pairs
    )


def tuples_of_unlike_things() -> float:
    """Parameters that are a tuple of unlike things, which a class with named fields would be better."""
    arguments = [
        each.annotation
        for tree in map(parsed, PRODUCT)
        for node in ast.walk(tree)
        if isinstance(node, Function)
        for each in (*node.args.args, *node.args.kwonlyargs)
    ]
    return sum(_is_of_unlike_things(each) for each in arguments)


def _is_of_unlike_things(annotation: ast.expr | None) -> bool:
    if not isinstance(annotation, ast.Subscript) or ast.unparse(annotation.value) != "tuple":
        return False
    inside = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else []
    return len({ast.unparse(each) for each in inside} - {"..."}) > 1


def files_with_private_names() -> float:
    """Files that import what Ray, Keras or TensorFlow keep for themselves, or read attributes that only they have."""
    ours = {
        name
        for tree in map(parsed, PRODUCT)
        for node in ast.walk(tree)
        for name in (getattr(node, "name", None), getattr(node, "id", None), _of_self(node))
    }
    return sum(
        any(_is_private(node, ours) for node in ast.walk(tree)) for tree in map(parsed, PRODUCT)
    )


def _of_self(node: ast.AST) -> str | None:
    is_own = isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("self", "cls")
    return node.attr if is_own else None


def _is_private(node: ast.AST, ours: set[str | None]) -> bool:
    if isinstance(node, ast.ImportFrom):
        words = [*(node.module or "").split("."), *(each.name for each in node.names)]
        return words[0] in LIBRARIES and any(w[0] == "_" or w in INSIDE for w in words)
    hidden = isinstance(node, ast.Attribute) and node.attr[0] == "_" and node.attr[1] != "_"
    return hidden and node.attr not in ours and ast.unparse(node) != "os._exit"  # it is public


def files_that_resume_opens() -> float:
    """The files that a reader of `resume` opens: those on the way from the command to the first epoch that it trains.

    Those of each call that is under way while the epoch trains, and of all that these calls call themselves.
    """
    way: set[CodeType] = set()
    calls: set[tuple[CodeType, str]] = set()

    def called(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_back:
            calls.add((frame.f_back.f_code, frame.f_code.co_filename))
        if event == "call" and frame.f_code.co_name == train.__name__:
            stacks = sys._current_frames()  # of no other thread, such as one that beats
            for each in {threading.main_thread().ident, threading.get_ident()}:
                way.update(inner.f_code for inner, _ in traceback.walk_stack(stacks[each]))

    def train(hp: Mapping[str, Any], report: Callable[..., None]) -> None:
        report(1, loss=hp["rate"])

    with tempfile.TemporaryDirectory() as folder:
        told = {
            "trial": train,
            "metric": "loss",
            "storage_path": folder,
            "search_space": {"rate": "uniform(0, 1)"},
            "caviar": {"num_samples": 2},
        }
        quietly = {"executor": "inline", "progress": False}
        done = orchestrator.run(told, **quietly)
        for record in ("epochs", "trials", "events"):
            file = done.path / f"{record}.jsonl"
            file.write_text(
                file.read_text().partition("\n")[0] + "\n" if record == "events" else ""
            )
        threading.setprofile(called)
        sys.setprofile(called)
        try:
            orchestrator.resume(done.path, trial=train, **quietly)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
    opened = {code.co_filename for code in way} | {file for code, file in calls if code in way}
    return len(opened & {str(path) for path in PRODUCT})


RATCHET = {
    "modules with one importer, in percent": Ratchet(13.0, 8, percent_with_one_importer),
    "those of them that their importer has room for, in percent": Ratchet(
        0.3, 3, percent_that_would_fit
    ),
    "modules in circles of imports": Ratchet(0, 0, modules_in_circles),
    "files that `resume` opens up to its first epoch": Ratchet(24, 20, files_that_resume_opens),
    "public methods of a class": Ratchet(15, 15, public_methods),
    "parameters that are tuples of unlike things": Ratchet(0, 0, tuples_of_unlike_things),
    "files with private names of libraries": Ratchet(3, 3, files_with_private_names),
    "lines of a file, median": Ratchet(175, 100, median_lines, more_is_better=True),
    "comments in 100 lines": Ratchet(1.05, 2, comments_in_100_lines, more_is_better=True),
}


@pytest.mark.parametrize("name", RATCHET)
def test_a_figure_gets_no_worse(name):
    ratchet = RATCHET[name]
    figure = ratchet.figure()
    print(f"{name}: {figure:.1f}, allowed {ratchet.today:g}, wanted {ratchet.wanted:g}")
    better = figure >= ratchet.today if ratchet.more_is_better else figure <= ratchet.today
    assert better
