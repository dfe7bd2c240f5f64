"""A trial's state on disk: arrays and plain text in one ``.npz``, written whole or not at all, never a pickle."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.errors import RecordError
from orchestrator.records import made, write_atomically
from orchestrator.redaction import redacted, restored

# All that zipfile and NumPy raise over bytes that are not what was written.
_NOT_WHOLE = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    RuntimeError,
    struct.error,
    zlib.error,
    zipfile.BadZipFile,
)


@dataclass(frozen=True)
class Checkpoint:
    """A trial after an epoch, or in the middle of one.

    ``model``: the model's variables in Keras's order (weights, BatchNormalization averages, random-generator states).
    ``optimizer``: its slots and step counter. ``about``: trial, epoch, seed, hyperparameters, metrics. ``metrics``:
    what the metrics have accumulated by the middle of an epoch, empty after one.
    """

    model: tuple[np.ndarray, ...]
    optimizer: tuple[np.ndarray, ...]
    about: dict[str, Any]
    metrics: tuple[np.ndarray, ...] = ()


def save_checkpoint(path: Path, checkpoint: Checkpoint, twin: Path | None = None) -> None:
    """Write ``checkpoint`` to ``path``, whose folder is made where it is gone, and to its ``twin`` there."""
    arrays = {f"model_{at}": array for at, array in enumerate(checkpoint.model)}
    arrays |= {f"optimizer_{at}": array for at, array in enumerate(checkpoint.optimizer)}
    arrays |= {f"metrics_{at}": array for at, array in enumerate(checkpoint.metrics)}
    counts = np.array([len(checkpoint.model), len(checkpoint.optimizer), len(checkpoint.metrics)])
    buffer = io.BytesIO()
    about = np.array(json.dumps(redacted(checkpoint.about)))
    np.savez(buffer, about=about, counts=counts, **arrays)  # type: ignore[arg-type]
    write_atomically(made(path.parent) / path.name, buffer.getvalue(), twin)


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint. Raises RecordError when it is absent or not whole."""
    try:
        with np.load(path, allow_pickle=False) as file:
            in_model, in_optimizer, *in_metrics = (int(count) for count in file["counts"])
            about = restored(json.loads(str(file["about"])))
            model = _numbered(file, "model", in_model)
            optimizer = _numbered(file, "optimizer", in_optimizer)
            metrics = _numbered(file, "metrics", sum(in_metrics))  # older files have none
    except _NOT_WHOLE as error:
        raise RecordError(f"{path}: expected a whole checkpoint. Received: {error}.") from error
    return Checkpoint(model, optimizer, about, metrics)


def _numbered(file: Any, what: str, count: int) -> tuple[np.ndarray, ...]:
    return tuple(file[f"{what}_{at}"] for at in range(count))
