"""A table in the format asked for, on stdout or in a file."""

from __future__ import annotations

import io
import json
import math
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size

from orchestrator.errors import OrchestratorError, PlaceError, UnknownNameError, explain
from orchestrator.records import write_atomically
from orchestrator.redaction import redacted
from orchestrator.report.formatting import cell, folded, printable

if TYPE_CHECKING:
    import pandas as pd


_GAP = "  "
_WIDEST = 32


_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(inf|nan)")
_MARKUP = re.compile(r"[\\|`*\[\]<>~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")


def render(
    frame: pd.DataFrame, format: str = "table", output: Path | None = None, width: int = 80
) -> None:
    """Write a table to ``output``, or to stdout where that is None.

    ``width`` bounds the ``table`` format alone; the others hold every column, and nothing else.
    Raises UnknownNameError for an unknown format, OrchestratorError for Parquet without a file.
    """
    if format not in FORMATS:
        raise UnknownNameError(explain("--format", "a table format", format, FORMATS))
    if format == "parquet" and output is None:
        raise OrchestratorError(
            "--format parquet: expected --output FILE, since Parquet is binary. Received: no file."
        )
    content = FORMATS[format](frame, width)
    if output is not None:
        _keep(content, output)
    elif isinstance(content, str):
        sys.stdout.write(content)
        sys.stdout.flush()


def to_csv(frame: pd.DataFrame, width: int = 0) -> str:
    """Return comma-separated values with full precision; missing values are empty.

    A text that a spreadsheet would take for a formula is written behind an apostrophe.
    """
    # The line end is given, since pandas' own is the platform's.
    return str(mapped(without_secrets(frame), unformulaic).to_csv(index=False, lineterminator="\n"))


def to_json(frame: pd.DataFrame, width: int = 0) -> str:
    """Return a JSON list of records; what JSON cannot say (NaN, infinities) is null."""
    rows = [
        {name: _jsonable(value) for name, value in row.items()}
        for row in _rows(without_secrets(frame))
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def to_jsonl(frame: pd.DataFrame, width: int = 0) -> str:
    """Return one JSON object a line, as ``to_json`` has them."""
    rows = json.loads(to_json(frame))
    return "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows)


def to_markdown(frame: pd.DataFrame, width: int = 0) -> str:
    """Return a pipe table, numbers to four digits, with whatever Markdown or HTML would read escaped."""
    texts = mapped(_texts(frame), in_markdown)
    alignment = ["right" if right else "left" for right in _right_aligned(frame)]
    if not len(texts):  # tabulate takes no alignment for a table without rows
        alignment = []
    table = texts.to_markdown(index=False, disable_numparse=True, colalign=alignment)
    return f"{table}\n"


def to_latex(frame: pd.DataFrame, width: int = 0) -> str:
    """Return a booktabs tabular, numbers to four digits, everything escaped."""
    alignment = "".join("r" if right else "l" for right in _right_aligned(frame))
    return str(_texts(frame).to_latex(index=False, escape=True, column_format=alignment))


def to_parquet(frame: pd.DataFrame, width: int = 0) -> bytes:
    """Return a Parquet file; a column of mixed kinds (say, 64 and "none") is kept as JSON text."""
    plain = without_secrets(frame).copy()
    plain.attrs = {}  # pandas would write them into the file: pandas-dev/pandas#54346
    for name in plain.columns:
        if plain[name].dtype == object:
            plain[name] = [_as_json(value) for value in plain[name]]
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _keep(content: str | bytes, output: Path) -> None:
    try:
        write_atomically(output, content)
    except OSError as error:
        raise PlaceError(
            explain("--output", "a file that can be written", f"{output}: {error.strerror}")
        ) from None


def _rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in frame.to_dict("records")]


def _jsonable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return None if cell(value) == "" and not isinstance(value, str) else value


def _as_json(value: Any) -> str | None:
    value = _jsonable(value)
    return value if value is None else json.dumps(value, default=str)


def _texts(frame: pd.DataFrame) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(
        {printable(str(name)): [cell(value) for value in frame[name]] for name in frame.columns}
    )


def _right_aligned(frame: pd.DataFrame) -> list[bool]:
    return [_is_numeric(frame[name]) for name in frame.columns]


def _is_numeric(column: pd.Series[Any]) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(column.dtype) and not is_bool_dtype(column.dtype)


