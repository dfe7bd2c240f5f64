"""A saved model: loaded by Keras alone, or with the classes of the user's file, and proved to give what it gave."""

from __future__ import annotations

import functools
import sys
import types
from pathlib import Path
from typing import Any

from orchestrator.catalog import CallableReference, is_users_module
from orchestrator.training.worker_process import quiet_tensorflow


def load_model(path: Path, builder: CallableReference | None = None) -> Any:
    """Return the model in a ``.keras`` file, loaded in safe mode: no code in the file is run.

    What Keras does not know is looked for among the classes and functions of the builder's file.
    """
    quiet_tensorflow()
    import keras

    try:
        return keras.saving.load_model(path, safe_mode=True)
    except (TypeError, ValueError, AttributeError):
        if builder is None or builder.kind == "bundled":
            raise
    return keras.saving.load_model(path, custom_objects=objects_of(builder), safe_mode=True)


def objects_of(builder: CallableReference) -> dict[str, Any]:
    """Return the classes and functions of a builder's file by name."""
    loaded = builder.load()
    if builder.given is not None:
        return _beside(loaded)
    module = sys.modules[getattr(loaded, "__wrapped__", loaded).__module__]
    return {name: value for name, value in vars(module).items() if callable(value)}


def _beside(function: Any) -> dict[str, Any]:
    """Return the classes and functions that a function given in Python refers to, by name."""
    while isinstance(function, functools.partial):
        function = function.func
    code = function if isinstance(function, types.FunctionType) else type(function).__call__
    names: dict[str, Any] = dict(getattr(code, "__globals__", {}))
    cells = getattr(code, "__closure__", None) or ()
    inside = [cell.cell_contents for cell in cells if cell != types.CellType()]
    names |= {part.__name__: part for part in inside if hasattr(part, "__name__")}
    modules = [value for value in names.values() if isinstance(value, types.ModuleType)]
    for module in (each for each in modules if is_users_module(each.__name__)):
        names = {**vars(module), **names}
    return {name: value for name, value in names.items() if callable(value)}
