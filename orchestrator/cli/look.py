"""The commands by which one looks at runs: ls, show, table, best; and rm, which removes them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import (
    RUNS,
    TEXT_FORMATS,
    Format,
    Output,
    RunName,
    RunNames,
    Storage,
    run_named,
)
from orchestrator.cli.output import Destination, destination, say, terminal_width
from orchestrator.errors import RequestError, RunExistsError, UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.records import RunFolder, RunRecords
    from orchestrator.report import Pick


TrialName = Annotated[
    str,
    typer.Argument(
        metavar="RUN[/TRIAL]",
        callback=run_named,
        help="A run's name, the path of its folder, or its job's handle; with /NAME, its trial of that name.",
        show_default=False,
    ),
]
Top = Annotated[
    int | None,
    typer.Option("--top", metavar="N", min=1, show_default=False, help="The first N rows alone."),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        show_default=False,
        help="Sort by a column, or by a metric such as val_loss (its value in the best epoch): the best first. With -"
        " before it, the other way round.",
    ),
]


def _split(given: list[str] | None) -> list[str] | None:
    names = [name.strip() for text in given or () for name in text.split(",")]
    return [name for name in names if name] or None


Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns",
        metavar="A,B,...",
        callback=_split,
        show_default=False,
        help="Show these columns alone, in this order: those of the table, metrics, and curve.",
    ),
]


def ls(storage: Storage = RUNS, format: Format = None, output: Output = None) -> None:
    """List the runs: status, trials done, best value."""
    from orchestrator.report import columns_text, run_columns, runs_table
    from orchestrator.report.runs import IMPORTANCE

    where = destination(format, output)
    if not where.on_screen:
        where.write(runs_table(storage))
    elif (found := run_columns(storage))["run"]:
        say(columns_text(found, IMPORTANCE, terminal_width()), nl=False)
    else:
        say(f"no runs in {storage}; orchestrator run FILE starts one", err=True)


def show(run: TrialName, storage: Storage = RUNS) -> None:
    """Summarize a run: its progress, failures and winner; or RUN/TRIAL: one trial, with its curve."""
    from orchestrator.experiment import open_run
    from orchestrator.records import RunFolder, trial_name
    from orchestrator.report import show_lines, trial_lines

    folder, name = RunFolder.find(run, storage)
    records = open_run(folder.path).records
    if name is None:
        say("\n".join(show_lines(records, terminal_width())))
        return
    trial = records.trial(name) or records.trial(name.zfill(len(trial_name(0))))
    if trial is None:
        known = [each.trial for each in records.all_trials]
        raise UnknownNameError(explain(f"trial of {records.name}", "a trial's name", name, known))
    say("\n".join(trial_lines(records, trial, terminal_width())))


def table(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    curves: Annotated[
        bool,
        typer.Option(
            "--curves", help="One row per trial and epoch instead: what simulate reads as --table."
        ),
    ] = False,
    replicates: Annotated[
        bool,
        typer.Option(
            "--replicates", help="Also one row per replicate: the best trained again, by seed."
        ),
    ] = False,
    top: Top = None,
    sort: Sort = None,
    columns: Columns = None,
    storage: Storage = RUNS,
    format: Format = None,
    output: Output = None,
) -> None:
    """Print a run's table: one row per configuration, best first, with its curve; or all epochs of all curves."""
    from orchestrator.experiment import open_run
    from orchestrator.report import Pick, for_people, picked, winner_lines

    where = destination(format, output)
    opened = open_run(run, storage)
    pick = Pick(top, sort, tuple(columns or ()))
    _check_pick(pick, curves, where)
    if curves:
        where.write(opened.curves())
        return
    frame = picked(opened.records, opened.table(replicates), pick)
    for_people_too = where.format == "table"
    where.write(for_people(opened.records, frame, pick.columns) if for_people_too else frame)
    if where.on_screen:
        say("\n".join(["", *winner_lines(opened.records, terminal_width())]))


