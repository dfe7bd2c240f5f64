"""The options and arguments that several commands share, each described once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from orchestrator.errors import PlaceError, UnknownNameError, explain
from orchestrator.paths import written_out

FORMATS = ("table", "csv", "json", "jsonl", "markdown", "latex", "parquet")
RUNS = Path("runs")


def _known_format(format: str | None) -> str | None:
    """Refuse an unknown format before anything else is done (say, a run of an hour)."""
    if format is not None and format not in FORMATS:
        raise UnknownNameError(explain("--format", "expected a table format", format, FORMATS))
    return format


ExperimentFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="The experiment file.", show_default=False)
]


def run_named(reference: str) -> str:
    """Return a run's reference, a job's handle (slurm://421) as the folder of its run."""
    if "://" not in reference:
        return reference
    from orchestrator.experiment.submission import run_of

    return run_of(reference)


RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        callback=run_named,
        help="A run's name, the path of its folder, or its job's handle.",
        show_default=False,
    ),
]
RunNames = Annotated[
    list[str],
    typer.Argument(
        metavar="RUN...",
        callback=lambda runs: [run_named(run) for run in runs],
        help="Names of runs, paths of their folders, or handles of their jobs.",
        show_default=False,
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        callback=_known_format,
        show_default=False,
        help="table, csv, json, jsonl, markdown, latex or parquet. Default: from the ending of --output,"
        " otherwise table.",
    ),
]
TEXT_FORMATS = ("table", "json")


def _known_text_format(format: str) -> str:
    if format not in TEXT_FORMATS:
        raise UnknownNameError(explain("--format", "expected a format", format, TEXT_FORMATS))
    return format


# Of what is no table: sentences for people, JSON for programs.
TextFormat = Annotated[
    str,
    typer.Option(
        "--format", "-f", metavar="FORMAT", callback=_known_text_format, help="table or json."
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        show_default=False,
        help="Write the table to FILE instead of stdout.",
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        show_default=False,
        help="Override a key of the experiment: --set epochs=9 --set caviar.num_samples=8.",
    ),
]


def _joined(address: str | None) -> str | None:
    """Let Ray, and all that asks where it is, know the cluster that was named."""
    if address is not None:
        os.environ["RAY_ADDRESS"] = address
    return address


Address = Annotated[
    str | None,
    typer.Option(
        "--address",
        metavar="HOST:PORT",
        callback=_joined,
        show_default=False,
        help="Join this Ray cluster instead of starting one here; the same as RAY_ADDRESS.",
    ),
]


def run_by(inline: bool, address: str | None = None) -> Literal["tune", "inline"]:
    """Return what runs the trials; there is one place for them."""
    if inline and address is not None:
        expected = "expected no --address beside it: its trials run in this process, without Ray"
        raise PlaceError(explain("--inline", expected, f"--address {address}"))
    return "inline" if inline else "tune"


Inline = Annotated[
    bool,
    typer.Option(
        "--inline",
        help="Run one trial after another in this process, without Ray: print() and breakpoint()"
        " in your model reach this terminal.",
    ),
]


def _written_out(storage: Path) -> Path:
    try:
        return Path(written_out(str(storage)))
    except KeyError as absent:
        expected = f"expected a path of which all is known here ({absent.args[0]} is not)"
        raise PlaceError(explain("--storage", expected, str(storage))) from None


Storage = Annotated[
    Path,
    typer.Option(
        "--storage",
        metavar="FOLDER",
        callback=_written_out,
        help="The folder that contains the runs.",
    ),
]
