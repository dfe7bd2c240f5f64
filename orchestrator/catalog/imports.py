"""Which modules and files are the user's own, and the files that a Python file imports, found without running any.

Read are ``import`` and ``from ... import`` wherever they stand, and ``import_module`` of a constant name. What Python
and installed packages bring is left out: their versions are recorded.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import sys
import sysconfig
import types
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, all_suffixes
from pathlib import Path
from typing import Any

from orchestrator.errors import ExperimentFileError

_OURS = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}
_OF_A_PROCESS = ("__main__", "builtins")
"""Modules that each process has its own of, or that code is said to be of which was run without a name."""
_SUFFIXES = [suffix for suffix in all_suffixes() if suffix != ".pyc"]


def find_module(name: str) -> ModuleSpec | None:
    """Return the spec of a dotted module, or None; no package on the way is executed."""
    top, *rest = name.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    for part in rest:
        if spec is None or spec.submodule_search_locations is None:
            return None
        # The last part alone is asked for: a nested namespace package would look for its parent
        # in sys.modules, where it is not until it has been imported.
        spec = PathFinder.find_spec(part, list(spec.submodule_search_locations))
    return spec


def module_source(name: str) -> Path | None:
    """Return the Python file of a module, or None where there is none to read."""
    spec = find_module(name)
    if spec is None or not spec.has_location or spec.origin is None:
        return None
    path = Path(spec.origin)
    return path if path.suffix == ".py" and path.is_file() else None


@functools.cache
def is_users_module(name: str) -> bool:
    """Return whether a module is neither Python's nor installed nor ours: what stands in it is the user's."""
    top = name.partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None)
    return bool(file) and top != _OURS and not is_installed(str(file))


@functools.cache
def is_installed(file: str) -> bool:
    """Return whether a file is an installed package's or Python's own, whose modules' names a user's file may have."""
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    path = Path(file)
    return bool(_INSTALLED & set(path.parts)) or any(map(path.is_relative_to, folders))


def is_users_own(value: Any) -> bool:
    """Return whether a function or class is the user's, one that came from another process among them."""
    module = getattr(value, "__module__", None)
    if not module:  # run in a namespace without a name
        return isinstance(value, types.FunctionType)
    home = sys.modules.get(module)
    if module in _OF_A_PROCESS and getattr(home, value.__qualname__, None) is not value:
        return True
    if module == "__main__":
        return True
    return home is None or is_users_module(module)


def users_module_file(name: str) -> Path | None:
    """Return the Python file of a module of the user's, imported or not; None for any other module."""
    top = name.partition(".")[0]
    if not top or top == "__main__" or top in sys.stdlib_module_names or top == _OURS:
        return None
    file = module_source(name)
    return file if file is not None and not _INSTALLED & set(file.parts) else None


@dataclass(frozen=True)
class Found:
    """A file, the folder from which it is imported, and the package that its relative imports begin in."""

    path: Path
    root: Path
    package: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Return what the file is called below its root, the same wherever that lies."""
        return self.path.relative_to(self.root).as_posix()


@dataclass(frozen=True)
class Beginning:
    """Where imports are followed from: a file and those beside it, or a module and those of its own package.

    ``package`` is the name of the latter, empty for a file.
    """

    files: tuple[Found, ...]
    root: Path
    package: str = ""


def beginning_at_file(path: Path) -> Beginning:
    """Return where to begin with a file that is run by itself."""
    return Beginning((Found(path, path.parent),), path.parent)


def beginning_at_module(name: str, path: Path) -> Beginning:
    """Return where to begin with an installed module, which lies at ``path``: importing it runs its packages too."""
    parts = name.split(".")
    up = len(parts) if path.name == "__init__.py" else len(parts) - 1
    root = path.parents[up]
    files = tuple(_along(root, parts)) or (Found(path, root),)
    return Beginning(files, root, parts[0])


def followed(begin: Beginning, where: str) -> list[Found]:
    """Return the files one begins with, the named one first, and those of the user's that they import.

    ``where`` opens the message for one that is not valid Python.
    """
    waiting = list(begin.files)
    seen: dict[Path, Found] = {}
    while waiting:
        found = waiting.pop()
        if found.path not in seen:
            seen[found.path] = found
            if found.path.suffix == ".py":
                waiting.extend(_imported(found, begin, where))
    return list(seen.values())


def _imported(of: Found, begin: Beginning, where: str) -> Iterator[Found]:
    for node in ast.walk(parse_file(of.path, where)):
        for level, parts in _names(node):
            root = of.root if level else _root_of(parts[0], of, begin)
            if root is None:
                continue
            whole = [*_base(of, level), *parts]
            files = list(_along(root, whole))
            yield from files
            if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
                listed = [
                    name
                    for init in _readable(files)
                    for name in _listed(parse_file(init.path, where))
                ]
                yield from (file for name in listed for file in _along(root, [*whole, name]))


def _readable(files: list[Found]) -> list[Found]:
    """Return the last of the files, the one that a name refers to, where it is Python source."""
    return [file for file in files[-1:] if file.path.suffix == ".py"]


def _listed(tree: ast.Module) -> list[str]:
    """Return the names in a module's ``__all__``, which ``from package import *`` imports."""
    assigned = (node for node in tree.body if isinstance(node, ast.Assign))
    lists = (node for node in assigned if "__all__" in map(_called, node.targets))
    constants = (each for node in lists for each in ast.walk(node.value))
    return [str(each.value) for each in constants if isinstance(each, ast.Constant) and each.value]


