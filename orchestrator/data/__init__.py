"""Data for trials: read, checked, split, scaled and fingerprinted, as NumPy arrays or a stream.

``load_dataset`` is the door; importing this room imports no pyarrow, scikit-learn or TensorFlow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.data.dataset import RAW_ROWS, Dataset, Split, StreamedDataset, StreamedSplit
    from orchestrator.data.labels import Labels, View
    from orchestrator.data.load import load_dataset
    from orchestrator.data.table_columns import ColumnRecipe, TableRecipe
    from orchestrator.data.trees import Array, joined, leaves, map_tree, row_count

__all__ = [
    "RAW_ROWS",
    "Array",
    "ColumnRecipe",
    "Dataset",
    "Labels",
    "Split",
    "StreamedDataset",
    "StreamedSplit",
    "TableRecipe",
    "View",
    "joined",
    "leaves",
    "load_dataset",
    "map_tree",
    "row_count",
]

load_when_used(__name__)
