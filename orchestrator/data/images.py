"""A folder of pictures, one folder a class, as a dataset: decoded once, or streamed when large.

Decoded by TensorFlow, which is installed in any case, so that the pixels are those of
``keras.utils.image_dataset_from_directory``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.assemble import assemble, assigned
from orchestrator.data.dataset import PARTS, DataRequest, Dataset, StreamedDataset, StreamedSplit
from orchestrator.data.labels import find_classes, of_task, plain_labels
from orchestrator.data.messages import notice, refused, several
from orchestrator.data.pictures import (
    PICTURES,
    PICTURES_AT_ONCE,
    Header,
    Pictures,
    Size,
    read_header,
    undecodable,
)
from orchestrator.data.scaling import Moments, Scaler, fit_scaler
from orchestrator.data.trees import Array, bytes_for_data, rebatch

if TYPE_CHECKING:
    from orchestrator.config.data_options import DataOptions

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, eq=False)
class ImageBatches:
    """The batches of one split of a folder; picklable: files are decoded where they are read.

    ``view`` is the form of the labels: class numbers, or the same as a column of floats.
    """

    pictures: Pictures
    rows: npt.NDArray[np.int64]
    codes: npt.NDArray[np.int32]
    scaler: Scaler
    view: str = "codes"

    def __call__(
        self, batch_size: int, shuffle_seed: int | None, epoch: int | None = None
    ) -> Iterator[Any]:
        """Yield the split's batches once; with a seed in an order of its own, over all files."""
        order = np.arange(len(self.rows))
        if shuffle_seed is not None:
            order = np.random.default_rng([shuffle_seed, 1]).permutation(order)
        return rebatch(self._chunks(order), batch_size, None)

    def raw(self, rows: int) -> Array:
        """Return the split's first pictures before any scaling."""
        return self.pictures.decoded(self.rows[:rows])

    def _chunks(self, order: Array) -> Iterator[Any]:
        for start in range(0, len(order), PICTURES_AT_ONCE):
            chosen = self.rows[order[start : start + PICTURES_AT_ONCE]]
            codes: Any = self.codes[chosen]
            if self.view not in ("codes", "given"):
                codes = codes.astype(np.float32)[:, None]
            yield self.scaler.scale(self.pictures.decoded(chosen)), codes


def load_images(request: DataRequest) -> Dataset | StreamedDataset:
    """Return the dataset of a folder, in memory where its pixels take a quarter of what is free.

    Pictures keep uint8. All have the size of the first, or are resized to ``data.image_size``;
    grey ones get one channel where all are grey, else three, and alpha is left out.
    """
    options, where = request.options, request.where
    if request.task in ("multilabel", "regression"):
        expected = "task: classification or binary was expected for a folder a class"
        raise refused(where, expected, f"task: {request.task}")
    found = _found(Path(request.reference.place), where)
    size = _size([header for files in found.values() for _, _, header in files], options, where)
    pictures = {
        part: Pictures(
            tuple(str(path) for path, _, _ in files),
            np.array([name for _, name, _ in files]),
            size,
            where,
        )
        for part, files in found.items()
    }
    count = sum(len(split.paths) for split in pictures.values())
    large = count * int(np.prod(size)) > bytes_for_data()
    if options.stream is True or (options.stream == "auto" and large):
        return _streamed(pictures, request)
    given = {
        part: (split.decoded(range(len(split.paths))), split.names)
        for part, split in pictures.items()
    }
    dataset = assemble(given, request)
    return replace(dataset, fingerprint=_fingerprint(pictures, dataset.division))


