"""Traced programs on disk: what one worker has traced, another one, and the next run, need not trace again.

Of models alone that run no code but Keras's while they are traced, bundled ones and users': that theirs are the same
follows from what the model holds, this package's code, the versions of what traces, and what is asked for. A user's
own layer or loss may do anything then. A user's files are in the key all the same: they may have changed Keras.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from orchestrator.catalog import bundled_folder, is_users_module
from orchestrator.training.keras_backend import runs_eagerly
from orchestrator.training.keras_internals import policies_set, switches
from orchestrator.training.task import LearningGoal, TrainingTask
from orchestrator.training.tensorflow_internals import DefinedFunction, definitions_of
from orchestrator.training.trial_model import Built

FOLDER = "ORCHESTRATOR_PROGRAMS"
"""The variable that names the folder; empty: nothing is kept."""
KEPT = 400
"""Files kept: one of a small network has 100 kB, and there are two for each structure, of a winner's three."""


Named = Mapping[str, Any]
"""Variables by names that are theirs in each process."""
_COUNTED = re.compile(r"_\d+(?=/|$)")


def named(kind: str, variables: Sequence[Any]) -> dict[str, Any]:
    """Return Keras's variables by such names: their own are counted over a process where they would be equal."""
    paths = [_COUNTED.sub("", variable.path) for variable in variables]
    pairs = zip(paths, variables, strict=True)
    return {f"{kind} {at} {path}": variable for at, (path, variable) in enumerate(pairs)}


def store_folder() -> Path | None:
    """Return the folder of traced programs, which nobody else may write to; None where there is none."""
    told = os.environ.get(FOLDER)
    if told == "":
        return None
    try:
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        folder = Path(told) if told else Path(cache) / "orchestrator" / "programs"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    return folder if status.st_uid == os.getuid() and not status.st_mode & 0o022 else None


def stored_programs(
    task: TrainingTask, built: Built, goal: LearningGoal, structure: str
) -> StoredPrograms | None:
    """Return where the programs of a structure are kept; None where none may be."""
    if not _is_keras_s(task, built) or runs_eagerly():
        return None
    folder = store_folder()
    if folder is None:
        return None
    scale = None if goal.scale is None else np.asarray(goal.scale).tolist()
    asked = {
        "structure": structure,
        "model": [task.model.place, task.shape, task.kind, task.metrics],
        "goal": [repr(goal.task), goal.labels, scale, goal.columns],
        "policies": [policies_set(), switches()],
        "devices": [each.device_type for each in tf.config.list_physical_devices()],
        "user's": {} if task.model.kind == "bundled" else _users_files(),
    }
    key = json.dumps([_what_traces(), asked], sort_keys=True, default=repr)
    return StoredPrograms(folder, _digest(key.encode()))


def _is_keras_s(task: TrainingTask, built: Built) -> bool:
    """Return whether a model runs no code but Keras's while it is traced, and what it holds is known."""
    if task.model.kind == "bundled":
        return not built.compiled_by_user
    has_files = task.model.kind in ("file", "module")
    return has_files and built.by_keras and bool(built.constants) and built.origin is not None


def _users_files() -> dict[str, str]:
    """Return the digests of a user's modules that are imported: one of them may have put something into Keras."""
    files = {name: getattr(module, "__file__", None) for name, module in [*sys.modules.items()]}
    own = {name: Path(str(file)) for name, file in files.items() if file and is_users_module(name)}
    return {name: _digest(file.read_bytes()) for name, file in own.items() if file.is_file()}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@functools.cache
