"""How runs stand, and what to do about damaged records. Ray, TensorFlow and pandas are not loaded here."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.destination import destination, terminal_width
from orchestrator.cli.options import RUNS, Format, Output, RunName, Storage
from orchestrator.cli.say import say
from orchestrator.errors import UnknownNameError, explain

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
            help="Runs' names, the paths of their folders, or jobs' handles; all runs if left out.",
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
    """Tell whether a run is running, paused, interrupted, finished or stuck, since when, and how far.

    Of a job (slurm://421) it tells what its place says as well.
    """
    from orchestrator.records import run_names

    handles = [run for run in runs or () if "://" in run]
    if handles:
        _tell_jobs(handles, format)
    named = [run for run in runs or () if "://" not in run]
    if named or not handles:
        _tell_runs(named or run_names(storage), storage, format, alone=len(named) == 1)


def _tell_jobs(handles: list[str], format: str) -> None:
    from orchestrator.cli.submitting import job_facts, status_lines
    from orchestrator.experiment import submitted

    for found in map(submitted.status, handles):
        if format == "json":
            say(json.dumps(job_facts(found), indent=2, ensure_ascii=False))
        else:
            say("\n".join(status_lines(found)))


def _tell_runs(runs: list[str], storage: Path, format: str, alone: bool) -> None:
    from orchestrator.records import RunFolder, status_or_damage
    from orchestrator.report.status_text import next_step, said_name, status_lines, status_table

    found = [status_or_damage(RunFolder.open(run, storage)) for run in runs]
    names = [said_name(each.folder, str(storage)) for each in found]
    if format == "json":
        facts = [
            asdict(each) | {"next": next_step(each, name)}
            for each, name in zip(found, names, strict=True)
        ]
        say(json.dumps(facts[0] if alone else facts, indent=2, ensure_ascii=False))
    elif alone:
        say("\n".join(status_lines(found[0], names[0], terminal_width())))
    elif found:
        say("\n".join(status_table(found)))
    else:
        say(f"no runs in {storage}; orchestrator run FILE makes one", err=True)


def watch(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Look on while a run goes on elsewhere: another terminal, a job, a shared disk.

    Ctrl-C ends the looking, not the run. Once nobody drives it any more, its table and winner are printed.
    """
    from orchestrator.cli.running import conclude
    from orchestrator.experiment.watching import watch as look_on

    where = destination(format, output)
    conclude(look_on(run, storage), where)


def repair(run: RunName, storage: Storage = RUNS) -> None:
    """Set damaged lines of a run's records aside, so that the others can be read and resume goes on."""
    from orchestrator.experiment.repairing import repair_run
    from orchestrator.report.status_text import said_name

    repaired = repair_run(run, storage)
    name = said_name(str(repaired.folder.path), str(storage))
    for file, moved in repaired.moved.items():
        say(f"{file}: {len(moved)} of {repaired.lines[file]} lines moved to {file}.damaged")
        for number, why in moved.items():
            say(f"  line {number}: {why}")
    if repaired.moved:
        say(f"next: orchestrator resume {name} trains what is gone")
    else:
        say(f"{name}: every line of its records is whole; nothing was changed")
