"""What a trial trains on: three splits of features and labels, in memory or as a stream."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from orchestrator.data.table_recipe import TableRecipe

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.options import DataOptions

Array: TypeAlias = npt.NDArray[Any]
Batch: TypeAlias = tuple[npt.NDArray[np.float32], npt.NDArray[np.int32]]
BatchReader: TypeAlias = Callable[..., Iterator[Any]]

PARTS = ("train", "validation", "test")


@dataclass(frozen=True, eq=False)
class Split:
    """Rows in memory: ``x`` float32 (rows, *input_shape), ``y`` int32 (rows,), both contiguous."""

    x: npt.NDArray[np.float32] = field(repr=False)
    y: npt.NDArray[np.int32] = field(repr=False)
    weight: npt.NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.y)


@dataclass(frozen=True, eq=False)
class Dataset:
    """Data in memory, split and scaled; plain arrays, so that a worker can share their memory.

    ``scaling`` says what was fitted on the training rows (``{"how": "standard", "mean": [...],
    "std": [...]}``), one figure for each entry of the last axis. ``columns`` names the features of
    a table after encoding and is empty for arrays; ``table`` says how a table's columns became
    them. ``fingerprint`` is of the unscaled content.
    """

    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]
    scaling: dict[str, Any]
    fingerprint: str
    source: str
    columns: tuple[str, ...] = ()
    table: TableRecipe | None = None

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one row of features."""
        return self.train.x.shape[1:]

    @property
    def num_classes(self) -> int:
        """How many classes there are: the units of a model's head."""
        return len(self.classes)

    @property
    def streamed(self) -> bool:
        """False: the rows are in memory."""
        return False


@dataclass(frozen=True, eq=False)
class StreamedSplit:
    """Rows that are read when they are asked for.

    ``batches(batch_size, shuffle_seed, epoch=None)`` starts a new pass over all of them: (x, y), or
    (x, y, weight), as in Split; the last batch may be smaller; None keeps the order of the file, a
    seed shuffles within a bounded pool of rows. ``epoch`` is the number of the training epoch, by
    which an endless pipeline goes on where the one before ended; without it the pass is over the
    first rows. The reader is picklable and opens the data anew where it is used.
    """

    rows: int
    batches: BatchReader = field(repr=False)


@dataclass(frozen=True, eq=False)
class StreamedDataset:
    """Data that is not held in memory: the attributes of Dataset over StreamedSplits.

    ``reference``, ``options`` and ``seed`` are what it was opened from. A tf.data pipeline without
    a test set has a test split of 0 rows.
    """

    train: StreamedSplit
    validation: StreamedSplit
    test: StreamedSplit
    classes: tuple[str, ...]
    scaling: dict[str, Any]
    fingerprint: str
    source: str
    input_shape: tuple[int, ...]
    reference: DataReference
    options: DataOptions
    seed: int
    columns: tuple[str, ...] = ()
    table: TableRecipe | None = None

    @property
    def num_classes(self) -> int:
        """How many classes there are: the units of a model's head."""
        return len(self.classes)

    @property
    def streamed(self) -> bool:
        """True: the rows are read when they are asked for."""
        return True
