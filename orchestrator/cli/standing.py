"""How runs stand, and what to do about damaged records. Ray, TensorFlow and pandas are not loaded here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.destination import terminal_width
from orchestrator.cli.options import RUNS, RunName, Storage
from orchestrator.errors import UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.records import RunStatus

FORMATS = ("table", "json")


def _known_format(format: str) -> str:
    if format not in FORMATS:
        raise UnknownNameError(explain("--format", "expected a format", format, FORMATS))
    return format


def status(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Runs' names, or the paths of their folders; all of them if left out.",
            show_default=False,
        ),
    ] = None,
    storage: Storage = RUNS,
    format: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="FORMAT", callback=_known_format, help="table or json."
        ),
    ] = "table",
) -> None:
    """Tell whether a run is running, paused, interrupted, finished or stuck, since when, and how far."""
    from orchestrator.records import run_names
    from orchestrator.report.standing import next_step, said_name, status_lines, status_table

    found = [_status_of(run, storage) for run in runs or run_names(storage)]
    names = [said_name(each.folder, str(storage)) for each in found]
    alone = len(runs or ()) == 1
    if format == "json":
        facts = [
            asdict(each) | {"next": next_step(each, name)}
            for each, name in zip(found, names, strict=True)
        ]
        typer.echo(json.dumps(facts[0] if alone else facts, indent=2, ensure_ascii=False))
    elif alone:
        typer.echo("\n".join(status_lines(found[0], names[0], terminal_width())))
    elif found:
        typer.echo("\n".join(status_table(found)))
    else:
        typer.echo(f"no runs in {storage}; orchestrator run FILE makes one", err=True)


def _status_of(reference: str, storage: Path) -> RunStatus:
    """Return how that which ``reference`` names stands: the place to tell a job's handle from a run."""
    from orchestrator.records import RunFolder, status_or_damage

    return status_or_damage(RunFolder.open(reference, storage))


def repair(run: RunName, storage: Storage = RUNS) -> None:
    """Set damaged lines of a run's records aside, so that the others can be read and resume goes on."""
    from orchestrator.experiment.repairing import repair_run
    from orchestrator.report.standing import said_name

    repaired = repair_run(run, storage)
    name = said_name(str(repaired.folder.path), str(storage))
    for file, moved in repaired.moved.items():
        typer.echo(f"{file}: {len(moved)} of {repaired.lines[file]} lines moved to {file}.damaged")
        for number, why in moved.items():
            typer.echo(f"  line {number}: {why}")
    if repaired.moved:
        typer.echo(f"next: orchestrator resume {name} trains what is gone")
    else:
        typer.echo(f"{name}: every line of its records is whole; nothing was changed")
