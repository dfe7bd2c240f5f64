"""TensorFlow's custom gradients, forgotten once they are used."""

from __future__ import annotations

from typing import Any

from tensorflow.python.framework.ops import gradient_registry  # not public


def forget_custom_gradients(graph: Any) -> None:
    """Take the custom gradients of a traced step out of TensorFlow's registry.

    Each of them (``silu``, for one) would keep its graph alive for ever: 2 MB and more for every program that is
    dropped. A step's own tape has used them when its trace is done, and nobody differentiates through its loop. What
    a user's own ``tf.function`` registers lies in that function's graph and stays.
    """
    for operation in graph.get_operations():
        if operation.type == "IdentityN" and "_gradient_op_type" in operation.node_def.attr:
            name = operation.get_attr("_gradient_op_type").decode()
            gradient_registry._registry.pop(name, None)
