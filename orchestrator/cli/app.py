"""The table of commands, and what their errors become."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from orchestrator.cli import (
    babysitting,
    continuing,
    extending,
    files,
    looking,
    place,
    running,
    standing,
    submitting,
)
from orchestrator.cli.faults import INTERRUPTED, error_block, exit_code
from orchestrator.cli.say import say, warned
from orchestrator.errors import OrchestratorError


class Commands(TyperGroup):
    """Turns what the caller can fix into one block and exit 2, and Ctrl-C into exit 130."""

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
    epilog="Exit codes: 0 done, 1 no trial succeeded or given up, 2 you can fix it, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PANELS: dict[str, tuple[Callable[..., None], ...]] = {
    "Before a run": (files.init, files.preview, files.schema),
    "A run": (
        running.run,
        continuing.resume,
        extending.extend,
        standing.status,
        standing.watch,
        standing.repair,
    ),
    "A run elsewhere": (
        submitting.submit,
        submitting.logs,
        submitting.fetch,
        submitting.jobs,
    ),
    "A model in training": (
        babysitting.set_,
        babysitting.pause,
        babysitting.continue_,
        babysitting.rollback,
        babysitting.branch,
        babysitting.note,
        babysitting.stop,
        babysitting.journal,
        babysitting.days,
    ),
    "After a run": (
        continuing.promote,
        continuing.replay,
        looking.ls,
        looking.show,
        looking.table,
        looking.best,
        looking.compare,
        looking.export,
        looking.predict,
    ),
    "This machine": (place.doctor, place.version),
}

for _panel, _commands in PANELS.items():
    for _command in _commands:
        _name = _command.__name__.rstrip("_")  # set and continue are words of Python's
        app.command(_name, rich_help_panel=_panel)(_command)


def _print_version(asked: bool) -> None:
    if asked:
        place.version()
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
