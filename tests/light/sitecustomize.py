"""Keras imported for less: Python reads this file at its start where this folder is on PYTHONPATH.

Keras asks for scikit-learn and Matplotlib, for wrappers and galleries that no test uses, TensorFlow Lite for JAX, which
it could convert programs of, and the collector looks at all that is being imported again and again: 2.8 of the 5.5 s of
processor time that a worker of Ray or a command takes for it, and 100 MB. Whoever else asks for these libraries gets
them.
"""

from __future__ import annotations

import gc
import sys
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

UNUSED = {
    "matplotlib": ("keras.src.",),
    "sklearn": ("keras.src.",),
    "jax": ("keras.src.callbacks.", "tensorflow.lite."),
}
"""What is left out, and of whom."""


class KerasForLess:
    """A finder before all others."""

    def find_spec(self, name: str, path: Any = None, _: Any = None) -> ModuleSpec | None:
        if name in UNUSED and _importer().startswith(UNUSED[name]):
            raise ModuleNotFoundError(f"left out in tests: {name}", name=name)
        if name != "keras" or not (spec := PathFinder.find_spec(name, path)) or not spec.loader:
            return None
        spec.loader.exec_module = _without_collecting(spec.loader.exec_module)  # type: ignore[method-assign]
        return spec


def _importer() -> str:
    """The module whose import statement is being carried out."""
    frame = sys._getframe(2)
    while frame.f_back and "importlib" in frame.f_globals.get("__name__", ""):
        frame = frame.f_back
    return str(frame.f_globals.get("__name__", ""))


def _without_collecting(execute: Any) -> Any:
    def executed(module: ModuleType) -> None:
        collected = gc.isenabled()
        gc.disable()
        try:
            execute(module)
        finally:
            if collected:
                gc.freeze()
                gc.enable()

    return executed


if not any(type(finder).__name__ == "KerasForLess" for finder in sys.meta_path):
    sys.meta_path.insert(0, KerasForLess())
