"""The machine and the installation."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.destination import terminal_width
from orchestrator.cli.options import RUNS, Storage
from orchestrator.cli.say import say

if TYPE_CHECKING:
    from orchestrator.experiment.doctor import Check

SOMETHING_FAILS = 1


def doctor(
    storage: Storage = RUNS,
    no_ray: Annotated[bool, typer.Option("--no-ray", help="Do not start or join Ray.")] = False,
) -> None:
    """Check this machine: versions, cores, memory, GPUs, disk, Ray."""
    from orchestrator.experiment.doctor import examine

    failed = False
    for check in examine(storage, with_ray=not no_ray):
        say(_line(check))
        failed = failed or check.status == "fail"
    if failed:
        raise typer.Exit(SOMETHING_FAILS)


def version() -> None:
    """Print the version."""
    from importlib import metadata

    try:
        number = metadata.version("orchestrator")
    except metadata.PackageNotFoundError:
        number = "(not installed: run from its sources)"
    say(f"orchestrator {number}")


def _line(check: Check) -> str:
    margin = " " * 18
    lines = textwrap.wrap(
        check.finding,
        terminal_width(),
        initial_indent=f"{check.status:<4}  {check.what:<10}  ",
        subsequent_indent=margin,
    )
    if check.advice:
        lines += textwrap.wrap(
            f"-> {check.advice}",
            terminal_width(),
            initial_indent=margin,
            subsequent_indent=f"{margin}   ",
        )
    return "\n".join(lines)
