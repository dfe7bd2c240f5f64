"""The door to data: one reference in, one dataset out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.data.arrays import read_npz
from orchestrator.data.assemble import assemble
from orchestrator.data.bundled import READERS
from orchestrator.data.dataset import Dataset, StreamedDataset
from orchestrator.data.functions import are_streams, call
from orchestrator.data.refusal import refused

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.options import DataOptions


def load_dataset(
    reference: DataReference, options: DataOptions, seed: int, task: str = "auto"
) -> Dataset | StreamedDataset:
    """Return the data of an experiment: split, scaled and fingerprinted.

    The same reference, options and seed give the same rows in the same splits. DataError says in
    one sentence what is wrong with the data; PlaceError when a package for it is missing. ``task`` says what the labels
    are for, auto that they say it themselves.
    """
    where = f"data {reference.text}"
    if reference.kind in ("csv", "parquet"):
        from orchestrator.data.tables import load_table  # psutil and pyarrow, for tables alone

        return load_table(reference, options, seed, task)
    if options.label is not None:
        expected = "data.label was expected for CSV and Parquet alone"
        raise refused(where, expected, f"label {options.label!r}")
    if reference.function is not None:
        pieces = call(reference.function, where)
        if are_streams(pieces):
            from orchestrator.data.pipelines import load_pipelines

            return load_pipelines(pieces, reference, options, seed)
    elif reference.kind == "npz":
        pieces = read_npz(reference.place, where)
    else:
        pieces = {"train": READERS[reference.place]()}
    if options.stream is True:
        expected = "data.stream was expected for CSV, Parquet and tf.data alone"
        raise refused(where, expected, "stream: true for arrays, which are in memory")
    return assemble(pieces, options, seed, reference.text, task)
