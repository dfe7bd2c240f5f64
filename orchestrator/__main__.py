"""``python -m orchestrator``, the same as the console command ``orchestrator``."""

from __future__ import annotations

import sys

if __name__ == "__main__" and not sys.flags.safe_path:
    # Python puts the current folder first: a json.py in it would be imported in place of Python's own.
    sys.path.append(sys.path.pop(0))

import atexit
import gc
import traceback

from orchestrator.cli import app
from orchestrator.cli.output import YOU_CAN_FIX_IT, error_block, say, stdout_lost
from orchestrator.streams import (
    leave_quietly,
    open_standard_descriptors,
    shown_streams,
    what_stdout_lost,
)

BUG = 70
"""Exit code of a bug (sysexits' EX_SOFTWARE): 1 and 2 have meanings of their own."""
QUICK = {"best", "ls", "show", "status", "table"}
"""Commands that are over before there is garbage worth looking for."""
TRIALS_HERE = {"keras", "orchestrator.tuning.inline"}
"""Modules without which no trial has run in this process: what its code left open Python has to find and close."""


def main() -> None:
    """Run the command line and exit with its code."""
    open_standard_descriptors()
    if not QUICK.isdisjoint(sys.argv[1:2]):
        gc.disable()
    with shown_streams():
        code = _code()
        lost = what_stdout_lost()
        if lost is not None:
            say(error_block(stdout_lost(lost)), err=True)
            code = code or YOU_CAN_FIX_IT
    leave_quietly()
    gc.enable()
    if TRIALS_HERE.isdisjoint(sys.modules):
        atexit.register(
            gc.freeze
        )  # the system takes it back at once; object by object it takes half a second
    sys.exit(code)


def _code() -> int | str | None:
    """Run the command that was asked for and return the code to exit with."""
    try:
        app(prog_name="orchestrator")
    except SystemExit as ended:
        return ended.code
    except Exception:  # noqa: BLE001  (the last line: what gets here is a bug of ours)
        traceback.print_exc()
        return BUG
    return 0


if __name__ == "__main__":
    main()
