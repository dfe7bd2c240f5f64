"""Whose a module, function or class is: the user's, whose code may change, or Python's, a package's, ours."""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path
from typing import Any

from orchestrator.catalog.modules import module_source

_OURS = __name__.partition(".")[0]
_INSTALLED = {"site-packages", "dist-packages"}
_OF_A_PROCESS = ("__main__", "builtins")
"""Modules that each process has its own of, or that code is said to be of which was run without a name."""


@functools.cache
def is_users_module(name: str) -> bool:
    """Return whether a module is neither Python's nor installed nor ours: what stands in it is the user's."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names or top == _OURS:
        return False
    file = getattr(sys.modules.get(name), "__file__", None)
    return bool(file) and not _INSTALLED & set(Path(str(file)).parts)


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
