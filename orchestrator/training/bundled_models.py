"""What the bundled models make of their hyperparameters' values, known without building one.

Each is a function of a value alone, so the ends of a range speak for all of it. ``dropout`` is Keras's own layer's.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

from orchestrator.training.possible import Impossible

WHOLE = {"units": 1, "filters": 1, "hidden_layers": 0}
"""The least that each may be. A model takes whole numbers: it would build 16 units where the table says 16.7."""

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip
"""Keras's own by name, but for ``threshold``, which takes more than its input."""


def impossible_in_bundled(name: str, value: Any) -> Impossible | None:
    """Return why no bundled model can be built with a hyperparameter's value; None where one can."""
    number = isinstance(value, Real) and not isinstance(value, bool)
    if name in WHOLE and not (number and value >= WHOLE[name] and value == int(value)):
        return Impossible(f"expected a whole number of at least {WHOLE[name]}")
    if name == "dropout" and not (number and 0 <= value <= 1):
        return Impossible("expected a share, from 0 to 1")
    if name == "batch_norm" and value not in (True, False):
        return Impossible("expected true or false")
    if name == "activation" and value is not None and value not in ACTIVATIONS:
        return Impossible("expected one of Keras's activations", ACTIVATIONS)
    return None
