"""What a record says in place of an object that was given in Python, and why a file cannot say so."""

from __future__ import annotations

from orchestrator.errors import ExperimentFileError

_BEGINS, _ENDS = "<python: ", ">"
_IN_A_FILE = {
    "model": "./net.py:build",
    "callbacks": "./net.py:callbacks",
    "data": "./load.py:load, ./data.npz or ./table.csv",
}


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
