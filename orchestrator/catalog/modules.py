"""Finding an installed module's source without importing it: user code must not run at a check."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path


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
