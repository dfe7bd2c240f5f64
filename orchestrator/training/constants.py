"""What a model holds besides its variables: a traced program has it built in, and only variables can be put into it.

Two models of the same hyperparameters may differ in it all the same: an array drawn in the builder, a number that a
closure keeps, a table at the top of the user's file. A program serves both only where all of it is seen to be equal.
"""

from __future__ import annotations

import decimal
import enum
import functools
import hashlib
import inspect
import random
import re
import sys
import threading
import types
import weakref
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from orchestrator.catalog import is_installed, is_users_module, is_users_own
from orchestrator.catalog.contents import codes_in, is_empty
from orchestrator.training.keras_backend import SHOWN, STATEFUL, TENSORS, array_of, has_values
from orchestrator.training.keras_internals import BOOKKEEPING, is_cast

MOST_OBJECTS = 200_000
"""A model of more parts than this is not gone through: its program is its own."""

_PLAIN = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type(Ellipsis),
    type(NotImplemented),
    range,
    slice,
    np.generic,
)
_SHOWN = (np.dtype, *SHOWN, Path, re.Pattern, enum.Enum, decimal.Decimal)
_NOTHING = (inspect.Signature, weakref.ref, type(threading.Lock()), type(threading.RLock()))
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
    np.ufunc,
)
_KERAS_S = ("builtins", "keras", "tensorflow", "numpy")
_OF_CLASSES = {
    "__dict__",
    "__weakref__",
    "__doc__",
    "_abc_impl",
    "__abstractmethods__",
    "__qualname__",
}


class Constants(NamedTuple):
    """What a model holds besides variables. ``text`` is None where a part is of a kind that cannot be looked into."""

    text: str | None
    """Equal for models that differ in nothing but their variables' values."""
    by_keras: bool
    """Whether no code is the user's or of a library but those that Keras itself needs."""


def constants_of(model: Any) -> Constants:
    """Return what a model holds besides its variables' values."""
    reading = _Reading()
    text = reading.through(model)
    return Constants(text, reading.by_keras)


def _is_keras_s(module: str | None) -> bool:
    top = (module or "").partition(".")[0]
    pythons = top in sys.stdlib_module_names and not is_users_module(module or "")
    return top in _KERAS_S or pythons


def _is_elsewhere(code: types.CodeType) -> bool:
    """Return whether a code is of no file that is installed: Keras loads a Lambda's into a function of its own."""
    return not (code.co_filename.startswith("<frozen") or is_installed(code.co_filename))


def _may_hide(value: Any) -> bool:
    """Return whether an object without attributes may have a state, as iterators do, that Python cannot see."""
    kinds = type(value).__mro__[:-1]
    seen_into = hasattr(value, "__dict__") or any(hasattr(kind, "__slots__") for kind in kinds)
    return type(value).__init__ is not object.__init__ or not (seen_into or not kinds)


class _Unknown(Exception):
    """Raised for a part that cannot be looked into."""


