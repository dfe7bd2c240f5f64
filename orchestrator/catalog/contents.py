"""What a function given in Python is made of: its code and all of the user's that it refers to, as fingerprints.

The same function in another process of the same Python has the same ones: they are of what is run, whatever file and
line it stands in.
"""

from __future__ import annotations

import dis
import enum
import functools
import hashlib
import inspect
import platform
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.catalog.imports import (
    beginning_at_module,
    followed,
    is_users_module,
    is_users_own,
    users_module_file,
)

BYTECODE = "bytecode"
"""The part that says of which Python the others are."""
_PLAIN = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), range, slice)
_GLOBAL, _IMPORTED = ("LOAD_GLOBAL", "LOAD_NAME"), ("IMPORT_NAME",)
_OF_CALLS = 0x3FF
"""Flags of code that say how it is called; others say with which features it was compiled."""
_OF_CLASSES = frozenset(
    (
        *("__dict__", "__weakref__", "__module__", "__qualname__", "__doc__", "__annotations__"),
        *(
            "__firstlineno__",
            "__static_attributes__",
            "__slotnames__",
            "_abc_impl",
            "__abstractmethods__",
        ),
    )
)


@dataclass(frozen=True)
class Contents:
    """``parts`` are the fingerprints of functions, classes, values and modules by name.

    ``sources`` are the texts of the user's functions and classes as far as there are any, ``complete`` whether all
    have one. ``modules`` are those of the user's that any of it is from, ``file`` what tracebacks call the file of the
    function itself.
    """

    parts: Mapping[str, str]
    sources: tuple[str, ...]
    complete: bool
    modules: tuple[str, ...]
    file: str | None

    @property
    def fingerprint(self) -> str:
        """Return one sha256 of all parts."""
        return _sha(*(f"{name}={self.parts[name]}" for name in sorted(self.parts)))


def contents_of(function: Any) -> tuple[Contents, tuple[Any, ...]]:
    """Return what a function is made of, and all functions and classes of the user's in it; of any callable."""
    reading = _Reading()
    reading.parts[BYTECODE] = ".".join(platform.python_version_tuple()[:2])
    own = reading.digest(function)
    if own not in reading.parts.values():
        reading.parts[type(function).__name__] = own
    contents = Contents(
        dict(reading.parts),
        tuple(reading.sources),
        reading.complete,
        tuple(sorted(reading.modules)),
        _file_of(function),
    )
    return contents, tuple(reading.own)


