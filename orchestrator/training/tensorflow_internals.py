"""What is used of TensorFlow that it keeps for itself, each use with its reason; the only module that imports such.

``tests/training/test_tensorflow_internals.py`` says which of them a new version of TensorFlow has changed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

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
