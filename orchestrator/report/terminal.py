"""A table as text that fits a terminal: the weightiest columns, and a line about the others."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

from orchestrator.report.cells import cell, printable

if TYPE_CHECKING:
    import pandas as pd

_GAP = "  "
_WIDEST = 32


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

    ``frame.attrs["importance"]`` names the columns to keep first; empty columns are left out. The
    lines are laid out here, not by rich, which takes seconds for ten thousand rows.
    """
    columns = [_column(frame, name) for name in frame.columns]
    told = [column for column in columns if any(column.cells)] or columns
    shown = _fitting(told, frame.attrs.get("importance", []), width)
    lines = [
        *(_line(shown, [column.header[row] for column in shown]) for row in (0, 1)),
        _GAP.join("─" * column.width for column in shown),
        *(_line(shown, list(cells)) for cells in zip(*(c.cells for c in shown), strict=True)),
    ]
    text = "\n".join(line for line in lines if line) + "\n"
    hidden = [printable(str(column.name)) for column in told if column not in shown]
    return text + (_hidden_note(hidden, width) if hidden else "")


def _column(frame: pd.DataFrame, name: str) -> _Column:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    kind = frame[name].dtype
    return _Column(
        name=name,
        header=_folded(printable(str(name))),
        cells=tuple(cell(value) for value in frame[name]),
        right=is_numeric_dtype(kind) and not is_bool_dtype(kind),
    )


def _folded(name: str) -> tuple[str, str]:
    """Return a header on two lines, cut where both become shortest; a short one on the lower."""
    cuts = [place + 1 for place, sign in enumerate(name) if sign in "_-" and place > 1]
    if len(name) <= 8 or not cuts:
        return "", name
    cut = min(cuts, key=lambda place: max(place, len(name) - place))
    return name[:cut], name[cut:]


def _fitting(columns: list[_Column], importance: list[str], width: int) -> list[_Column]:
    """Return the columns that fit, chosen by importance and kept in their own order."""
    ranks = {name: rank for rank, name in enumerate(importance)}
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
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False) + "\n"
