"""Picture files: their size, from the first bytes; their pixels; and those that a trained model is to answer for."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.messages import refused, several
from orchestrator.data.trees import Array

PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp"}
_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}
PICTURES_AT_ONCE = 64
Size = tuple[int, int, int]


@dataclass(frozen=True)
class Header:
    """A picture's height and width in pixels, and its channels: 1 grey, 2 with alpha, 3, 4."""

    height: int
    width: int
    channels: int


def read_header(path: Path) -> Header | None:
    """Return what a PNG, JPEG, GIF or BMP file says of itself; None where it is none of them."""
    with path.open("rb") as file:
        start = file.read(32)
        try:
            if start.startswith(b"\x89PNG\r\n\x1a\n"):
                width, height, _, colour = struct.unpack(">IIBB", start[16:26])
                return Header(height, width, _PNG_CHANNELS[colour])
            if start.startswith((b"GIF87a", b"GIF89a")):
                width, height = struct.unpack("<HH", start[6:10])
                return Header(height, width, 3)
            if start.startswith(b"BM"):
                width, height, _, bits = struct.unpack("<iiHH", start[18:30])
                return Header(abs(height), width, {8: 1, 32: 4}.get(bits, 3))
            if start.startswith(b"\xff\xd8"):
                file.seek(2)
                return _jpeg(file.read(2**20))
        except (struct.error, KeyError, IndexError, ValueError):
            return None
    return None


def _jpeg(data: bytes) -> Header | None:
    """Return what the first start-of-frame segment says."""
    at = 0
    while True:
        at = data.index(b"\xff", at) + 1
        marker = data[at]
        at += 1
        if marker in (0x00, 0xFF) or marker in _WITHOUT_LENGTH:
            continue
        if marker in _START_OF_FRAME:
            height, width, channels = struct.unpack(">HHB", data[at + 3 : at + 8])
            return Header(height, width, 1 if channels == 1 else 3)
        at += struct.unpack(">H", data[at : at + 2])[0]


@dataclass(frozen=True, eq=False)
class Pictures:
    """The files of a split in order, the class name of each, and the shape that all are given."""

    paths: tuple[str, ...]
    names: Array
    size: Size
    where: str

    def decoded(self, rows: Sequence[int] | Array) -> npt.NDArray[np.uint8]:
        """Return pictures as uint8 (rows, height, width, channels). DataError names broken files."""
        pictures = np.empty((len(rows), *self.size), dtype=np.uint8)
        broken: list[str] = []
        for at, row in enumerate(rows):
            try:
                pictures[at] = _decode(self.paths[int(row)], self.size)
            except ValueError:
                broken.append(self.paths[int(row)])
        if broken:
            raise undecodable(broken, self.where)
        return pictures


def _decode(path: str, size: Size) -> npt.NDArray[np.uint8]:
    """Return one picture as uint8 of a size; ValueError where it cannot be decoded."""
    import tensorflow as tf

    height, width, channels = size
    try:
        picture = tf.io.decode_image(Path(path).read_bytes(), expand_animations=False)
        if picture.shape[2] in (2, 4):
            picture = picture[:, :, :-1]
        if picture.shape[2] == 1 and channels == 3:
            picture = tf.image.grayscale_to_rgb(picture)
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(path) from error
    if picture.shape[:2] != (height, width):
        resized = tf.image.resize(picture, (height, width))
        picture = tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)
    pixels: npt.NDArray[np.uint8] = picture.numpy()
    return pixels


def undecodable(paths: Sequence[str], where: str) -> Exception:
    """Return the refusal of broken pictures."""
    names = [f"{Path(path).parent.name}/{Path(path).name}" for path in paths]
    expected = "pictures that can be decoded were expected"
    return refused(where, expected, several(names), "Take such files out of the folder.")


def pictures_in(
    path: Path, size: tuple[int, int, int], resized: bool
) -> tuple[tuple[str, ...], Iterator[Any]]:
    """Return the names of a picture, or of all those below a folder, and their pixels by the batch, uint8.

    DataError for one that cannot be decoded, and for one of another size where training resized none.
    """
    where = f"rows {path.name}"
    files = _picture_files(path)
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
    return names, _decoded_by_the_batch(pictures)


def _picture_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = (file for file in path.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    return sorted(file for file in found if not file.name.startswith("."))


def _decoded_by_the_batch(pictures: Pictures) -> Iterator[Any]:
    for start in range(0, len(pictures.paths), PICTURES_AT_ONCE):
        yield pictures.decoded(range(start, min(start + PICTURES_AT_ONCE, len(pictures.paths))))