def _check_pick(pick: Pick, curves: bool, where: Destination) -> None:
    """Raise UnknownNameError for options that do not go together."""
    from orchestrator.report import Pick

    if curves and pick != Pick():
        expected = (
            "expected none of --top, --sort and --columns beside it: it has a row for every epoch"
        )
        raise UnknownNameError(explain("--curves", expected, "one of them"))
    if "curve" in pick.columns and where.format != "table":
        expected = "expected no column curve in a format for programs; --curves has every epoch"
        raise UnknownNameError(explain("--columns", expected, f"curve, --format {where.format}"))


def best(
    run: RunName,
    details: Annotated[
        bool,
        typer.Option(
            "--details",
            help="All that is known of it: each class, the confusion matrix, calibration, BatchNormalization.",
        ),
    ] = False,
    storage: Storage = RUNS,
    format: Format = None,
    output: Output = None,
) -> None:
    """Show a run's winner: scores, hyperparameters, model. With --format, its row of the table."""
    from orchestrator.experiment import open_run
    from orchestrator.report import winner_lines

    where = destination(format, output)
    opened = open_run(run, storage)
    if details:
        _tell_details(opened.records, where.format, output)
    elif format is not None or output is not None:
        where.write(opened.table().head(1 if opened.best else 0))
    else:
        say("\n".join(winner_lines(opened.records, terminal_width())))


def _tell_details(records: RunRecords, format: str, output: Path | None) -> None:
    from orchestrator.report import detail_lines
    from orchestrator.report import details as details_of

    if format not in TEXT_FORMATS or output is not None:
        received = f"--output {output}" if format in TEXT_FORMATS else f"--format {format}"
        expected = "expected --format table or json on stdout, since it is no table"
        raise UnknownNameError(explain("--details", expected, received))
    if format == "json":
        say(json.dumps(details_of(records), indent=2, ensure_ascii=False))
    else:
        say("\n".join(detail_lines(records, terminal_width())))


def rm(
    runs: RunNames,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: Storage = RUNS,
) -> None:
    """Remove runs for good: their folders, and nothing else. A run that is being driven is refused."""
    from orchestrator.records import RunFolder, check_removable, remove_run, see_driver

    found = {str(folder.path): folder for folder in (RunFolder.open(run, storage) for run in runs)}
    for folder in found.values():
        check_removable(folder)
        seen = see_driver(folder)
        if seen is not None and seen.drives:
            process = seen.driver.process
            expected = "expected a run that nobody drives"
            received = f"one that process {process.pid} on {process.host} drives"
            raise RunExistsError(explain(str(folder.path), expected, received))
    for folder in found.values():
        say(f"{folder.path}: {_described(folder)}")
    what = "this run" if len(found) == 1 else f"these {len(found)} runs"
    if not yes and not _agreed(f"Remove {what} for good?"):
        say("nothing was removed", err=True)
        raise typer.Exit(NOT_REMOVED)
    for folder in found.values():
        remove_run(folder)
        say(f"removed {folder.path}")


NOT_REMOVED = 1


def _agreed(question: str) -> bool:
    """Return whether a person said yes. Raises RequestError where nobody can be asked."""
    if not sys.stdin.isatty():
        expected = "expected a terminal to ask on, or --yes"
        raise RequestError(explain("rm", expected, "no terminal"))
    return typer.confirm(question, err=True)


def _described(folder: RunFolder) -> str:
    from orchestrator.records import status_or_damage
    from orchestrator.report.journal_text import size

    status = status_or_damage(folder)
    files = [file for file in folder.path.rglob("*") if file.is_file()]
    trials = "" if status.trials_done is None else f", {status.trials_done} trials"
    bytes_ = sum(file.stat().st_size for file in files)
    return f"{status.state}{trials}, {len(files)} files, {size(bytes_)}"
