"""Clients of the places, run as commands."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.errors import PlaceError

PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Answer:
    """How a command ended and what it said."""

    code: int
    output: str
    error: str


def run(
    command: Sequence[str],
    how_to_get_it: str,
    standard_input: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> Answer:
    """Run a client's command and return what it said, whatever its exit code.

    ``variables`` are added to its environment, for what no list of processes may show. Raises PlaceError where the
    command is not there (``how_to_get_it`` ends the sentence) or does not answer.
    """
    try:
        done = subprocess.run(
            list(command),
            input=standard_input,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
            env={**os.environ, **(variables or {})},
        )
    except FileNotFoundError:
        raise _missing(command[0], how_to_get_it) from None
    except subprocess.TimeoutExpired:
        raise PlaceError(
            f"{command[0]}: expected an answer within {PATIENCE_SECONDS} seconds. Received: none."
        ) from None
    return Answer(done.returncode, done.stdout, done.stderr)


def run_checked(
    command: Sequence[str],
    how_to_get_it: str,
    standard_input: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> str:
    """Return what a command printed. Raises PlaceError with its own words where it failed."""
    answer = run(command, how_to_get_it, standard_input, variables)
    if answer.code != 0:
        said = " ".join((answer.error or answer.output).split()) or f"exit code {answer.code}"
        raise PlaceError(f"{command[0]} refused: {said}")
    return answer.output


def stream(command: Sequence[str], how_to_get_it: str) -> Iterator[str]:
    """Yield what a command says on both its outputs, as it says it; the command ends with the reader.

    Raises PlaceError where the command is not there.
    """
    try:
        process = subprocess.Popen(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        raise _missing(command[0], how_to_get_it) from None
    with process:
        try:
            yield from process.stdout or ()
        finally:
            process.terminate()


def _missing(command: str, how_to_get_it: str) -> PlaceError:
    return PlaceError(
        f"{command}: expected this command on PATH. Received: no such command. {how_to_get_it}"
    )
