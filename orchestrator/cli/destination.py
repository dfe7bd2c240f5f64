"""Where a table goes and in which format, decided and checked before any work is done."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.cli.say import say
from orchestrator.errors import OrchestratorError, PlaceError, explain

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251  (for its type alone)

_ENDINGS = {
    ".csv": "csv",
    ".json": "json",
    ".md": "markdown",
    ".tex": "latex",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Destination:
    """A table format, and a file or (None) stdout."""

    format: str
    output: Path | None

    @property
    def for_people(self) -> bool:
        """Whether stdout is read by a person, so that sentences may follow the table there."""
        return self.format == "table" or self.output is not None

    def write(self, frame: pd.DataFrame) -> None:
        """Write the table there."""
        from orchestrator.report import render

        render(frame, self.format, self.output, terminal_width())
        if self.output is not None:
            rows = "1 row" if len(frame) == 1 else f"{len(frame)} rows"
            say(f"wrote {self.output}: {rows}, {self.format}", err=True)


def destination(format: str | None, output: Path | None) -> Destination:
    """Return where a table goes. Raises where it could not be written."""
    ending = output.suffix.lower() if output is not None else ""
    chosen = format or _ENDINGS.get(ending, "table")
    if chosen == "parquet" and output is None:
        raise OrchestratorError(
            "--format parquet: expected --output FILE, since Parquet is binary. Received: no file."
        )
    if output is not None:
        check_writable(output, "--output")
    return Destination(chosen, output)


def check_writable(file: Path, where: str) -> None:
    """Raise PlaceError where ``file`` cannot be written: say, its folder is not there."""
    if file.is_dir():
        raise PlaceError(explain(where, "expected a file", f"{file}, which is a folder"))
    if not file.parent.is_dir():
        raise PlaceError(
            explain(where, "expected a file in a folder that exists", str(file.parent))
        )
    if not os.access(file if file.exists() else file.parent, os.W_OK):
        raise PlaceError(explain(where, "expected a file that can be written", str(file)))


def terminal_width() -> int:
    """Return the columns of the terminal (or ``COLUMNS``); 80 where stdout is none."""
    return shutil.get_terminal_size((80, 24)).columns
