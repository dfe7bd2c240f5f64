"""A room's face: its public names, each imported when it is first used, so that a command loads what it needs alone.

A room's ``__init__`` lists them as imports below ``if TYPE_CHECKING:``, where type checkers and editors find them, and
ends with ``load_when_used(__name__)``, which reads that list.
"""

from __future__ import annotations

import ast
import sys
from importlib import import_module
from types import ModuleType
from typing import Any


def load_when_used(package: str) -> None:
    """Have a package, which is being imported, import each name of its face when that is first asked for."""
    module = sys.modules[package]
    module.__dict__["__homes__"] = _homes(module)
    module.__class__ = _Face


def _homes(module: ModuleType) -> dict[str, str]:
    """Return the module that each name below ``if TYPE_CHECKING:`` is imported from."""
    loader: Any = module.__loader__  # one of a file's or an archive's: both know the source
    tree = ast.parse(loader.get_source(module.__name__))
    lists = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        name.name: statement.module
        for each in lists
        if ast.unparse(each.test) == "TYPE_CHECKING"
        for statement in each.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for name in statement.names
    }


class _Face(ModuleType):
    """A package whose public names are loaded late."""

    __homes__: dict[str, str]

    def __getattr__(self, name: str) -> Any:
        if name not in self.__homes__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        value = getattr(import_module(self.__homes__[name]), name)
        self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        """Set an attribute, but none to a module of the package that has the name of something else in its face.

        Python's import sets it to each module that it has loaded: experiment.run is the function, run.py its module.
        """
        if not (isinstance(value, ModuleType) and name in self.__homes__):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.__homes__})
