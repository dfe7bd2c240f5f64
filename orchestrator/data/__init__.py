"""Data for trials: read, checked, split, scaled and fingerprinted, as NumPy arrays or a stream.

``load_dataset`` is the door; importing this room imports no pyarrow, scikit-learn or TensorFlow.
"""

from __future__ import annotations

from orchestrator.data.dataset import Dataset, Split, StreamedDataset, StreamedSplit
from orchestrator.data.load import load_dataset

__all__ = ["Dataset", "Split", "StreamedDataset", "StreamedSplit", "load_dataset"]