def _names(node: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """Yield (dots, parts of the name) for each module that a statement may import."""
    if isinstance(node, ast.Import):
        yield from ((0, alias.name.split(".")) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = node.module.split(".") if node.module else []
        if start or node.names[0].name == "*":
            yield node.level, start
        named = (alias.name for alias in node.names if alias.name != "*")
        yield from ((node.level, [*start, name]) for name in named)
    elif isinstance(node, ast.Call) and _called(node.func) in ("import_module", "__import__"):
        first = node.args[0] if node.args else None
        written = first.value if isinstance(first, ast.Constant) else None
        name = written.lstrip(".") if isinstance(written, str) else ""
        if name:
            yield len(str(written)) - len(name), name.split(".")


def _called(node: ast.expr) -> str | None:
    """Return the last part of a name: ``importlib.import_module`` is ``import_module``."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else None


def _base(of: Found, level: int) -> tuple[str, ...]:
    """Return the package that a name with so many dots is looked up in; none for a name without."""
    if level == 0:
        return ()
    return of.package[: max(0, len(of.package) - (level - 1))]


def _root_of(top: str, of: Found, begin: Beginning) -> Path | None:
    """Return the folder that a top-level name is imported from, None where that is not the user's."""
    if top == begin.package:
        return begin.root
    if not begin.package and _is_regular(begin.root, top):
        return begin.root
    if _is_regular(of.root, top) and not _is_theirs(of.root):
        return of.root
    if top == _OURS or top in sys.stdlib_module_names:
        return None
    spec = find_module(top)
    if spec is None:
        return begin.root if not begin.package and (begin.root / top).is_dir() else None
    places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else ())]
    for place in map(Path, places):
        root = place.parent.parent if place.name == "__init__.py" else place.parent
        if place.exists() and not _is_theirs(root):
            return root
    return None


def _is_regular(root: Path, top: str) -> bool:
    return (root / top / "__init__.py").is_file() or bool(_module_file(root, top))


def _module_file(folder: Path, name: str) -> Path | None:
    files = (folder / f"{name}{suffix}" for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _is_theirs(root: Path) -> bool:
    """Return whether a folder is Python's own, or one of installed packages, as of ``pip install --target``."""
    paths = sysconfig.get_paths()
    own = (Path(paths["stdlib"]), Path(paths["platstdlib"]))
    return (
        bool(_INSTALLED & set(root.parts))
        or any(root.is_relative_to(folder) for folder in own)
        or any(root.glob("*.dist-info"))
    )


def _along(root: Path, parts: list[str]) -> Iterator[Found]:
    """Yield the files that importing ``parts`` from ``root`` runs; what is no module ends it: it is a name in one."""
    folder = root
    for at, part in enumerate(parts):
        if (folder / part / "__init__.py").is_file():
            folder = folder / part
            yield Found(folder / "__init__.py", root, tuple(parts[: at + 1]))
        elif (file := _module_file(folder, part)) is not None:
            yield Found(file, root, tuple(parts[:at]))
            return
        elif (folder / part).is_dir():  # a namespace package
            folder = folder / part
        else:
            return


def parse_file(path: Path, where: str) -> ast.Module:
    """Return the syntax tree of a Python file; ExperimentFileError names the line it breaks at."""
    try:
        return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        spot = f"{path} line {error.lineno}" if error.lineno else str(path)
        raise ExperimentFileError(f"{where}: {spot} is not valid Python: {error.msg}.") from error
    except (ValueError, OSError) as error:
        raise ExperimentFileError(f"{where}: {path} cannot be read: {error}.") from error
