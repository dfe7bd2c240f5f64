"""The three forms of a name in an experiment file, marks in a record for what has none, and the bundled files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.errors import ExperimentFileError, PlaceError, explain

_BEGINS, _ENDS = "<python: ", ">"
_IN_A_FILE = {
    "model": "./net.py:build",
    "trial": "./train.py:train",
    "callbacks": "./net.py:callbacks",
    "data": "./load.py:load, ./data.npz or ./table.csv",
}
BundledKind = Literal["models", "search_spaces", "examples", "slurm", "docker", "k8s"]
BUNDLED_DATA = ("digits", "mnist5k")
"""The data sets a bare word can name; ``orchestrator.data`` has one reader for each."""
_ENDINGS: dict[BundledKind, str] = {
    "models": ".py",
    "search_spaces": ".yaml",
    "examples": ".yaml",
    "slurm": ".sh",
}
_PACKAGE = Path(__file__).resolve().parents[1]
FILE_ENDINGS = (".py", ".yaml", ".yml", ".npz", ".csv", ".parquet")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_DRIVE = re.compile(r"[A-Za-z]")


def mark(name: str) -> str:
    """Return ``<python: build>`` for a function of that name."""
    return f"{_BEGINS}{name}{_ENDS}"


def is_mark(text: object) -> bool:
    """Return whether a text stands for an object that was given in Python."""
    return isinstance(text, str) and text.startswith(_BEGINS)


def refuse_mark(text: str, key: str) -> None:
    """Raise ExperimentFileError where a file has what only a Python program can give."""
    if is_mark(text):
        raise ExperimentFileError(
            f"{key}: expected what a file can name, such as {_IN_A_FILE.get(key, 'mlp')}. Received: {text!r}, which"
            f" stands for an object that was given in Python. Give it again: orchestrator.run(..., {key}=...)."
        )


def bundled_folder(kind: BundledKind) -> Path:
    """Return the folder that holds the bundled files of one kind.

    The wheel's folder is asked for first: beside an installed package, ``models`` may be anyone's.
    """
    for folder in (_PACKAGE / "bundled" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise PlaceError(f"orchestrator: the folder of bundled {kind} is missing: install it again.")


def bundled_names(kind: BundledKind) -> tuple[str, ...]:
    """Return the sorted names of the bundled files of one kind: being there is all it takes."""
    ending = _ENDINGS.get(kind, "")
    files = bundled_folder(kind).glob(f"*{ending}")
    return tuple(sorted(file.stem for file in files if not file.name.startswith(("_", "."))))


def bundled_file(kind: BundledKind, name: str) -> Path:
    """Return where the bundled file ``name`` lies on this machine, whether or not it is there."""
    return bundled_folder(kind) / f"{name}{_ENDINGS[kind]}"


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
