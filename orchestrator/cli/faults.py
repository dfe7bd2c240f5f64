"""How the command line ends when it does not end well: exit codes, and an error's one block."""

from __future__ import annotations

import textwrap

from orchestrator.cli.say import visible
from orchestrator.errors import LockLostError, OrchestratorError
from orchestrator.redaction import redact

NO_TRIAL_SUCCEEDED = 1
YOU_CAN_FIX_IT = 2
INTERRUPTED = 130

_PREFIX = "error: "
_WIDTH = 80


def exit_code(error: OrchestratorError) -> int:
    """Return the code that a refusal ends with: one whose run was taken over was interrupted."""
    return INTERRUPTED if isinstance(error, LockLostError) else YOU_CAN_FIX_IT


def error_block(message: str) -> str:
    """Return a message as ``error: ...`` in 80 columns; each further fault begins a line.

    What could move a terminal's cursor (a file's content may be quoted) is shown as a sign.
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
