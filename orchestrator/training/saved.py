"""A saved model: loaded by Keras alone, or with the classes of the user's file, and proved to give what it gave."""

from __future__ import annotations

import functools
import json
import re
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.catalog import CallableReference, is_users_module
from orchestrator.errors import RecordError
from orchestrator.training.kept import are_kept, rebuilt
from orchestrator.training.keras_setup import quiet_tensorflow, register_again, without_remarks


def load_model(path: Path, builder: CallableReference | None = None) -> Any:
    """Return the model in a ``.keras`` file, loaded in safe mode: no code in the file is run.

    What Keras does not know is looked for among the classes and functions of the builder's file.
    """
    quiet_tensorflow()
    import keras

    with without_remarks():
        try:
            return keras.saving.load_model(path, safe_mode=True)
        except (TypeError, ValueError, AttributeError) as error:
            if builder is None:
                _refuse_unknown_class(path, error)
            if builder is None or builder.kind == "bundled":
                raise
        return keras.saving.load_model(path, custom_objects=objects_of(builder), safe_mode=True)


def custom_objects_in(path: Path) -> tuple[str, ...]:
    """Return the names of the classes and functions in a ``.keras`` file that are not Keras's own."""
    if not zipfile.is_zipfile(path):
        return ()
    with zipfile.ZipFile(path) as file:
        found = _custom(json.loads(file.read("config.json")))
    return tuple(sorted(set(found)))


def _custom(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        module = str(config.get("module") or "")
        own = module.partition(".")[0] not in ("", "keras", "builtins")
        if own or (config.get("registered_name") and not module.startswith("keras")):
            yield str(config.get("class_name") or config.get("config"))
    for value in config.values() if isinstance(config, Mapping) else config:
        if isinstance(value, Mapping | list):
            yield from _custom(value)


def load_winner(folder: Path, builder: CallableReference) -> Any:
    """Return the model in a run's ``best``: its file, or what its builder builds around the weights that were kept."""
    if not (folder / "model.keras").exists() and are_kept(folder):
        quiet_tensorflow()
        return rebuilt(folder, builder)
    return load_model(folder / "model.keras", builder)


def objects_of(builder: CallableReference) -> dict[str, Any]:
    """Return the classes and functions of a builder's file, and of the files beside it that it imports, by name."""
    loaded = builder.load()
    register_again(builder)
    if builder.given is not None:
        return _beside(loaded)
    module = sys.modules[getattr(loaded, "__wrapped__", loaded).__module__]
    found: dict[str, Any] = {}
    for one in (*_files_beside(module), module):
        found |= {name: value for name, value in vars(one).items() if callable(value)}
    return found


def _files_beside(module: ModuleType) -> list[ModuleType]:
    """Return the modules that a user's file refers to and that lie below its folder."""
    folder = Path(str(module.__file__)).parent
    modules = [value for value in vars(module).values() if isinstance(value, ModuleType)]
    return [
        one
        for one in modules
        if getattr(one, "__file__", None) and Path(str(one.__file__)).is_relative_to(folder)
    ]


def _refuse_unknown_class(path: Path, error: Exception) -> None:
    """Raise RecordError where a model has a class of the user's that Keras does not know."""
    found = re.search(r"Could not locate (class|function) '([^']+)'", str(error))
    if found is None:
        return
    raise RecordError(
        f"{path}: expected a model of classes and functions that Keras knows here. Received: one with the"
        f" {found[1]} {found[2]}. Decorate it with @keras.saving.register_keras_serializable() and import it first, or"
        " name the builder: run.load_model(build), keras.saving.load_model(path, custom_objects={...})."
    ) from error


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
