"""Builders loaded by location, as the catalog does: nothing writes `import models`."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest

MODELS = Path(__file__).parents[2] / "models"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"_bundled_{name}", MODELS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def build() -> Callable[..., keras.Model]:
    """`build("mlp", hp, input_shape, num_classes, seed=0)`: the bundled builder, seeded."""

    def seeded(
        name: str,
        hp: dict[str, Any],
        input_shape: tuple[int, ...] = (8, 8, 1),
        num_classes: int = 10,
        seed: int = 0,
    ) -> keras.Model:
        keras.utils.set_random_seed(seed)
        return load(name).build(hp, input_shape, num_classes)

    return seeded


@pytest.fixture
def pictures() -> np.ndarray:
    return np.random.default_rng(0).normal(3.0, 2.0, (16, 8, 8, 1)).astype("float32")
