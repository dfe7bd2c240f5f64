"""What can be known of a Python file without running it: that it parses, and what it defines."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.imports import (
    Found,
    beginning_at_file,
    beginning_at_module,
    followed,
)
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.catalog.references import CallableReference

_Function = ast.FunctionDef | ast.AsyncFunctionDef
_SEEN_THROUGH = frozenset({"keras", "tensorflow", "numpy"})
"""Packages whose functions compile no model by themselves."""


def check_function(path: Path, function: str, arguments: int, where: str) -> None:
    """Return when the file parses and defines ``function`` so that it takes ``arguments`` of them.

    A name that is imported or assigned counts as defined: only running the file could tell more.
    """
    tree = parse_file(path, where)
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    bound = set(_bound_names(tree.body))
    if function not in bound and "*" not in bound:
        known = [name for name in functions if not name.startswith("_")]
        what = f"a function {function!r} in {path.name}"
        if not known:
            end = _of_a_class(tree, function) or ", which defines no function."
            raise UnknownNameError(f"{where}: {what} was expected{end}")
        raise UnknownNameError(explain(where, what, function, known))
    node = functions.get(function)
    instead = _instead(node, path.name) if node is not None and arguments == 3 else None
    if instead is not None:
        raise ExperimentFileError(f"{where}: {instead}")
    yields = arguments == 2 and node is not None and _takes(node, 1)  # a generator needs no report
    if node is not None and not (yields or _takes(node, arguments)):
        wanted = {3: "(hp, input_shape, num_classes)", 2: "(hp, report)", 1: "(hp)"}.get(
            arguments, "()"
        )
        raise ExperimentFileError(
            f"{where}: a function that can be called as {function}{wanted} was expected. "
            f"Received: {function}({ast.unparse(node.args)}) in {path.name} line {node.lineno}."
        )


def check_class(path: Path, name: str, where: str) -> None:
    """Return when the file parses and its top level binds ``name``, be it a class or what makes one."""
    tree = parse_file(path, where)
    bound = set(_bound_names(tree.body))
    if name not in bound and "*" not in bound:
        known = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        raise UnknownNameError(explain(where, f"a class {name!r} in {path.name}", name, known))


def refuse_another_tuners(function: Any, where: str) -> None:
    """Raise ExperimentFileError for a builder given in Python that is written for another tuner."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        file = Path(inspect.getsourcefile(function) or "its source").name
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError):
        return
    instead = _instead(node, file) if isinstance(node, _Function) else None
    if instead is not None:
        raise ExperimentFileError(f"{where}: {instead}")


def _of_a_class(tree: ast.Module, function: str) -> str:
    """Return a sentence's end that says so where a function is there, but as a class's."""
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else []
        if any(isinstance(each, _Function) and each.name == function for each in inside):
            name = node.name if isinstance(node, ast.ClassDef) else ""
            return f", and not one of the class {name}: write it at the top of the file."
    return ""


def parse_file(path: Path, where: str) -> ast.Module:
    """Return the syntax tree of a Python file; ExperimentFileError names the line it breaks at."""
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        spot = f"{path} line {error.lineno}" if error.lineno else str(path)
        raise ExperimentFileError(f"{where}: {spot} is not valid Python: {error.msg}.") from error
    except (ValueError, OSError) as error:
        raise ExperimentFileError(f"{where}: {path} cannot be read: {error}.") from error


def read_names(reference: CallableReference) -> set[str]:
    """Return every name that the reference's file, or one beside it that it imports, reads from a mapping.

    That is ``hp["units"]``, ``hp.get("units", 64)`` and ``"units" in hp``: a builder that reads a hyperparameter in
    another way (a computed key, ``**hp``) must be run to know. Empty for a module without Python source.
    """
    names: set[str] = set()
    for tree in _trees(reference):
        names.update(name for node in ast.walk(tree) for name in _read_by(node))
    return names


def source_texts(reference: CallableReference) -> list[str]:
    """Return the text of each of the user's files, or functions given in Python; none where one has no source."""
    if reference.given is not None:
        contents = reference.given.contents
        return list(contents.sources) if contents.complete else []
    return [path.read_text("utf-8") for path in source_files(reference)]


