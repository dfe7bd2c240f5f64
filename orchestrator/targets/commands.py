"""Clients of the places, run as commands."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.errors import PlaceError

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    output: str
    error: str


def ask(command: Sequence[str], how_to_get_it: str, standard_input: str | None = None) -> Answer:
    """Run a client's command and return what it said, whatever its exit code.

    Raises PlaceError where the command is not there (``how_to_get_it`` ends the sentence) or does not answer.
    """
    try:
        done = subprocess.run(
            list(command),
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    except FileNotFoundError:
        raise PlaceError(
            f"{command[0]}: expected this command on PATH. Received: no such command. {how_to_get_it}"
        ) from None
    except subprocess.TimeoutExpired:
        raise PlaceError(
            f"{command[0]}: expected an answer within {PATIENCE_SECONDS} seconds. Received: none."
        ) from None
    return Answer(done.returncode, done.stdout, done.stderr)


def demand(command: Sequence[str], how_to_get_it: str, standard_input: str | None = None) -> str:
    """Return what a command printed. Raises PlaceError with its own words where it failed."""
    answer = ask(command, how_to_get_it, standard_input)
    if answer.code != 0:
        said = " ".join((answer.error or answer.output).split()) or f"exit code {answer.code}"
        raise PlaceError(f"{command[0]} refused: {said}")
    return answer.output
