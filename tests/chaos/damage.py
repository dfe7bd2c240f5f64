"""What a power cut, a bad cable or a bad disk does to a record."""

from __future__ import annotations

from pathlib import Path
from random import Random


def tear(file: Path, random: Random) -> str:
    """Leave only the beginning of the last line, as a power cut may; return what was done."""
    content = file.read_bytes()
    begins = content.rstrip(b"\n").rfind(b"\n") + 1
    kept = random.randrange(begins + 1, len(content))
    file.write_bytes(content[:kept])
    return f"{len(content) - kept} bytes off line {content.count(bytes([10]))}"


def _around_checksum(content: bytearray, at: int) -> bool:
    """Return whether a byte only frames a line's checksum: one of those may be damaged and all is still proven."""
    to_end = content.index(b"\n", at) - at
    return to_end <= len('"}') or 0 < to_end - len('01234567"}') <= len(', "crc32": "')


def flip(file: Path, random: Random) -> int:
    """Flip one bit of one byte of a line that is not the last one; return the line's number.

    The name of the checksum is spared: a flip there leaves the record as it was, and is let pass.
    """
    content = bytearray(file.read_bytes())
    last_begins = content.rstrip(b"\n").rfind(b"\n") + 1
    while True:
        at = random.randrange(last_begins)
        changed = content[at] ^ (1 << random.randrange(8))
        if ord("\n") not in (content[at], changed) and not _around_checksum(content, at):
            break
    content[at] = changed
    file.write_bytes(content)
    return content.count(b"\n", 0, at) + 1
