"""A saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.training.worker_process import quiet_tensorflow


def load_model(path: Path) -> Any:
    """Return the model in a ``.keras`` file, loaded in safe mode: no code in the file is run."""
    quiet_tensorflow()
    import keras

    return keras.saving.load_model(path, safe_mode=True)
