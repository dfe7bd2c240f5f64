"""Pictures that a trained model is to answer for: decoded as those of training were."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from orchestrator.data.image_header import PICTURES, read_header
from orchestrator.data.images import Pictures
from orchestrator.data.refusal import refused, several

PICTURES_AT_ONCE = 64


def pictures_in(
    path: Path, size: tuple[int, int, int], resized: bool
) -> tuple[tuple[str, ...], Iterator[Any]]:
    """Return the names of a picture, or of all those below a folder, and their pixels by the batch, uint8.

    DataError for one that cannot be decoded, and for one of another size where training resized none.
    """
    where = f"rows {path.name}"
    files = _files(path)
    if not files:
        raise refused(where, "PNG, JPEG, GIF or BMP files were expected", "none")
    broken, other = [], []
    for file in files:
        header = read_header(file)
        if header is None:
            broken.append(file.name)
            continue
        fits = resized or (header.height, header.width) == tuple(size[:2])
        if not fits or (size[2] == 1 and header.channels > 2):
            other.append(f"{file.name} of {header.height}x{header.width}x{header.channels}")
    if broken:
        raise refused(where, "pictures that can be decoded were expected", several(broken))
    if other:
        height, width, channels = size
        expected = f"pictures of {height}x{width}x{channels} (height, width, channels) were expected, as in training"
        raise refused(where, expected, several(other))
    folder = path if path.is_dir() else path.parent
    names = tuple(file.relative_to(folder).as_posix() for file in files)
    pictures = Pictures(tuple(map(str, files)), np.array(names), size, where)
    return names, _decoded(pictures)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


def _decoded(pictures: Pictures) -> Iterator[Any]:
    for start in range(0, len(pictures.paths), PICTURES_AT_ONCE):
        yield pictures.decoded(range(start, min(start + PICTURES_AT_ONCE, len(pictures.paths))))
