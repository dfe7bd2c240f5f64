"""Functions given in Python as bytes that a process of another machine can make them from: by Ray's cloudpickle."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ray import cloudpickle

_REFUSES = (TypeError, ValueError, AttributeError, RuntimeError, NotImplementedError, OSError)


class NotPicklableError(Exception):
    """Something that only this process can have: ``name`` is what the function calls it, None where nothing tells."""

    def __init__(self, why: str, name: str | None) -> None:
        super().__init__(why)
        self.name = name


def pickled(functions: Mapping[str, Callable[..., Any]], modules: Iterable[str]) -> bytes:
    """Return functions by name as bytes, whatever they refer to in ``modules`` along with them.

    A module that holds what cannot be sent is imported where the functions are used. Raises NotPicklableError.
    """
    try:
        with _sent_along(modules):
            return _dumped(dict(functions))
    except NotPicklableError:
        pass
    try:
        return _dumped(dict(functions))
    except NotPicklableError as error:
        named = (item for function in functions.values() for item in _referred_to(function))
        culprit = next((name for name, value in named if not _is_picklable(value)), None)
        raise NotPicklableError(str(error), culprit) from error


@contextmanager
def _sent_along(modules: Iterable[str]) -> Iterator[None]:
    there = [sys.modules[name] for name in modules if name in sys.modules and name != "__main__"]
    known = cloudpickle.list_registry_pickle_by_value()
    added = [module for module in there if module.__name__ not in known]
    try:
        for module in added:
            cloudpickle.register_pickle_by_value(module)
        yield
    finally:
        for module in added:
            cloudpickle.unregister_pickle_by_value(module)


def _dumped(value: Any) -> bytes:
    try:
        content: bytes = cloudpickle.dumps(value)
    except Exception as error:
        if not isinstance(error, (*_REFUSES, cloudpickle.pickle.PicklingError)):
            raise
        said = str(error).strip().splitlines()
        raise NotPicklableError(said[0] if said else type(error).__name__, None) from error
    return content


def _is_picklable(value: Any) -> bool:
    try:
        _dumped(value)
    except NotPicklableError:
        return False
    return True


def _referred_to(function: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a function refers to by name."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isfunction(function):
        yield from getattr(function, "__dict__", {}).items()
        function = vars(type(function)).get("__call__")
    if inspect.isfunction(function):
        found = inspect.getclosurevars(function)
        yield from {**found.nonlocals, **found.globals}.items()
