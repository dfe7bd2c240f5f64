"""References: plain, picklable values that a worker turns into the real thing itself, and the code they lead to."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib
import pickle
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from orchestrator.catalog.contents import Contents
from orchestrator.catalog.imports import (
    Found,
    beginning_at_file,
    beginning_at_module,
    followed,
    module_source,
    parse_file,
)
from orchestrator.catalog.names import bundled_file
from orchestrator.catalog.user_code import UsersCode, beside, load_file
from orchestrator.errors import UnknownNameError, explain

REGISTERED = "registered with Keras"
_unpickled: dict[str, dict[str, Any]] = {}
_SEEN_THROUGH = frozenset({"keras", "tensorflow", "numpy"})
"""Packages whose functions compile no model by themselves."""


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
    asks: frozenset[str] = field(default=frozenset(), compare=False)
    """The hyperparameters that its code was found to ask for when it was run."""

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
        found: Any = getattr(module, self.function, None)
        if not callable(getattr(found, "build", found)):
            known = [name for name, value in vars(module).items() if _is_own(name, value, module)]
            raise UnknownNameError(explain(self.text, "a function", self.function, known))
        if self.kind == "file" and file is not None:
            return _with_neighbours(found, file.parent)
        return _typed(found)

    def _unpickled(self, pickled: bytes, fresh: bool) -> Callable[..., Any]:
        """Return what was given; it is unpickled again if ``fresh``, or if another one was loaded since."""
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


def read_names(reference: CallableReference) -> set[str]:
    """Return every name that the reference's file, or one beside it that it imports, reads from a mapping.

    That is ``hp["units"]``, ``hp.get("units", 64)`` and ``"units" in hp``: a builder that reads a hyperparameter in
    another way (a computed key, ``**hp``) must be run to know. Empty for a module without Python source.
    """
    names: set[str] = set(reference.asks)
    for tree in _trees(reference):
        names.update(name for node in ast.walk(tree) for name in _read_by(node))
    return names


def source_texts(reference: CallableReference) -> list[str]:
    """Return the text of each of the user's files, or functions given in Python; none where one has no source."""
    if reference.given is not None:
        contents = reference.given.contents
        return list(contents.sources) if contents.complete else []
    return [path.read_text("utf-8") for path in source_files(reference)]


def _trees(reference: CallableReference) -> Iterator[ast.Module]:
    for path in source_files(reference):
        yield parse_file(path, reference.text)
    for source in reference.given.contents.sources if reference.given is not None else ():
        with contextlib.suppress(SyntaxError):  # a lambda's line may be a part of a statement
            yield ast.parse(textwrap.dedent(source))


def source_files(reference: CallableReference) -> list[Path]:
    """Return the Python files of the user's that a reference leads to, its own first; see ``code_files``."""
    return [file.path for file in _followed(reference) if file.path.suffix == ".py"]


def code_files(reference: CallableReference) -> dict[str, str]:
    """Return {name: sha256} of the reference's file, the first, and of all of the user's that it imports.

    These are the files beside it, of its own package where it is a module, and of what else lies outside Python and
    installed packages. Empty without Python source. Of what was given in Python they are its parts.
    """
    if reference.given is not None:
        return dict(reference.given.contents.parts)
    files: dict[str, str] = {}
    for file in _followed(reference):
        name = file.name if file.name not in files else str(file.path)
        files[name] = _digest(file.path.read_bytes())
    return files


def _followed(reference: CallableReference) -> list[Found]:
    path = reference.file
    if path is None:
        return []
    module = reference.kind == "module"
    begin = beginning_at_module(reference.place, path) if module else beginning_at_file(path)
    found = followed(begin, reference.text)
    return sorted(found, key=lambda file: file.path != path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def may_compile(reference: CallableReference) -> bool:
    """Return whether a builder may return a compiled model: its files make one, or import other people's code."""
    if reference.kind == "bundled":
        return False
    if reference.given is not None:
        return True
    files = source_files(reference)
    beside = {name for file in files for name in (file.stem, file.parent.name)}
    nodes = [node for file in files for node in ast.walk(parse_file(file, reference.text))]
    known = _SEEN_THROUGH | sys.stdlib_module_names | beside
    imported = {name for node in nodes for name in _imports(node)}
    return not files or bool(imported - known) or any(map(_compiles, nodes))


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the top-level names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module.partition(".")[0]


def _compiles(node: ast.AST) -> bool:
    named = {getattr(node, "attr", None), getattr(node, "id", None), getattr(node, "name", None)}
    return bool(named & {"compile", "load_model"})


def _read_by(node: ast.AST) -> Iterator[str]:
    """Yield the constant names that one expression looks up."""
    keys: list[ast.expr] = []
    if isinstance(node, ast.Subscript):
        keys = [node.slice]
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        keys = node.args[:1] if node.func.attr == "get" else []
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        keys = [node.left]
    for key in keys:
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value


def code_fingerprint(reference: CallableReference) -> str:
    """Return one sha256 of the reference's files; of its name for a module without source.

    That of a single file is the file's own.
    """
    if reference.given is not None:
        return reference.given.contents.fingerprint
    files = code_files(reference)
    if not files:
        return _digest(reference.place.encode("utf-8", "surrogatepass"))
    if len(files) == 1:
        return next(iter(files.values()))
    return _digest(
        "".join(f"{name}\0{files[name]}\n" for name in sorted(files)).encode(
            "utf-8", "surrogatepass"
        )
    )
