"""What every trial of an experiment has in common. Loads neither TensorFlow nor Keras."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.catalog import CallableReference
from orchestrator.data import Dataset, StreamedDataset


@dataclass(frozen=True)
class TrainingTask:
    """The model's builder, the data, and the epochs of a full training."""

    model: CallableReference
    dataset: Dataset | StreamedDataset
    epochs: int
    recalibrate_every_validation: bool = False
    callbacks: CallableReference | None = None
