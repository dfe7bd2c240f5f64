"""After a run: list, show, compare and export what is on disk."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.destination import destination, terminal_width
from orchestrator.cli.options import RUNS, Format, Output, RunName, RunNames, Storage
from orchestrator.cli.say import say


def ls(storage: Storage = RUNS, format: Format = None, output: Output = None) -> None:
    """List the runs: status, trials done, best value."""
    from orchestrator.report import runs_table

    where = destination(format, output)
    frame = runs_table(storage)
    if len(frame) or not where.for_people or where.output:
        where.write(frame)
    else:
        say(f"no runs in {storage}; orchestrator run FILE makes one", err=True)


def show(run: RunName, storage: Storage = RUNS) -> None:
    """Show a run at a glance: how far it came, what failed, who won."""
    from orchestrator.experiment import open_run
    from orchestrator.report import show_lines

    say("\n".join(show_lines(open_run(run, storage).records, terminal_width())))


def table(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Print a run's table: one row a trial, best first."""
    from orchestrator.experiment import open_run
    from orchestrator.report import winner_lines

    where = destination(format, output)
    opened = open_run(run, storage)
    where.write(opened.table())
    if where.format == "table" and where.output is None:
        say("\n".join(["", *winner_lines(opened.records, terminal_width())]))


def best(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show a run's winner: scores, hyperparameters, model. With --format, its row of the table."""
    from orchestrator.experiment import open_run
    from orchestrator.report import winner_lines

    where = destination(format, output)
    opened = open_run(run, storage)
    if format is not None or output is not None:
        where.write(opened.table().head(1 if opened.best else 0))
        return
    say("\n".join(winner_lines(opened.records, terminal_width())))


def compare(
    runs: RunNames, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Compare runs, a panda's branches too: effort, best, test score, and by how much one leads."""
    from orchestrator.experiment import open_run
    from orchestrator.report import compare_lines, compare_table

    where = destination(format, output)
    opened = [open_run(run, storage).records for run in runs]
    where.write(compare_table(opened))
    lines = compare_lines(opened, terminal_width())
    if lines and where.format == "table" and where.output is None:
        say("\n".join(["", *lines]))


def export(
    run: RunName,
    to: Annotated[
        Path, typer.Option("--to", metavar="FILE.keras", show_default=False, help="Where to.")
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    storage: Storage = RUNS,
) -> None:
    """Copy a run's winner, a Keras model that takes raw rows, to a file, and say what it takes.

    A model that Keras could not save is copied as weights, to FILE.weights.h5.
    """
    from orchestrator.experiment import export_model, open_run
    from orchestrator.experiment.export import export_lines

    opened = open_run(run, storage)
    export_model(opened, to, overwrite=force)
    said = [f"wrote {to}", *export_lines(opened, to)]
    say(
        "\n".join(
            line
            for text in said
            for line in textwrap.wrap(text, terminal_width(), break_long_words=False)
        )
    )


def predict(
    run: RunName,
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS",
            show_default=False,
            help="A .csv, .parquet, .npz or .npy file, a picture, a folder of pictures, or a"
            " function (./load.py:new), as the run was trained on.",
        ),
    ],
    storage: Storage = RUNS,
    format: Format = None,
    output: Output = None,
) -> None:
    """Ask a run's winner about rows: class and probabilities, flags or quantities, one row each."""
    from orchestrator.experiment import open_run

    where = destination(format, output)
    where.write(open_run(run, storage).predict(rows))