@dataclass(frozen=True, eq=False)
class _Column:
    name: str
    header: tuple[str, str]
    cells: tuple[str, ...]
    right: bool

    @cached_property
    def width(self) -> int:
        widest = max((cell_len(text) for text in (*self.header, *self.cells)), default=0)
        return min(widest, _WIDEST)

    def padded(self, text: str) -> str:
        size = cell_len(text)
        if size > self.width:
            return set_cell_size(text, self.width - 1) + "…"
        filler = " " * (self.width - size)
        return filler + text if self.right else text + filler


def text_table(frame: pd.DataFrame, width: int = 80) -> str:
    """Return the rows as aligned text no wider than ``width``.

    ``frame.attrs["importance"]`` names the columns to keep first; empty columns are left out. ``attrs["same"]`` says
    what is the same in every row, and has no column.
    """
    columns = [_column(str(name), frame[name], _is_numeric(frame[name])) for name in frame.columns]
    return _laid_out(columns, frame.attrs, width)


def columns_text(columns: Mapping[str, list[Any]], importance: Sequence[str], width: int) -> str:
    """Return what ``text_table`` returns of a table with these columns, without pandas."""
    kinds = {
        name: {type(value) for value in values if value is not None}
        for name, values in columns.items()
    }
    as_floats = {name for name, found in kinds.items() if found == {int, float}}
    made = [
        _column(
            name, map(float, values) if name in as_floats else values, kinds[name] <= {int, float}
        )
        for name, values in columns.items()
    ]
    return _laid_out(made, {"importance": importance}, width)


def _laid_out(columns: list[_Column], attrs: Mapping[Any, Any], width: int) -> str:
    # Laid out here: rich's tables take seconds for ten thousand rows (Textualize/rich#1069).
    told = [column for column in columns if any(column.cells)] or columns
    shown = _fitting(told, attrs.get("importance", []), width)
    lines = [
        *(_line(shown, [column.header[row] for column in shown]) for row in (0, 1)),
        _GAP.join("─" * column.width for column in shown),
        *(_line(shown, list(cells)) for cells in zip(*(c.cells for c in shown), strict=True)),
    ]
    text = "\n".join(line for line in lines if line) + "\n"
    hidden = [printable(str(column.name)) for column in told if column not in shown]
    same = attrs.get("same")
    text += f"{_filled(f'the same in all: {same}', width)}\n" if same else ""
    return text + (_hidden_note(hidden, width) if hidden else "")


def _column(name: str, values: Iterable[Any], right: bool) -> _Column:
    return _Column(name, folded(printable(name)), tuple(map(cell, values)), right)


def _fitting(columns: list[_Column], importance: Sequence[str], width: int) -> list[_Column]:
    """Return the columns that fit, chosen by importance and kept in their own order."""
    ranks = {name: rank for rank, name in enumerate(dict.fromkeys(importance))}
    by_weight = sorted(columns, key=lambda column: ranks.get(column.name, len(ranks)))
    chosen: list[_Column] = []
    room = width
    for column in by_weight:
        if column.width <= room or not chosen:
            chosen.append(column)
            room -= column.width + len(_GAP)
    return [column for column in columns if column in chosen]


def _line(columns: list[_Column], texts: list[str]) -> str:
    cells = (column.padded(text) for column, text in zip(columns, texts, strict=True))
    return _GAP.join(cells).rstrip()


def _hidden_note(hidden: list[str], width: int) -> str:
    plural = "column" if len(hidden) == 1 else "columns"
    text = f"{len(hidden)} more {plural} (--format csv shows all): {', '.join(hidden)}"
    return _filled(text, width) + "\n"


def _filled(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def without_secrets(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in whose texts and names no known secret stands."""
    return mapped(frame, redacted)


def mapped(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a table with ``change`` made to each text in it and to its columns' names."""
    texts = [name for name in frame.columns if frame[name].dtype in ("object", "str")]
    new = frame.assign(
        **{str(name): [_changed(value, change) for value in frame[name]] for name in texts}
    )
    new.columns = [change(str(name)) for name in frame.columns]
    new.attrs = frame.attrs
    return new


def unformulaic(value: str) -> str:
    """Return a text behind an apostrophe where a spreadsheet would compute it; a number stays."""
    risky = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def in_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no HTML, no end of its cell."""
    return _MARKUP.sub(lambda sign: f"\\{sign[0]}", text)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    return change(value) if isinstance(value, str) else value


FORMATS: dict[str, Callable[[pd.DataFrame, int], str | bytes]] = {
    "table": text_table,
    "csv": to_csv,
    "json": to_json,
    "jsonl": to_jsonl,
    "markdown": to_markdown,
    "latex": to_latex,
    "parquet": to_parquet,
}
