"""The size and channels of a picture, read from the first bytes of its file."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

PICTURES = {".png", ".jpg", ".jpeg", ".gif", ".bmp"}

_PNG_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_START_OF_FRAME = {0xC0, 0xC1, 0xC2, 0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xD9)}


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
