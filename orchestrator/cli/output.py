"""What the command line prints and writes: lines without secrets, an error's block and exit code, tables."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import LockLostError, OrchestratorError, PlaceError, RecordWarning, explain
from orchestrator.redaction import redact

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251  (for its type alone)


def say(text: str, err: bool = False, nl: bool = True) -> None:
    """Print lines on stdout, or on stderr; without ``nl`` the last one is not ended."""
    stream = sys.stderr if err else sys.stdout
    lines = "\n".join(visible(line) for line in redact(text).split("\n"))
    stream.write(lines + "\n" * nl)
    stream.flush()


def visible(line: str) -> str:
    """Return a line, with a replacement for each character that could move a terminal's cursor or hide others."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


@contextmanager
def warned() -> Iterator[None]:
    """Print, while the block runs, what of a run cannot be read as ``warning: ...`` on stderr: each sentence once."""
    said: set[str] = set()
    with warnings.catch_warnings():
        others = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, RecordWarning):
                others(message, category, *where, **more)
            elif str(message) not in said:
                said.add(str(message))
                say(f"warning: {message}", err=True)

        warnings.showwarning = show
        warnings.simplefilter("always", RecordWarning)
        yield


NO_TRIAL_SUCCEEDED = 1
YOU_CAN_FIX_IT = 2
INTERRUPTED = 130

_PREFIX = "error: "
_WIDTH = 80


def exit_code(error: OrchestratorError) -> int:
    """Return the code that a refusal ends with: one whose run was taken over was interrupted."""
    return INTERRUPTED if isinstance(error, LockLostError) else YOU_CAN_FIX_IT


def stdout_lost(error: OSError) -> str:
    """Return the sentence that says that stdout has not taken everything."""
    return f"stdout: expected a place that takes all that is printed. Received: {error.strerror}."


def error_block(message: str) -> str:
    """Return a message as ``error: ...`` in 80 columns; each further fault begins a line.

    What could move a terminal's cursor (a file's content may be quoted) is shown as a replacement character.
    """
    faults = [visible(line) for line in redact(message).split("\n") if line.strip()]
    lines: list[str] = []
    for fault in faults:
        lines += textwrap.wrap(
            fault,
            _WIDTH,
            initial_indent=" " * len(_PREFIX) if lines else _PREFIX,
            subsequent_indent=" " * (len(_PREFIX) + (2 if len(faults) > 1 else 0)),
            break_long_words=False,
            break_on_hyphens=False,
        )
    return "\n".join(lines)


_ENDINGS = {
    ".csv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
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

    @property
    def on_screen(self) -> bool:
        """Whether it is text on stdout."""
        return self.format == "table" and self.output is None

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
        _check_replaceable(output, chosen)
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


def _check_replaceable(file: Path, format: str) -> None:
    """Raise PlaceError for a file that is there and is no table of this format, or belongs to a run's records."""
    if not file.exists():
        return
    folder = file.resolve().parent
    if any((place / "events.jsonl").is_file() for place in (folder, *folder.parents[:2])):
        expected = "expected a file outside of a run's folder"
        raise PlaceError(explain("--output", expected, f"{file}, which exists"))
    if _ENDINGS.get(file.suffix.lower()) != format:
        expected = f"expected a new file, or an older one to replace whose ending says {format}"
        raise PlaceError(explain("--output", expected, f"{file}, which exists"))


def terminal_width() -> int:
    """Return the columns of the terminal (or ``COLUMNS``); 80 where stdout is none."""
    return shutil.get_terminal_size((80, 24)).columns