def _trees(reference: CallableReference) -> Iterator[ast.Module]:
    for path in source_files(reference):
        yield parse_file(path, reference.text)
    for source in reference.given.contents.sources if reference.given is not None else ():
        with contextlib.suppress(SyntaxError):  # a lambda's line may be a part of a statement
            yield ast.parse(textwrap.dedent(source))


def source_files(reference: CallableReference) -> list[Path]:
    """Return the Python files of the user's that a reference leads to, its own first; see ``code_files``."""
    return [file.path for file in _followed(reference) if file.path.suffix == ".py"]


def code_files(reference: CallableReference) -> dict[str, str]:
    """Return {name: sha256} of the reference's file, the first, and of all of the user's that it imports.

    These are the files beside it, of its own package where it is a module, and of what else lies outside Python and
    installed packages. Empty without Python source. Of what was given in Python they are its parts.
    """
    if reference.given is not None:
        return dict(reference.given.contents.parts)
    files: dict[str, str] = {}
    for file in _followed(reference):
        name = file.name if file.name not in files else str(file.path)
        files[name] = _digest(file.path.read_bytes())
    return files


def _followed(reference: CallableReference) -> list[Found]:
    path = reference.file
    if path is None:
        return []
    module = reference.kind == "module"
    begin = beginning_at_module(reference.place, path) if module else beginning_at_file(path)
    found = followed(begin, lambda file: parse_file(file, reference.text))
    return sorted(found, key=lambda file: file.path != path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _instead(node: _Function, file: str) -> str | None:
    """Return what to write in place of a builder for another tuner; None where it is for this one."""
    from orchestrator.catalog.other_tuners import written_for_another  # with NumPy: not for --help

    return written_for_another(node, file)


def may_compile(reference: CallableReference) -> bool:
    """Return whether a builder may return a compiled model: its files make one, or import other people's code."""
    if reference.kind == "bundled":
        return False
    if reference.given is not None:
        return True
    files = source_files(reference)
    beside = {name for file in files for name in (file.stem, file.parent.name)}
    nodes = [node for file in files for node in ast.walk(parse_file(file, reference.text))]
    known = _SEEN_THROUGH | sys.stdlib_module_names | beside
    imported = {name for node in nodes for name in _imports(node)}
    return not files or bool(imported - known) or any(map(_compiles, nodes))


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the top-level names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _compiles(node: ast.AST) -> bool:
    named = {getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None)}
    return bool(named & {"compile", "load_model"})


def _read_by(node: ast.AST) -> Iterator[str]:
    """Yield the constant names that one expression looks up."""
    keys: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        keys = [node.slice]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        keys = node.args[:1] if node.func.attr == "get" else []
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        keys = [node.left]
    for key in keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def code_fingerprint(reference: CallableReference) -> str:
    """Return one sha256 of the reference's files; of its name for a module without source.

    That of a single file is the file's own.
    """
    if reference.given is not None:
        return reference.given.contents.fingerprint
    files = code_files(reference)
    if not files:
        return _digest(reference.place.encode())
    if len(files) == 1:
        return next(iter(files.values()))
    return _digest("".join(f"{name}\0{files[name]}\n" for name in sorted(files)).encode())


def _bound_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module's top level binds, also inside ``if`` and ``try``."""
    for node in body:
        yield from _bound_by(node)
        for field in ("body", "orelse", "finalbody", "handlers"):
            inside = [] if isinstance(node, _Function | ast.ClassDef) else getattr(node, field, [])
            yield from _bound_names(inside)


def _bound_by(node: ast.stmt) -> list[str]:
    if isinstance(node, _Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
    return []


def _takes(node: _Function, arguments: int) -> bool:
    """Tell whether a function can be called with that many positional arguments."""
    if node.decorator_list:
        return True
    places = len(node.args.posonlyargs) + len(node.args.args)
    required = places - len(node.args.defaults)
    named_only = any(default is None for default in node.args.kw_defaults)
    fits = required <= arguments and (arguments <= places or node.args.vararg is not None)
    return fits and not named_only
