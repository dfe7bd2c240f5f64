"""Files of a user's whose names are taken: by Python's own modules, or by packages that a run needs.

``queue.py`` or ``numpy.py`` beside an experiment would be imported by Ray and Keras in place of the real one. The real
one comes first everywhere; the user's file is not importable by that name, which is said where their code wants it.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

_OURS = __name__.partition(".")[0]
_ROOTS = (_OURS, "keras", "ray", "tensorflow", "tensorflow-cpu")
_INSTALLED = {"site-packages", "dist-packages"}
_said: set[Path] = set()


@functools.cache
def is_taken(name: str) -> bool:
    """Return whether Python, this project or a package that a run needs has a top-level module of that name."""
    if name in sys.stdlib_module_names or name == _OURS:
        return True
    installed = [place for place in sys.path if _INSTALLED & set(Path(place).parts)]
    if PathFinder.find_spec(name, installed) is None:
        return False  # reading what all packages bring takes a second
    return any(_canonical(each) in _needed() for each in packages_distributions().get(name, ()))


@functools.cache
def _needed() -> frozenset[str]:
    """Return the packages that a run needs, directly or not."""
    found: set[str] = set()
    waiting = [*_ROOTS]
    while waiting:
        name = _canonical(waiting.pop())
        if name in found:
            continue
        found.add(name)
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        waiting += [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]
    return frozenset(found)


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def hidden_in(folder: Path) -> list[Path]:
    """Return the modules and packages in a folder whose names are taken."""
    found = [*folder.glob("*.py"), *(init.parent for init in folder.glob("*/__init__.py"))]
    ours = Path(__file__).parents[1]
    return sorted(entry for entry in found if is_taken(entry.stem) and entry != ours)


def tell_hidden_imports(path: Path) -> None:
    """Say once on stderr which files beside a user's file it does not get by importing their names."""
    hidden = [each for each in hidden_in(path.parent) if each != path and each not in _said]
    if not hidden:
        return
    wanted = set(_imported(path))
    for each in hidden:
        if each.stem in wanted:
            _said.add(each)
            whose = "one of Python's own" if each.stem in sys.stdlib_module_names else "installed"
            sys.stderr.write(
                f"note: 'import {each.stem}' in {path.name} is the module that is {whose}, not {each.name} beside"
                " it. Rename that file to import it.\n"
            )


def _imported(path: Path) -> Iterator[str]:
    """Yield the top-level names that a file imports; none of one that is not valid Python, which is refused later."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, OSError):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
