"""The door to data: one reference in, one dataset out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from orchestrator.data.applicable import check_options
from orchestrator.data.arrays import read_npz
from orchestrator.data.assemble import assemble
from orchestrator.data.bundled import READERS
from orchestrator.data.dataset import Dataset, StreamedDataset
from orchestrator.data.functions import are_frames, are_streams, call, sort_result
from orchestrator.data.refusal import refused
from orchestrator.data.sparse import dense

if TYPE_CHECKING:
    from orchestrator.catalog import DataReference
    from orchestrator.config.data_options import DataOptions


def _given(reference: DataReference, where: str) -> Any:
    """Return what a function returns, or what was given in Python, by split."""
    if reference.function is not None:
        return call(reference.function, where)
    return sort_result(reference.given, where)


def load_dataset(
    reference: DataReference, options: DataOptions, seed: int, task: str = "auto"
) -> Dataset | StreamedDataset:
    """Return the data of an experiment: split, scaled and fingerprinted.

    The same reference, options and seed give the same rows in the same splits. DataError says in
    one sentence what is wrong with the data; PlaceError when a package for it is missing. ``task`` says what the labels
    are for, auto that they say it themselves.
    """
    dataset = _loaded(reference, options, seed, task)
    if options.class_weight is not None and isinstance(dataset, StreamedDataset):
        expected = "data.class_weight was expected for data in memory alone"
        hint = (
            "Give weights a row (data.sample_weight, or a third element), or leave data.stream out."
        )
        raise refused(f"data {reference.text}", expected, "a stream", hint)
    return dataset


def _loaded(
    reference: DataReference, options: DataOptions, seed: int, task: str
) -> Dataset | StreamedDataset:
    where = f"data {reference.text}"
    if reference.kind in ("csv", "parquet"):
        from orchestrator.data.tables import load_table  # psutil and pyarrow, for tables alone

        check_options(reference.kind, options, where)
        return load_table(reference, options, seed, task)
    if reference.kind == "folder":
        from orchestrator.data.images import load_images

        check_options("folder", options, where)
        return load_images(reference, options, seed, task)
    if reference.function is not None or reference.kind == "object":
        pieces = dense(_given(reference, where), where)
        if are_frames(pieces):
            check_options("frames", options, where)
            from orchestrator.data.frames import load_frames  # pyarrow, for tables alone

            return load_frames(pieces, options, (seed, task), reference.text)
        if are_streams(pieces):
            check_options("pipelines", options, where)
            from orchestrator.data.pipelines import load_pipelines

            return load_pipelines(pieces, reference, options, (seed, task))
    elif reference.kind == "npz":
        pieces = read_npz(reference.place, where)
    else:
        pieces = {"train": READERS[reference.place]()}
    check_options("arrays", options, where)
    return assemble(pieces, options, seed, reference.text, task)
