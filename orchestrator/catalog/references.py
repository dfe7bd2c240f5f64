"""References: plain, picklable values that a worker turns into the real thing itself."""

from __future__ import annotations

import functools
import importlib
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.catalog.bundled import bundled_file
from orchestrator.catalog.contents import Contents
from orchestrator.catalog.guard import UsersCode
from orchestrator.catalog.loading import beside, load_file
from orchestrator.catalog.modules import module_source
from orchestrator.errors import UnknownNameError, explain

REGISTERED = "registered with Keras"
_unpickled: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class GivenCode:
    """A function that was given in Python: ``pickled`` holds it, beside others given with it, under its name.

    Functions of one ``pickled`` share what they refer to, as those of one file do.
    """

    pickled: bytes = field(repr=False)
    contents: Contents


@dataclass(frozen=True)
class CallableReference:
    """A function somewhere: ``kind`` says where, ``text`` is what the user wrote.

    ``place`` is the bundled model's name, the file's absolute path, the module's dotted name, or what tells apart one
    ``given`` in Python.
    """

    kind: Literal["bundled", "file", "module", "object"]
    place: str
    function: str
    text: str
    given: GivenCode | None = field(default=None, compare=False)

    @property
    def file(self) -> Path | None:
        """The source file on this machine, or None for a module without Python source."""
        if self.kind == "bundled":
            return bundled_file("models", self.place)
        if self.kind == "file":
            return Path(self.place)
        return module_source(self.place) if self.kind == "module" else None

    @property
    def runs_in(self) -> str | None:
        """What tracebacks call the file of the function."""
        if self.given is not None:
            return self.given.contents.file
        return str(self.file)

    def load(self, fresh: bool = False) -> Callable[..., Any]:
        """Return the function, running its file or importing its module in this process.

        ``fresh``: a user's file is run again, so that nothing is in it that an earlier call has left.
        TrialError when that code raises; UnknownNameError when file, module or function is gone.
        """
        if self.given is not None:
            return self._unpickled(self.given.pickled, fresh)
        file = self.file
        if self.kind != "module" and (file is None or not file.is_file()):
            raise UnknownNameError(
                f"{self.text}: the file was expected at {file} and is not there."
            )
        with UsersCode(self.text, str(file)):
            module = (
                importlib.import_module(self.place)
                if self.kind == "module" or file is None
                else load_file(file, fresh and self.kind == "file")
            )
        found = getattr(module, self.function, None)
        if not callable(found):
            known = [name for name, value in vars(module).items() if _is_own(name, value, module)]
            raise UnknownNameError(explain(self.text, "a function", self.function, known))
        if self.kind == "file" and file is not None:
            return _with_neighbours(found, file.parent)
        return _typed(found)

    def _unpickled(self, pickled: bytes, fresh: bool) -> Callable[..., Any]:
        """Return what was given, made anew where it is to be ``fresh`` or another one was loaded last."""
        if fresh or self.place not in _unpickled:
            _unpickled.clear()
            with UsersCode(self.text, self.runs_in):
                _unpickled[self.place] = pickle.loads(pickled)  # noqa: S301 (made by the driver of this run)
        return _typed(_unpickled[self.place][self.function])

    @property
    def registered(self) -> Mapping[str, Any]:
        """What was registered with Keras of that which a function given in Python refers to, once it is loaded."""
        registered: Mapping[str, Any] = _unpickled.get(self.place, {}).get(REGISTERED, {})
        return registered


@dataclass(frozen=True)
class DataReference:
    """Data somewhere: a bundled set, arrays, a table, pictures, or a function that returns it.

    ``place`` is the bundled set's name, the file's or folder's absolute path, or the function's place. ``given`` is
    what was given in Python, in the driver alone.
    """

    kind: Literal["bundled", "npz", "csv", "parquet", "folder", "function", "object"]
    place: str
    text: str
    function: CallableReference | None = None
    given: Any = field(default=None, compare=False, repr=False)


def _with_neighbours(function: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """Let a user's function import its neighbours when it is called, as it could when loaded."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with beside(folder):
            return function(*args, **kwargs)

    return call


def _typed(function: Any) -> Callable[..., Any]:
    result: Callable[..., Any] = function
    return result


def _is_own(name: str, value: Any, module: Any) -> bool:
    own = getattr(value, "__module__", None) == module.__name__
    return callable(value) and own and not name.startswith("_")
