"""The three forms of a name in an experiment file, told apart by how they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from orchestrator.catalog.marks import refuse_mark
from orchestrator.errors import ExperimentFileError, explain

FILE_ENDINGS = (".py", ".yaml", ".yml", ".npz", ".csv", ".parquet")

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DRIVE = re.compile(r"[A-Za-z]")


@dataclass(frozen=True)
class Name:
    """A name taken apart: what kind, which place, and the member after the colon (or None)."""

    form: Literal["bundled", "file", "module"]
    place: str
    member: str | None


def parse_name(text: str, where: str) -> Name:
    """Return the parts of a reference as the user wrote it.

    ``where`` is the key of the experiment file (``model``) and opens the message of the
    ExperimentFileError raised for a name that has none of the three forms.
    """
    refuse_mark(text, where)
    place, member = _split_member(text.strip())
    if member is not None and not member.isidentifier():
        raise ExperimentFileError(explain(where, "a function's name after the colon", text))
    if "/" in place or place.endswith(FILE_ENDINGS):
        return Name("file", place, member)
    if member is None and _WORD.fullmatch(place):
        return Name("bundled", place, None)
    if _DOTTED.fullmatch(place):
        return Name("module", place, member)
    forms = "a bundled name, a file (./net.py:build) or an installed module (package.module:build)"
    raise ExperimentFileError(explain(where, forms, text))


def _split_member(text: str) -> tuple[str, str | None]:
    """Cut at the last colon, unless it is a Windows drive's; backslashes become slashes."""
    head, colon, tail = text.replace("\\", "/").rpartition(":")
    drive = _DRIVE.fullmatch(head) and tail.endswith(FILE_ENDINGS)
    if not colon or "/" in tail or drive:
        return text.replace("\\", "/"), None
    return head, tail
