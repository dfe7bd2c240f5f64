"""Paths as a file or a command line may write them."""

from __future__ import annotations

import os
import re
from pathlib import Path

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")


def written_out(path: str) -> str:
    """Return a path with ``~``, ``$NAME`` and ``${NAME}`` written out; a folder with a dollar in its name stays.

    Raises KeyError with what is not known here: the name of a variable, or ``~name`` of no user's home.
    """
    if not Path(path).exists():
        path = _VARIABLE.sub(lambda found: os.environ[found[1] or found[2]], path)
    if not path.startswith("~"):
        return path
    try:
        return str(Path(path).expanduser())
    except RuntimeError:
        raise KeyError(path.partition("/")[0]) from None
