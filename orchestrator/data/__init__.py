"""Data for trials: read, checked, split, scaled and fingerprinted, as plain NumPy arrays or a stream.

``load_dataset`` is the door; importing this room imports neither pyarrow, scikit-learn nor TensorFlow.
"""

from __future__ import annotations

from orchestrator.data.dataset import Dataset, Split, StreamedDataset, StreamedSplit
from orchestrator.data.load import load_dataset

__all__ = ["Dataset", "Split", "StreamedDataset", "StreamedSplit", "load_dataset"]
