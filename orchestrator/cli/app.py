"""The table of commands, and what their errors become."""

from __future__ import annotations

import functools
from collections import UserDict
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from orchestrator.cli.output import INTERRUPTED, error_block, exit_code, say, warned
from orchestrator.errors import OrchestratorError

PANELS: dict[str, tuple[str, ...]] = {
    "Before a run": ("author.init", "author.preview", "simulate.simulate", "author.schema"),
    "A run": (
        "run.run",
        "run.resume",
        "run.retry",
        "run.extend",
        "inspect.status",
        "inspect.watch",
        "inspect.repair",
    ),
    "A run elsewhere": ("submit.submit", "submit.logs", "submit.fetch", "submit.jobs"),
    "A model in training": (
        "control.set_",
        "control.pause",
        "control.continue_",
        "control.rollback",
        "control.branch",
        "control.note",
        "control.stop",
        "control.journal",
        "control.days",
    ),
    "After a run": (
        "run.verify",
        "run.promote",
        "run.replay",
        "simulate.whatif",
        "look.ls",
        "look.show",
        "look.table",
        "look.best",
        "inspect.compare",
        "judge.diff",
        "judge.report",
        "judge.card",
        "judge.importance",
        "judge.diagnose",
        "inspect.rounds",
        "inspect.narrow",
        "inspect.export",
        "inspect.predict",
        "inspect.audit",
        "look.rm",
    ),
    "Some time later": ("judge.reevaluate", "judge.history"),
    "This machine": ("author.doctor", "completion.completion", "author.version"),
}
"""The commands' functions, below ``orchestrator.cli``: a command's module is imported when it is asked for."""

# set and continue are words of Python's: their functions' names end in _
COMMANDS = {
    function.partition(".")[2].rstrip("_"): (function, panel)
    for panel, functions in PANELS.items()
    for function in functions
}


class _Commands(UserDict[str, Any]):
    """The commands by name, each made when it is first asked for."""

    def __getitem__(self, name: str) -> Any:
        return _command(name, *self.data[name])


@functools.cache
def _command(name: str, function: str, panel: str) -> Any:
    module, _, attribute = function.partition(".")
    alone = typer.Typer(add_completion=False)
    run = getattr(import_module(f"orchestrator.cli.{module}"), attribute)
    alone.command(name, rich_help_panel=panel)(run)
    return get_command(alone)


class Commands(TyperGroup):
    """Turns what the caller can fix into one block and exit 2, and Ctrl-C into exit 130."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = _Commands(COMMANDS)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with warned():
                return super().invoke(ctx)
        except OrchestratorError as error:
            say(error_block(str(error)), err=True)
            raise typer.Exit(exit_code(error)) from None
        except KeyboardInterrupt:
            say("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None


app = typer.Typer(
    name="orchestrator",
    cls=Commands,
    help="Tune Keras models on Ray Tune: one file, many trials in parallel, one table.",
    epilog="Exit codes: 0 done, 1 no trial succeeded or the run was given up, 2 an error that you can fix,"
    " 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(asked: bool) -> None:
    if asked:
        from orchestrator.cli.author import version

        version()
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    pass
