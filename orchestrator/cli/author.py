"""The commands before a run: write an experiment file, preview it, describe its keys, check this machine."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import RUNS, ExperimentFile, Format, Output, Overrides, Storage
from orchestrator.cli.output import check_writable, destination, say, terminal_width

if TYPE_CHECKING:
    from orchestrator.tuning.doctor import Check


def init(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FILE]",
            show_default=False,
            help="The file to write. Default: experiment.yaml, or named after the data.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="DATA",
            show_default=False,
            help="Look at these data and write a file that fits them: table.csv, x.npz, a folder of pictures, digits,"
            " load.py:load.",
        ),
    ] = None,
) -> None:
    """Write an experiment file to start from: a commented one, or one that fits the data it is given."""
    if data is None:
        from orchestrator.config import write_template

        file = file or Path("experiment.yaml")
        write_template(file)
        said = []
    else:
        from orchestrator.config.load import name_of
        from orchestrator.experiment import write_starting_file

        file = file or Path(f"{name_of(Path(data.partition(':')[0].rstrip('/')))}.yaml")
        check_writable(file, "init")
        said = write_starting_file(data, file)
    for sentence in said:
        say("\n".join(textwrap.wrap(sentence, terminal_width(), subsequent_indent="  ")))
    say(f"wrote {file}\n  orchestrator preview {file}\n  orchestrator run {file}")


def preview(
    file: ExperimentFile,
    samples: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", show_default=False, help="Print only a table of N draws."),
    ] = None,
    overrides: Overrides = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Show what a run would do and cost (space, draws, rungs; a panda's days) without running it."""
    from orchestrator.cli.preview_text import preview_text
    from orchestrator.experiment.preview import preview_experiment
    from orchestrator.report import draws_table

    where = destination(format, output)
    seen = preview_experiment(file, overrides or ())
    if samples is None and format is None and output is None:
        say(preview_text(seen, terminal_width()))
    else:
        where.write(draws_table(seen.drawn_from, seen.draws(samples or 10)))


def schema() -> None:
    """Print the JSON Schema of experiment files, for completion and checks in an editor."""
    import json

    from orchestrator.config import experiment_schema

    say(json.dumps(experiment_schema(), indent=2, ensure_ascii=False))


SOMETHING_FAILS = 1


def doctor(
    storage: Storage = RUNS,
    ray: Annotated[
        bool, typer.Option("--ray/--no-ray", help="Start Ray, or join the one at RAY_ADDRESS.")
    ] = False,
) -> None:
    """Check this machine: versions, memory, disk, limits, names, what is left over; with --ray that Ray starts."""
    from orchestrator.tuning.doctor import examine

    failed = False
    for check in examine(storage, with_ray=ray):
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
