"""The command line: parse, call one function, print.

One file per group of commands. Nothing heavier than typer is imported before a command is chosen,
so that ``--help`` answers at once.
"""

from orchestrator.cli.app import app

__all__ = ["app"]