def _found(folder: Path, where: str) -> dict[str, list[tuple[Path, str, Header]]]:
    """Return the pictures of each split with their class and header, in the order of their names."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir() and _is_shown(entry))
    splits = {entry.name.lower(): entry for entry in inside}
    if "train" in splits or "training" in splits:
        others = sorted(set(splits) - set(_SPLITS))
        if others:
            expected = "folders train, validation and test, or one folder a class, were expected"
            raise refused(where, expected, f"{several(sorted(splits))}")
        classes = {_SPLITS[name]: entry for name, entry in splits.items()}
        found = {part: _of_classes(entry, where) for part, entry in classes.items()}
    else:
        found = {"train": _of_classes(folder, where)}
    ignored = sorted(_others(folder))
    if ignored:
        notice(f"{where}: {len(ignored)} files that are no pictures are left out ({ignored[0]})")
    return {part: found[part] for part in PARTS if part in found}


def _of_classes(folder: Path, where: str) -> list[tuple[Path, str, Header]]:
    files: list[tuple[Path, str, Header]] = []
    broken: list[str] = []
    folders = sorted(entry for entry in folder.iterdir() if entry.is_dir() and _is_shown(entry))
    if len(folders) < 2:
        expected = f"at least two folders in {folder.name}, one a class, were expected"
        raise refused(where, expected, several([entry.name for entry in folders]) or "none")
    for entry in folders:
        pictures = sorted(path for path in entry.rglob("*") if path.suffix.lower() in PICTURES)
        pictures = [path for path in pictures if path.is_file() and _is_shown(path)]
        if not pictures:
            expected = f"PNG, JPEG, GIF or BMP files were expected in {entry.name}"
            raise refused(where, expected, "none")
        headers = [(path, read_header(path)) for path in pictures]
        broken += [str(path) for path, header in headers if header is None]
        files += [(path, entry.name, header) for path, header in headers if header is not None]
    if broken:
        raise undecodable(broken, where)
    return files


def _others(folder: Path) -> Iterator[str]:
    """Yield the files that are no pictures, as seen from the folder."""
    for path in folder.rglob("*"):
        if path.is_file() and _is_shown(path) and path.suffix.lower() not in PICTURES:
            yield path.relative_to(folder).as_posix()


def _is_shown(path: Path) -> bool:
    return not path.name.startswith((".", "__MACOSX"))


def _size(headers: Sequence[Header], options: DataOptions, where: str) -> Size:
    """Return the height, width and channels that every picture gets."""
    colours = {header.channels for header in headers}
    channels = 1 if colours <= {1, 2} else 3
    if colours & {2, 4}:
        notice(f"{where}: alpha channels are left out")
    elif len(colours) > 1:
        notice(f"{where}: grey pictures among coloured ones get three channels")
    sizes = sorted({(header.height, header.width) for header in headers})
    if options.image_size is not None:
        height, width = options.image_size
        return height, width, channels
    if len(sizes) > 1:
        heights, widths = zip(*sizes, strict=True)
        received = (
            f"{len(sizes)} different sizes, {min(heights)} to {max(heights)} pixels high and"
            f" {min(widths)} to {max(widths)} wide"
        )
        middle = sizes[len(sizes) // 2]
        hint = f"Write data.image_size: [{middle[0]}, {middle[1]}] (height, width) to resize them."
        raise refused(where, "pictures of one size were expected", received, hint)
    return (*sizes[0], channels)


def _streamed(pictures: Mapping[str, Pictures], request: DataRequest) -> StreamedDataset:
    """Return the dataset of files that are decoded when they are asked for, after one pass."""
    where = request.where
    plain = {part: plain_labels(split.names, where) for part, split in pictures.items()}
    labels = find_classes(list(plain.values()), where)
    labels = of_task(
        labels, {part: split.names for part, split in pictures.items()}, request.task, where
    )
    codes = {part: labels.codes(names) for part, names in plain.items()}
    given = {part: split.names for part, split in pictures.items()}
    divided = assigned(labels, given, None, request)
    assignment = divided.assignment
    rows = {
        part: (part, np.arange(len(codes[part])))
        if part in pictures and part != "train"
        else ("train", np.flatnonzero(assignment == number))
        for number, part in enumerate(PARTS)
    }
    scaler = _fitted(pictures, request.options, rows["train"][1])
    splits: dict[str, Any] = {
        part: StreamedSplit(len(at), ImageBatches(pictures[of], at, codes[of], scaler))
        for part, (of, at) in rows.items()
    }
    return StreamedDataset(
        **splits,
        classes=labels.classes,
        scaling=scaler.document,
        fingerprint=_fingerprint(pictures, divided.facts),
        division=divided.facts,
        source=request.source,
        input_shape=pictures["train"].size,
        reference=request.reference,
        options=request.options,
        seed=request.seed,
    )


def _fitted(pictures: Mapping[str, Pictures], options: DataOptions, training: Array) -> Scaler:
    """Decode every picture once, so that broken ones are known, and return the scaler."""
    moments: Moments | None = None
    chosen = set(training.tolist())
    for part, split in pictures.items():
        for start in range(0, len(split.paths), PICTURES_AT_ONCE):
            rows = range(start, min(start + PICTURES_AT_ONCE, len(split.paths)))
            pixels = split.decoded(rows)
            mine = pixels[[at for at, row in enumerate(rows) if part == "train" and row in chosen]]
            if len(mine):
                moments = moments.plus(mine) if moments else Moments.of(mine)
    if moments is None:
        raise ValueError("no training rows")
    return fit_scaler(options.scale, moments)


def _fingerprint(pictures: Mapping[str, Pictures], division: Mapping[str, Any]) -> str:
    """Return a hash of every file's content, its class and split, the size asked for, and the folds."""
    whole = hashlib.sha256(repr(pictures["train"].size).encode())
    if division:
        whole.update(repr(sorted(division.items())).encode())
    for part, split in pictures.items():
        for path, name in zip(split.paths, split.names.tolist(), strict=True):
            digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
            whole.update(f"\n{part} {name} {digest}".encode("utf-8", "surrogatepass"))
    return whole.hexdigest()
