"""A table in the format asked for, on stdout or in a file."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import OrchestratorError, PlaceError, UnknownNameError, explain
from orchestrator.records import write_atomically
from orchestrator.report.cells import cell, printable
from orchestrator.report.escaping import in_markdown, mapped, unformulaic, without_secrets
from orchestrator.report.terminal import text_table

if TYPE_CHECKING:
    import pandas as pd


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
    return str(mapped(without_secrets(frame), unformulaic).to_csv(index=False, lineterminator="\n"))


def to_json(frame: pd.DataFrame, width: int = 0) -> str:
    """Return a JSON list of records; what JSON cannot say (NaN, infinities) is null."""
    rows = [
        {name: _jsonable(value) for name, value in row.items()}
        for row in _rows(without_secrets(frame))
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False, allow_nan=False, default=str) + "\n"


def to_markdown(frame: pd.DataFrame, width: int = 0) -> str:
    """Return a pipe table, numbers to four digits, with whatever Markdown or HTML would read escaped."""
    texts = mapped(_texts(frame), in_markdown)
    alignment = ["right" if right else "left" for right in _right_aligned(frame)]
    if not len(texts):
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
    plain.attrs = {}
    for name in plain.columns:
        if plain[name].dtype == object:
            plain[name] = [_as_json(value) for value in plain[name]]
    buffer = io.BytesIO()
    plain.to_parquet(buffer, index=False)
    return buffer.getvalue()


FORMATS: dict[str, Callable[[pd.DataFrame, int], str | bytes]] = {
    "table": text_table,
    "csv": to_csv,
    "json": to_json,
    "markdown": to_markdown,
    "latex": to_latex,
    "parquet": to_parquet,
}


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
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    kinds = [frame[name].dtype for name in frame.columns]
    return [is_numeric_dtype(kind) and not is_bool_dtype(kind) for kind in kinds]
