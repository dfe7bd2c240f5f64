"""A trial's state on disk: arrays and plain text in one ``.npz``, written whole or not at all, never a pickle."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import RecordError
from orchestrator.records import write_atomically


@dataclass(frozen=True)
class Checkpoint:
    """A trial after an epoch.

    ``model``: the model's variables in Keras's order (weights, BatchNormalization averages, random-generator states).
    ``optimizer``: its slots and step counter. ``about``: trial, epoch, seed, hyperparameters, metrics.
    """

    model: tuple[np.ndarray, ...]
    optimizer: tuple[np.ndarray, ...]
    about: dict[str, Any]


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write ``checkpoint`` to ``path``."""
    arrays = {f"model_{at:04d}": array for at, array in enumerate(checkpoint.model)}
    arrays |= {f"optimizer_{at:04d}": array for at, array in enumerate(checkpoint.optimizer)}
    buffer = io.BytesIO()
    np.savez(buffer, about=np.array(json.dumps(checkpoint.about)), **arrays)  # type: ignore[arg-type]
    write_atomically(path, buffer.getvalue())


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises RecordError when it is absent or not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            names = sorted(file.files)
            about = json.loads(str(file["about"]))
            model = _named(file, names, "model_")
            optimizer = _named(file, names, "optimizer_")
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise RecordError(f"{path}: expected a whole checkpoint. Received: {error}.") from error
    return Checkpoint(model, optimizer, about)


def _named(file: Any, names: Sequence[str], prefix: str) -> tuple[np.ndarray, ...]:
    return tuple(file[name] for name in names if name.startswith(prefix))
