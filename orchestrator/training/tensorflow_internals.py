"""What is used of TensorFlow that it keeps for itself, each use with its reason; the only module that imports such.

``tests/training/test_tensorflow_internals.py`` says which of them a new version of TensorFlow has changed.
"""

from __future__ import annotations

import contextlib
import itertools
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

from tensorflow.core.framework import function_pb2
from tensorflow.python.eager import context
from tensorflow.python.framework.ops import gradient_registry


def forget_custom_gradients(graph: Any) -> None:
    """Take the custom gradients of a traced step out of TensorFlow's registry.

    Each of them (``silu``, for one) would keep its graph alive for as long as the process lives: 2 MB and more for
    every program that is dropped (tensorflow/tensorflow#97697). A step's own tape has used them when its trace is done,
    and nobody differentiates through its loop. What a user's own ``tf.function`` registers lies in that function's
    graph and stays.
    """
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
            name = operation.get_attr("_gradient_op_type").decode()
            gradient_registry._registry.pop(name, None)


def operations_in(graph: Any) -> set[str]:
    """Return the kinds of operations in a graph and in the functions it calls, which no public method of it lists."""
    kinds = {operation.type for operation in graph.get_operations()}
    for function in graph._functions.values():
        kinds |= {node.op for node in function.cached_definition.node_def}
    return kinds


@contextlib.contextmanager
def scratch_gradients_forgotten() -> Iterator[None]:
    """Take the custom gradients that a block registers in Keras's scratch graphs out of TensorFlow's registry after it.

    Nothing is computed with such a graph. What a user's own ``tf.function`` registers lies in its graph and stays.
    """
    before = set(gradient_registry._registry)
    try:
        yield
    finally:
        for name in gradient_registry._registry.keys() - before:
            if any(_SCRATCH in graph for graph in _graphs_of(gradient_registry.lookup(name))):
                gradient_registry._registry.pop(name, None)


_SCRATCH = "scratch_graph"


def _graphs_of(function: Any, depth: int = 3) -> set[str]:
    """Return the names of the graphs whose tensors a function's closure holds."""
    found: set[str] = set()
    for held in (each.cell_contents for each in getattr(function, "__closure__", None) or ()):
        for each in held if isinstance(held, list | tuple) else (held,):
            graph = getattr(each, "graph", None)
            found |= {str(getattr(graph, "name", ""))} if graph is not None else set()
            found |= _graphs_of(each, depth - 1) if depth and callable(each) else set()
    return found


def definitions_of(traced: Any) -> bytes:
    """Return the definition of a traced function, and after it those of all functions that it calls.

    ``tf.saved_model`` writes such too, but makes a graph of each in Python where it reads them, which costs as much as
    tracing; and weights are no matter here.
    """
    own = traced.function_def
    found, waiting = {own.signature.name: own}, [own]
    while waiting:
        for name in _called_in(waiting.pop()) - found.keys():
            found[name] = context.context().get_function_def(name)
            waiting.append(found[name])
    definitions: bytes = function_pb2.FunctionDefLibrary(
        function=found.values()
    ).SerializeToString()
    return definitions


def _called_in(definition: Any) -> set[str]:
    values = [value for node in definition.node_def for value in node.attr.values()]
    several = [called.name for value in values for called in value.list.func]
    return {value.func.name for value in values if value.HasField("func")}.union(several)


class DefinedFunction:
    """What ``definitions_of`` wrote, in this process: called with flat tensors, it returns flat tensors.

    It is run just as TensorFlow runs what it has traced itself. ``captured`` are the tensors, or handles of variables,
    that stand in the places of those that the traced function had captured.
    """

    _numbers = itertools.count()

    def __init__(self, definitions: bytes, captured: Sequence[Any], outputs: int) -> None:
        library = function_pb2.FunctionDefLibrary.FromString(definitions)
        number = next(self._numbers)  # a process has one function of a name
        names = {
            each.signature.name: f"defined_{number}_{at}"
            for at, each in enumerate(library.function)
        }
        for definition in library.function:
            _rename(definition, names)
        for definition in reversed(library.function):
            context.context().add_function_def(definition)
        self._name = next(iter(names.values())).encode()
        self._captured, self._outputs = list(captured), outputs
        forget = weakref.finalize(self, _forget_functions, tuple(names.values()))
        forget.atexit = False

    def __call__(self, *given: Any) -> list[Any]:
        """Run it."""
        tensors = [*given, *self._captured]
        found = context.context().call_function(self._name, tensors, self._outputs)
        return found or []  # TensorFlow returns None where there are none


def _rename(definition: Any, names: dict[str, str]) -> None:
    definition.signature.name = names[definition.signature.name]
    for node in definition.node_def:
        for value in node.attr.values():
            for called in [value.func] if value.HasField("func") else value.list.func:
                called.name = names[called.name]


def _forget_functions(names: Sequence[str]) -> None:
    for name in names:
        context.context().remove_function(name)