def _what_traces() -> dict[str, Any]:
    """Return what traces a program besides what it is asked for: versions, settings of the process, our own code."""
    folders = (Path(__file__).parent, bundled_folder("models"))
    files = [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    code = _digest(b"\0".join(file.read_bytes() for file in files))
    set_by = {k: v for k, v in os.environ.items() if k.startswith(("TF_", "KERAS_"))}
    versions = [sys.version, tf.__version__, keras.__version__, np.__version__]
    return {"code": code, "environment": set_by, "versions": versions}


@dataclass(frozen=True)
class StoredPrograms:
    """The files of one structure's programs."""

    folder: Path
    key: str
    """Of all that a program depends on but its name, which says the shapes and types of its arguments."""

    def read(self, name: str, variables: Named) -> Callable[..., Mapping[str, Any]] | None:
        """Return a program over a model's variables; None where it is not there, or damaged."""
        try:
            digest, _, content = self._file(name).read_bytes().partition(b"\n")
        except OSError:
            return None
        if _digest(content).encode() != digest:
            return None
        head, _, definitions = content.partition(b"\n")
        about = json.loads(head)
        if about["variables"] != _forms(variables):
            return None
        handles = [handle_of(variables[each]) for each in about["captured"]]
        run, names = DefinedFunction(definitions, handles, len(about["names"])), about["names"]
        flat = sorted(names)

        def program(*given: Any) -> Mapping[str, Any]:
            found = dict(zip(flat, run(*tf.nest.flatten(given)), strict=True))
            return {name: found[name] for name in names}

        return program

    def keep(self, name: str, traced: Any, variables: Named) -> None:
        """Write a traced function that gives figures by name, unless it has captured anything but these variables."""
        names = {id(handle_of(variable)): name for name, variable in variables.items()}
        captured = [names.get(id(each)) for each in traced.captured_inputs]
        if None in captured:
            return
        about = {
            "captured": captured,
            "names": list(traced.structured_outputs),
            "variables": _forms(variables),
        }
        definitions = definitions_of(traced)
        if b"PyFunc" in definitions:
            return  # it calls a Python function by a number that the process has given it
        content = json.dumps(about).encode() + b"\n" + definitions
        digest = _digest(content).encode()
        with suppress(OSError):
            _write(self._file(name), digest + b"\n" + content)
            _forget_oldest(self.folder)

    def is_known(self, fact: str) -> bool:
        """Return whether a worker has found something out about this structure."""
        try:
            return self._file(fact).read_bytes() == fact.encode()
        except OSError:
            return False

    def note(self, fact: str) -> None:
        """Have others know it."""
        with suppress(OSError):
            _write(self._file(fact), fact.encode())

    def _file(self, name: str) -> Path:
        return self.folder / _digest(f"{self.key} {name}".encode())


class KeptProgram:
    """A function of figures by name: read from disk, or traced and, where ``may_be_kept`` says so, put there."""

    def __init__(
        self,
        name: str,
        function: Any,
        stored: StoredPrograms,
        variables: Callable[[], Named],
        may_be_kept: Callable[[], bool],
    ) -> None:
        self._name, self._function, self._stored = name, function, stored
        self._variables, self._may_be_kept = variables, may_be_kept
        self._ready: Callable[..., Mapping[str, Any]] | None = None

    def __call__(self, *given: Any) -> Mapping[str, Any]:
        """Run it."""
        if self._ready is None:
            self._ready = self._stored.read(self._name, self._variables())
        if self._ready is not None:
            return self._ready(*given)
        self._ready = self._function
        found: Mapping[str, Any] = self._function(*given)
        if self._may_be_kept():
            traced = self._function.get_concrete_function()
            self._stored.keep(self._name, traced, self._variables())
        return found


def handle_of(variable: Any) -> Any:
    """Return what a program captures of a variable of TensorFlow's or Keras's."""
    return variable.value.handle if isinstance(variable, keras.Variable) else variable.handle


def _forms(variables: Named) -> dict[str, Any]:
    kinds = {name: variable.dtype for name, variable in variables.items()}
    names = {name: kind if isinstance(kind, str) else kind.name for name, kind in kinds.items()}
    return {name: [names[name], *variable.shape] for name, variable in variables.items()}


def _write(file: Path, content: bytes) -> None:
    """Put it there at once. It need not survive a power cut, after which its digest says that it is damaged."""
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=".", delete=False) as made:
        made.write(content)
    Path(made.name).replace(file)


def _forget_oldest(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime)
    for file in files[:-KEPT]:
        file.unlink()
