"""A file that holds code or pickled objects is refused; nothing of it runs."""

from __future__ import annotations

import os

import numpy as np
import pytest

from orchestrator.errors import RecordError
from orchestrator.training.saved_model import load_model
from orchestrator.trials import load_checkpoint


class Bomb:
    def __init__(self, fuse: str) -> None:
        self.fuse = fuse

    def __reduce__(self):
        return os.mkdir, (self.fuse,)


@pytest.mark.parametrize("name", ["about", "counts", "model_0"])
def test_a_checkpoint_with_pickled_objects_is_damaged_and_runs_nothing(tmp_path, name):
    fuse = tmp_path / "exploded"
    parts = {"about": np.array("{}"), "counts": np.array([1, 0]), "model_0": np.zeros(3)}
    parts[name] = np.array([Bomb(str(fuse))], dtype=object)
    np.savez(tmp_path / "bomb.npz", **parts)
    with pytest.raises(RecordError, match="expected a whole checkpoint"):
        load_checkpoint(tmp_path / "bomb.npz")
    assert not fuse.exists()


def test_a_model_file_with_code_in_it_is_not_loaded(tmp_path):
    import keras

    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1, output_shape=(2,))]
    keras.Sequential(layers).save(tmp_path / "bomb.keras")
    with pytest.raises(ValueError, match="Lambda"):
        load_model(tmp_path / "bomb.keras")