class _Reading:
    """Goes through all that a model refers to, each object once and in a fixed order."""

    def __init__(self) -> None:
        self._digest = hashlib.blake2b(digest_size=16)
        self._seen: dict[int, int] = {}
        self._alive: list[Any] = []
        self._waiting: list[Any] = []
        self.by_keras = True

    def through(self, model: Any) -> str | None:
        self._waiting.append(model)
        try:
            while self._waiting:
                self._look_at(self._waiting.pop())
        except _Unknown:
            return None
        return self._digest.hexdigest()

    def _note(self, *words: Any) -> None:
        self._digest.update(repr(words).encode() + b"\0")

    def _then(self, parts: Iterable[Any]) -> None:
        self._waiting.extend(reversed(list(parts)))

    def _look_at(self, value: Any) -> None:
        if isinstance(value, _PLAIN):
            self._note(type(value).__name__, value)
            return
        if isinstance(value, _NOTHING):
            return
        if id(value) in self._seen:
            self._note("again", self._seen[id(value)])
            return
        if len(self._seen) > MOST_OBJECTS:
            raise _Unknown
        self._seen[id(value)] = len(self._seen)
        self._alive.append(value)
        self._look_into(value)

    def _look_into(self, value: Any) -> None:
        match value:
            case list() | tuple() | deque():
                self._note("list", len(value))
                self._then(value)
            case dict() | types.MappingProxyType():
                self._note("dict", len(value))
                self._then(part for item in value.items() for part in item)
            case set() | frozenset():
                self._look_into_set(value)
            case type():
                self._look_into_class(value)
            case np.ndarray():
                self._look_into_array(value)
            case _ if isinstance(value, _SHOWN):
                self._note(type(value).__name__, str(value))
            case _ if isinstance(value, _FUNCTIONS):
                self._look_into_function(value)
            case _:
                self._look_into_object(value)

    def _look_into_set(self, value: Any) -> None:
        if not all(isinstance(part, _PLAIN) for part in value):
            raise _Unknown
        self._note("set", sorted(map(repr, value)))

    def _look_into_array(self, value: np.ndarray) -> None:
        self._note("array", str(value.dtype), value.shape)
        if value.dtype.hasobject:
            self._then(value.ravel().tolist())
        else:
            self._digest.update(np.ascontiguousarray(value).tobytes())

    def _look_into_class(self, value: type) -> None:
        self.by_keras = self.by_keras and _is_keras_s(value.__module__)
        users = is_users_own(value)
        self._note("class", None if users else value.__module__, value.__qualname__)
        if users:
            names = sorted(name for name in vars(value) if name not in _OF_CLASSES)
            self._then([*value.__bases__, *(vars(value)[name] for name in names)])

    def _look_into_function(self, value: Any) -> None:
        match value:
            case types.MethodType():
                self._then([value.__func__, value.__self__])
            case staticmethod() | classmethod():
                self._then([value.__func__])
            case property():
                self._then([value.fget, value.fset])
            case functools.partial():
                self._then([value.func, value.args, value.keywords])
            case types.FunctionType():
                self._look_into_code(value)
            case _:
                self._note(
                    "built in", getattr(value, "__qualname__", getattr(value, "__name__", ""))
                )
                self._then([getattr(value, "__self__", None)])

    def _look_into_code(self, function: types.FunctionType) -> None:
        elsewhere = _is_elsewhere(function.__code__)
        users = elsewhere or is_users_own(function)
        self.by_keras = self.by_keras and _is_keras_s(function.__module__) and not elsewhere
        self._note("function", None if users else function.__module__, function.__qualname__)
        cells = [cell.cell_contents for cell in function.__closure__ or () if not is_empty(cell)]
        self._then([function.__defaults__, function.__kwdefaults__, cells])
        if users:
            self._then([vars(function)])
            codes = list(codes_in(function.__code__))
            for code in codes:
                constants = [c for c in code.co_consts if not isinstance(c, types.CodeType)]
                self._note(code.co_code, [repr(c) for c in constants], code.co_names)
            names = sorted({name for code in codes for name in code.co_names})
            there = [name for name in names if name in function.__globals__]
            self._then(function.__globals__[name] for name in there)

    def _look_into_object(self, value: Any) -> None:
        match value:
            case keras.Variable():
                self._look_into_variable(value)
            case _ if isinstance(value, STATEFUL):
                raise _Unknown  # a state of its own, which is neither put back nor kept in checkpoints
            case _ if isinstance(value, TENSORS):
                self._look_into_tensor(value)
            case keras.initializers.Initializer():
                self._note("initializer", type(value).__name__)  # what it gave is in variables
            case types.ModuleType():
                self._look_into_module(value)
            case np.random.Generator():
                self._note("generator", value.bit_generator.state)
            case np.random.RandomState():
                self._note("generator", [str(part) for part in value.get_state()])
            case random.Random():
                self._note("generator", value.getstate())
            case _ if callable(getattr(value, "python_function", None)):
                self._then([value.python_function])
            case _:
                self._look_into_attributes(value)

    def _look_into_variable(self, value: keras.Variable) -> None:
        form = (value.path, tuple(value.shape), value.dtype)
        told = (value.trainable, is_cast(value), value.overwrite_with_gradient)
        self._note("variable", *form, *told)
        self._then([value.constraint, value.regularizer])

    def _look_into_tensor(self, value: Any) -> None:
        if not has_values(value):
            raise _Unknown
        self._look_into_array(array_of(value))

    def _look_into_module(self, module: types.ModuleType) -> None:
        self.by_keras = self.by_keras and _is_keras_s(module.__name__)
        self._note("module", module.__name__.rpartition(".")[2])
        if is_users_module(module.__name__):
            values = vars(module)
            self._then(values[name] for name in sorted(values) if not name.startswith("__"))

    def _look_into_attributes(self, value: Any) -> None:
        attributes = dict(getattr(value, "__dict__", {}))
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        attributes |= {name: getattr(value, name) for name in slots if hasattr(value, name)}
        if not attributes and _may_hide(value):
            raise _Unknown
        drawn = any(isinstance(part, keras.random.SeedGenerator) for part in attributes.values())
        names = [
            name
            for name in sorted(attributes)
            if not BOOKKEEPING.match(name) and not (drawn and name == "seed")
        ]
        self._note("object", names)
        self._then([type(value), *(attributes[name] for name in names)])


_FUNCTIONS = (
    types.FunctionType,
    types.MethodType,
    staticmethod,
    classmethod,
    property,
    functools.partial,
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    *_BUILT_IN,
)
