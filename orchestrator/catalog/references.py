"""References: plain, picklable values that a worker turns into the real thing itself."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.catalog.bundled import bundled_file
from orchestrator.catalog.guard import UsersCode
from orchestrator.catalog.loading import beside, load_file
from orchestrator.catalog.modules import module_source
from orchestrator.errors import UnknownNameError, explain


@dataclass(frozen=True)
class CallableReference:
    """A function somewhere: ``kind`` says where, ``text`` is what the user wrote.

    ``place`` is the bundled model's name, the file's absolute path, or the module's dotted name.
    """

    kind: Literal["bundled", "file", "module"]
    place: str
    function: str
    text: str

    @property
    def file(self) -> Path | None:
        """The source file on this machine, or None for a module without Python source."""
        if self.kind == "bundled":
            return bundled_file("models", self.place)
        if self.kind == "file":
            return Path(self.place)
        return module_source(self.place)

    def load(self, fresh: bool = False) -> Callable[..., Any]:
        """Return the function, running its file or importing its module in this process.

        ``fresh``: a user's file is run again, so that nothing is in it that an earlier call has left.
        TrialError when that code raises; UnknownNameError when file, module or function is gone.
        """
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


@dataclass(frozen=True)
class DataReference:
    """Data somewhere: a bundled set, a file of arrays or a table, or a function that returns it.

    ``place`` is the bundled set's name, the file's absolute path, or the function's place.
    """

    kind: Literal["bundled", "npz", "csv", "parquet", "function"]
    place: str
    text: str
    function: CallableReference | None = None


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
