"""A saved model: what its file does to rows and outputs, and how it is loaded. Importing this loads no Keras."""

from __future__ import annotations

import functools
import json
import re
import sys
import types
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from orchestrator.catalog import CallableReference, is_users_module
from orchestrator.data import Dataset, StreamedDataset, TableRecipe, map_tree
from orchestrator.errors import RecordError
from orchestrator.training.keras_setup import choose_backend, register_again, without_remarks
from orchestrator.training.task import OUTPUT_ACTIVATIONS, LearningGoal

MOST_NAMED_INPUTS = 512
"""A wider table's model takes its features as one array: Keras needs seconds for every hundred inputs."""


@dataclass(frozen=True)
class Transforms:
    """What was fitted on the training rows, and what the head lacks.

    ``shape`` and ``types`` are those of a row of features, trees for several inputs. ``activation`` is what logits
    still need, ``mean`` and ``std`` the unit of quantities; each None where outputs stay as they are.
    """

    shape: Any
    types: Any
    table: TableRecipe | None = None
    scaling: Mapping[str, Any] = field(default_factory=lambda: {"how": "none"})
    activation: str | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @classmethod
    def of(cls, dataset: Dataset | StreamedDataset, goal: LearningGoal) -> Transforms:
        """Return the transforms for a model that learned ``goal`` from this data."""
        labels, task = dataset.labels, goal.task
        standardized = goal.labels == "standardized" and not task.compiled_by_user
        lacks = task.from_logits and not task.compiled_by_user
        mean, std = (labels.mean, labels.std) if standardized else (None, None)
        return cls(
            dataset.input_shape,
            _types(dataset),
            dataset.table,
            dataset.scaling,
            OUTPUT_ACTIVATIONS[task.kind or "classification"] if lacks else None,
            None if mean is None else tuple(mean.tolist()),
            None if std is None else tuple(std.tolist()),
        )

    @property
    def takes_named_columns(self) -> bool:
        """Whether the saved model has an input a column."""
        return self.table is not None and takes_named_columns(self.table)

    @property
    def scales(self) -> bool:
        """Whether features are scaled."""
        return bool(self.scaling.get("how", "none") != "none")

    def to_plain(self) -> dict[str, Any]:
        """Return it as what JSON holds."""
        table = self.table.to_plain() if self.table else None
        mean, std = self.mean and list(self.mean), self.std and list(self.std)
        same = {"scaling": dict(self.scaling), "activation": self.activation}
        return {
            "shape": self.shape,
            "types": self.types,
            "table": table,
            "mean": mean,
            "std": std,
        } | same

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Transforms:
        """Return what ``to_plain`` wrote."""
        table = TableRecipe.from_plain(plain["table"]) if plain["table"] else None
        mean, std = (
            None if plain[name] is None else tuple(plain[name]) for name in ("mean", "std")
        )
        shape, types = shape_from_plain(plain["shape"]), plain["types"]
        types = tuple(types) if isinstance(types, list) else types
        return cls(shape, types, table, plain["scaling"], plain["activation"], mean, std)


def takes_named_columns(table: TableRecipe) -> bool:
    """Return whether the saved model of a table has an input a column."""
    return table.named and len(table.columns) <= MOST_NAMED_INPUTS


def shape_from_plain(plain: Any) -> Any:
    """Return the shape of a row from JSON's lists: a tuple of sizes, or a dictionary or tuple of those."""
    if isinstance(plain, Mapping):
        return {name: shape_from_plain(one) for name, one in plain.items()}
    return tuple(shape_from_plain(one) if isinstance(one, list) else one for one in plain)


def _types(dataset: Dataset | StreamedDataset) -> Any:
    """Return the names of the types of one row's arrays, which a stream does not tell without being read."""
    if not isinstance(dataset, StreamedDataset):
        return map_tree(lambda array: array.dtype.name, dataset.train.x)
    shape = dataset.input_shape
    if isinstance(shape, Mapping):
        return dict.fromkeys(shape, "float32")
    if shape and isinstance(shape[0], tuple):
        return ("float32",) * len(shape)
    return "float32"


WEIGHTS = "model.weights.h5"
RECIPE = "model.json"
DETAILS = "details.json"
"""All that an examination found of a winner; its record has the important part."""


def are_kept(folder: Path) -> bool:
    """Return whether a folder holds weights and how the model is built."""
    return (folder / WEIGHTS).is_file() and (folder / RECIPE).is_file()


def load_model(path: Path, builder: CallableReference | None = None) -> Any:
    """Return the model in a ``.keras`` file, loaded in safe mode: no code in the file is run.

    What Keras does not know is looked for among the classes and functions of the builder's file.
    """
    choose_backend()
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