class _Reading:
    """Goes through a function and what it refers to; each of the user's functions and classes is a part by itself."""

    def __init__(self) -> None:
        self.parts: dict[str, str] = {}
        self.sources: list[str] = []
        self.complete = True
        self.modules: set[str] = set()
        self.own: list[Any] = []
        self._known: dict[int, tuple[str, Any]] = {}
        self._modules: dict[str, str] = {}

    def digest(self, value: Any) -> str:
        """Return the fingerprint of a value."""
        if isinstance(value, _PLAIN):
            return _sha(type(value).__name__, repr(value))
        if id(value) in self._known:
            return self._known[id(value)][0]
        # Whatever refers back to it while it is looked into says so by its place in the order.
        self._known[id(value)] = (_sha("again", str(len(self._known))), value)
        found = self._of(value)
        self._known[id(value)] = (found, value)
        return found

    def _of(self, value: Any) -> str:
        match value:
            case types.CodeType():
                return self._of_code(value)
            case types.FunctionType():
                return self._of_function(value)
            case type():
                return self._of_class(value)
            case types.ModuleType():
                return self._of_module(value.__name__)
            case enum.Enum():
                return _sha("enum", type(value).__qualname__, value.name)
        if isinstance(value, set | frozenset):
            return _sha("set", *sorted(map(self.digest, value)))
        inside = _inside(value)
        if inside is None:
            return self._of_object(value)
        return _sha(type(value).__name__, *map(self.digest, inside))

    def _of_code(self, code: types.CodeType) -> str:
        names = [*code.co_names, "", *code.co_varnames, "", *code.co_freevars]
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
        constants = map(self.digest, code.co_consts)
        return _sha(
            "code", code.co_code, repr(names), repr((counts, code.co_flags & _OF_CALLS)), *constants
        )

    def _of_function(self, function: types.FunctionType) -> str:
        if not is_users_own(function):
            return _sha("function", function.__module__, function.__qualname__)
        self._note(function)
        codes = list(codes_in(function.__code__))
        cells = [
            (name, cell.cell_contents)
            for name, cell in zip(
                function.__code__.co_freevars, function.__closure__ or (), strict=True
            )
            if not is_empty(cell)
        ]
        names = sorted({name for code in codes for name in _named_in(code, _GLOBAL)})
        there = [
            (name, function.__globals__[name]) for name in names if name in function.__globals__
        ]
        imported = sorted({name for code in codes for name in _named_in(code, _IMPORTED)})
        own = (function.__code__, function.__defaults__, function.__kwdefaults__)
        digests = [*map(self.digest, own), *map(self._of_module, imported)]
        digests += [self._named(name, value) for name, value in [*cells, *there]]
        return self._part(function.__qualname__, _sha("function", *digests))

    def _of_class(self, value: type) -> str:
        if not is_users_own(value):
            return _sha("class", value.__module__, value.__qualname__)
        self._note(value)
        names = sorted(name for name in vars(value) if name not in _OF_CLASSES)
        members = [name + self.digest(vars(value)[name]) for name in names]
        found = _sha("class", *map(self.digest, value.__bases__), *members)
        return self._part(value.__qualname__, found)

    def _of_module(self, name: str) -> str:
        """Return the fingerprint of a module: of one of the user's, of its files, each of which is a part."""
        file = users_module_file(name)
        if file is None:
            return _sha("module", name)
        if name not in self._modules:
            begin = beginning_at_module(name, file)
            files = followed(begin, name)
            found = [self._part(each.name, _sha(each.path.read_bytes())) for each in files]
            self._modules[name] = _sha("module", *sorted(found))
            if is_users_module(name):
                self.modules.add(name)
        return self._modules[name]

    def _of_object(self, value: Any) -> str:
        kind = f"{type(value).__module__}.{type(value).__qualname__}"
        name = getattr(value, "__qualname__", getattr(value, "__name__", None))
        inner = getattr(value, "python_function", getattr(value, "__wrapped__", None))
        if callable(inner):
            return _sha(kind, self.digest(inner))
        if isinstance(name, str):
            return _sha("built in", kind, str(getattr(value, "__module__", "")), name)
        if hasattr(value, "iloc") and hasattr(value, "columns"):
            columns = [value.iloc[:, at] for at in range(len(value.columns))]
            return _sha(kind, repr(list(value.columns)), *map(self._of_array, columns))
        if hasattr(value, "__array__") and hasattr(value, "shape"):
            return _sha(kind, self._of_array(value))
        return _sha("object", self.digest(type(value)), *map(self.digest, _state_of(value)))

    def _of_array(self, value: Any) -> str:
        import numpy as np

        array = np.asarray(value)
        if array.dtype.hasobject:
            return _sha("array", repr(array.shape), *map(self.digest, array.ravel().tolist()))
        content = np.ascontiguousarray(array).tobytes()
        return _sha("array", array.dtype.str, repr(array.shape), content)

    def _named(self, name: str, value: Any) -> str:
        """Return the fingerprint of what a function refers to by a name; of a value it is a part by itself."""
        found = self.digest(value)
        if not isinstance(value, types.ModuleType | types.FunctionType | type):
            self._part(name, found)
        return _sha(name, found)

    def _part(self, name: str, found: str) -> str:
        before = self.parts.get(name)
        self.parts[name] = found if before in (None, found) else _sha(*sorted((str(before), found)))
        return found

    def _note(self, value: Any) -> None:
        """Keep a function or class, its source and the module that it is from."""
        self.own.append(value)
        if value.__module__ and is_users_module(value.__module__):
            self.modules.add(value.__module__)
        try:
            self.sources.append(inspect.getsource(value))
        except (OSError, TypeError):
            self.complete = False


def _sha(*words: str | bytes) -> str:
    digest = hashlib.sha256()
    for word in words:
        content = word.encode("utf-8", "surrogatepass") if isinstance(word, str) else word
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()


def codes_in(code: types.CodeType) -> Iterator[types.CodeType]:
    """Yield a code and those of the functions that are written inside it."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_in(constant)


def _named_in(code: types.CodeType, operations: Iterable[str]) -> Iterable[str]:
    """Return the names in some operations of a code: of what it refers to by name, or of what it imports."""
    return [str(each.argval) for each in dis.get_instructions(code) if each.opname in operations]


def _inside(value: Any) -> list[Any] | None:
    """Return what a container or a wrapped function is made of, None for anything else."""
    match value:
        case list() | tuple():
            return list(value)
        case dict() | types.MappingProxyType():
            return [part for item in value.items() for part in item]
        case types.MethodType():
            return [value.__func__, value.__self__]
        case functools.partial():
            return [value.func, value.args, value.keywords]
        case staticmethod() | classmethod():
            return [value.__func__]
        case property():
            return [value.fget, value.fset, value.fdel]
    return None


def _state_of(value: Any) -> list[Any]:
    """Return what an object is made of: as Keras writes it down, or as it would be pickled."""
    if callable(getattr(value, "get_config", None)) and type(value).__module__.startswith("keras."):
        weights = getattr(value, "get_weights", list)
        return [value.get_config(), weights()]
    try:
        made = value.__reduce_ex__(2)
    except (TypeError, ValueError, AttributeError, NotImplementedError, RuntimeError):
        return []
    if isinstance(made, str):
        return [made]
    return [list(part) if isinstance(part, Iterator) else part for part in made]


def is_empty(cell: types.CellType) -> bool:
    """Return whether a closure's variable has no value yet."""
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _file_of(function: Any) -> str | None:
    """Return what a traceback calls the file of a function, of a callable object's ``__call__`` too."""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        code = getattr(vars(type(function)).get("__call__"), "__code__", None)
    return getattr(code, "co_filename", None)
