"""How a CSV file is written: its encoding, the separator of columns, and whether names come first."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.data.messages import refused

_HEAD_LINES = 40
_HEAD_BYTES = 2**20
_MOST_LINE_BYTES = 2**28
_ROWS_A_BLOCK = 64
_SEPARATORS = "\t;|,"
_NUMBER = re.compile(r"\s*[+-]?\d+([.,]\d+)*([eE][+-]?\d+)?\s*")


@dataclass(frozen=True)
class CsvForm:
    """How a file is written; ``names`` are those of its columns, in order.

    ``skip`` lines come before the first row of data. ``rows_bytes`` is the length of several rows:
    no less is to be read at a time, however wide they are.
    """

    delimiter: str
    encoding: str
    names: tuple[str, ...]
    skip: int
    rows_bytes: int
    starts_with_data: bool

    def options(self, names: Sequence[str], block_bytes: int) -> dict[str, Any]:
        """Return pyarrow's options, by which these columns are read as the texts that are written."""
        import pyarrow as pa
        import pyarrow.csv as arrow_csv

        return {
            "read_options": arrow_csv.ReadOptions(
                block_size=max(block_bytes, self.rows_bytes),
                encoding=self.encoding,
                skip_rows=self.skip,
                column_names=list(self.names),
            ),
            "parse_options": arrow_csv.ParseOptions(
                delimiter=self.delimiter, newlines_in_values=True
            ),
            "convert_options": arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in names}, include_columns=list(names)
            ),
        }


def read_form(path: str, header: bool | Literal["auto"], where: str) -> CsvForm:
    """Return how a CSV file is written, from its first lines; the encoding from all of it.

    Without a header the columns are called ``column_1`` and so on. DataError for an empty file.
    """
    encoding = _encoding(path)
    lines = _first_lines(path, encoding)
    skip = next((at for at, line in enumerate(lines) if line.strip("\r\n")), len(lines))
    lines = lines[skip:]
    if not lines:
        raise refused(where, "a readable .csv file was expected", "Empty CSV file")
    declared = re.fullmatch(r"sep=(.)\s*", lines[0])
    if declared:
        lines, skip = lines[1:], skip + 1
    delimiter = declared.group(1) if declared else _delimiter(lines)
    rows = _rows(lines, delimiter)
    first = rows[0] if rows else []
    data = _looks_like_data(first)
    longest = max(len(line.encode()) for line in lines)
    several = min(_MOST_LINE_BYTES, longest * _ROWS_A_BLOCK)
    if header is False:
        names = tuple(f"column_{number}" for number in range(1, len(first) + 1))
        return CsvForm(delimiter, encoding, names, skip, several, False)
    return CsvForm(delimiter, encoding, tuple(first), skip + _lines_of(lines, rows), several, data)


def _encoding(path: str) -> str:
    """Return the file's encoding: UTF-8 where all of it is, else Windows' or ISO's Latin."""
    with Path(path).open("rb") as file:
        start = file.read(4)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return "utf-16"
        file.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        undefined = False
        valid = True
        while chunk := file.read(2**20):
            undefined = undefined or any(byte in chunk for byte in b"\x81\x8d\x8f\x90\x9d")
            valid = valid and _decodes(decoder, chunk)
            if not valid and undefined:
                break
        if valid and _decodes(decoder, b"", final=True):
            return "utf-8"
    return "latin-1" if undefined else "cp1252"


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _first_lines(path: str, encoding: str) -> list[str]:
    name = "utf-8-sig" if encoding == "utf-8" else encoding
    lines: list[str] = []
    size = 0
    with Path(path).open(encoding=name, errors="replace", newline="") as file:
        while len(lines) < 2 or (len(lines) < _HEAD_LINES and size < _HEAD_BYTES):
            line = file.readline(_MOST_LINE_BYTES)
            if not line:
                break
            lines.append(line)
            size += len(line)
    return lines


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return the first lines as rows; the last is left out where a quoted text may go on."""
    before = csv.field_size_limit(_MOST_LINE_BYTES)
    try:
        rows = list(csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter))
    except csv.Error:
        rows = list(csv.reader(lines[:1], delimiter=delimiter))
    finally:
        csv.field_size_limit(before)
    rows = [row for row in rows if row]
    return rows[:-1] if len(rows) > 2 else rows


def _lines_of(lines: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Return how many lines the names take: more than one where a quoted name has a line break."""
    return 1 + sum(name.count("\n") for name in rows[0]) if rows else 1


def _delimiter(lines: Sequence[str]) -> str:
    """Return the tab, semicolon, bar or comma that cuts every line into as many fields.

    Where several do so, as in ``24,5;1013,1;wet``, the one that the first line has most of, and of
    those as frequent the one that no number holds. Where none does, that of the first line.
    """
    counts = {separator: _rows(lines[:1], separator) for separator in _SEPARATORS}
    in_first = {separator: len(rows[0]) if rows else 0 for separator, rows in counts.items()}
    steady = [
        separator
        for separator in _SEPARATORS
        if _is_steady([len(row) for row in _rows(lines, separator)])
    ]
    if steady:
        return max(steady, key=lambda separator: in_first[separator])
    return max(reversed(_SEPARATORS), key=lambda separator: in_first[separator])


def _is_steady(fields: Sequence[int]) -> bool:
    return bool(fields) and fields[0] > 1 and len(set(fields)) == 1


def _looks_like_data(first: Sequence[str]) -> bool:
    """Return whether the first line holds numbers where names belong; 0, 1, 2 … are pandas' names."""
    numbers = [text for text in first if _NUMBER.fullmatch(text)]
    counted = {str(number) for number in range(len(first) + 1)}
    return len(numbers) * 2 >= len(first) > 0 and not set(numbers) <= counted
