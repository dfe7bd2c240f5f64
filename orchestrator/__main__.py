"""``python -m orchestrator``, the same as the console command ``orchestrator``."""

from __future__ import annotations

import sys
import traceback

from orchestrator.cli import app
from orchestrator.cli.output import redacted_streams

BUG = 70
"""Exit code of a bug (sysexits' EX_SOFTWARE): 1 and 2 have meanings of their own."""


def main() -> None:
    """Run the command line and exit with its code."""
    with redacted_streams():
        try:
            app(prog_name="orchestrator")
        except Exception:  # noqa: BLE001  (the last line: what gets here is a bug of ours)
            traceback.print_exc()
            sys.exit(BUG)


if __name__ == "__main__":
    main()
