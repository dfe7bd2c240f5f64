"""The commands that judge a run: what mattered, what stands out, its report, and whether it is still right later."""

from __future__ import annotations

import json
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from orchestrator.cli.options import (
    RUNS,
    Address,
    Format,
    Inline,
    Output,
    RunName,
    RunNames,
    Storage,
    TextFormat,
    run_by,
)
from orchestrator.cli.output import check_writable, destination, say, terminal_width
from orchestrator.errors import PlaceError, explain

if TYPE_CHECKING:
    from orchestrator.records import RunRecords


def importance(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show which hyperparameters mattered, with intervals, beside the usual order of importance.

    --format json prints all of it; --output and the other formats give the table.
    """
    from orchestrator.experiment import open_run
    from orchestrator.report import importance_lines, importance_table

    where = destination(format, output)
    found = open_run(run, storage).importance()
    if where.format == "json" and output is None:
        say(json.dumps(found.to_plain(), indent=2, ensure_ascii=False))
    elif format in (None, "table") and output is None:
        say("\n".join(importance_lines(found, terminal_width())))
    else:
        where.write(importance_table(found))


def diagnose(run: RunName, storage: Storage = RUNS, format: TextFormat = "table") -> None:
    """Say what stands out in a run, such as curves that still rise, and what to type next."""
    from orchestrator.experiment import open_run
    from orchestrator.report import diagnosis_lines

    opened = open_run(run, storage)
    found = opened.diagnose()
    if format == "json":
        facts = {"run": opened.name, "findings": [finding.to_plain() for finding in found]}
        say(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        say("\n".join(diagnosis_lines(found, terminal_width())))


Figures = Annotated[
    Path | None,
    typer.Option(
        "--figures",
        metavar="DIR",
        show_default=False,
        help="Write each figure as SVG and PNG into this folder too, for papers and slides; needs Matplotlib.",
    ),
]


Examples = Annotated[
    bool,
    typer.Option(
        "--examples/--no-examples",
        help="With the rows that the winner gets most wrong, where the run kept any (data.example_rows).",
    ),
]


def report(  # noqa: PLR0913 (a command's parameters are its flags)
    runs: RunNames,
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="Write it to FILE. Default: report.html in the run's folder; of several runs,"
            " comparison.html here.",
        ),
    ] = None,
    figures: Figures = None,
    examples: Examples = True,
    storage: Storage = RUNS,
) -> None:
    """Write a run's figures and tables, or several runs' beside each other, as one HTML file that needs no network.

    Each run writes one when it ends; this one also says which hyperparameters mattered, which takes seconds.
    """
    from orchestrator.experiment import open_run
    from orchestrator.report import write_report

    if output is not None:
        check_writable(output, "--output")
    opened = [open_run(run, storage).records for run in runs]
    if figures is not None:
        _write_figures(opened, figures)
    default = opened[0].folder.report_file if len(opened) == 1 else Path("comparison.html")
    file = output or default
    write_report(opened, file, thorough=True, examples=examples)
    say(f"wrote {file}")
    if open_ and not webbrowser.open(file.absolute().as_uri()):
        say("no browser was found here: open the file in one", err=True)


def card(
    run: RunName,
    licence: Annotated[
        str | None,
        typer.Option(
            "--licence", metavar="TEXT", show_default=False, help="In place of the experiment's."
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.md", show_default=False, help="Write it to FILE.md."
        ),
    ] = None,
    storage: Storage = RUNS,
) -> None:
    """Write the winner's model card as Markdown: data, search, scores, calibration, limits, and how to use it."""
    from orchestrator.experiment import open_run

    if output is not None:
        check_writable(output, "--output")
        if output.exists() and output.suffix.lower() != ".md":
            expected = "expected a new file, or an older one to replace that ends in .md"
            raise PlaceError(explain("--output", expected, str(output)))
    text = open_run(run, storage).card(licence)
    if output is None:
        say(text.rstrip("\n"))
        return
    output.write_text(text, encoding="utf-8")
    say(f"wrote {output}", err=True)


def _write_figures(runs: Sequence[RunRecords], folder: Path) -> None:
    from orchestrator.report import write_figures

    try:
        files = write_figures(runs, folder)
    except OSError as error:
        expected = "expected a folder that can be written"
        raise PlaceError(explain("--figures", expected, f"{folder}: {error.strerror}")) from None
    names = ", ".join(dict.fromkeys(file.stem for file in files))
    say(
        f"wrote {len(files)} files into {folder}: {names}"
        if files
        else "there is nothing to draw yet"
    )


def diff(
    first: RunName,
    second: RunName,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    storage: Storage = RUNS,
    format: TextFormat = "table",
) -> None:
    """Show what differs between two runs: their files and code, data, versions and results, paired by seeds."""
    from orchestrator.experiment import open_run
    from orchestrator.report import difference_lines, differences_of

    found = differences_of(*(open_run(run, storage).records for run in (first, second)))
    if as_json or format == "json":
        say(json.dumps(found.to_plain(), indent=2, ensure_ascii=False, default=str))
    else:
        say("\n".join(difference_lines(found, terminal_width())))


NEW_DATA = "Today's data, as data.source has them: ./new.csv, ./load.py:new. Default: the run's own source, read again."


Data = Annotated[
    str | None, typer.Option("--data", metavar="NEW", show_default=False, help=NEW_DATA)
]
Act = Annotated[
    bool, typer.Option("--act", help="If the decision is retune, start the narrow search.")
]
Seeds = Annotated[
    int,
    typer.Option(
        "--seeds",
        metavar="K",
        help="With how many seeds a configuration is trained; one that may yet win gets more.",
    ),
]

ExitZero = Annotated[
    bool,
    typer.Option(
        "--exit-zero",
        help="Exit 0 whatever is decided, for schedulers that try again what ends with another code.",
    ),
]


def reevaluate(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    data: Data = None,
    act: Act = False,
    seeds: Seeds = 5,
    exit_zero: ExitZero = False,
    storage: Storage = RUNS,
    inline: Inline = False,
    address: Address = None,
    format: TextFormat = "table",
) -> None:
    """Decide whether a run's winner is still right today: keep it, retune it, or search again.

    Retrains the winner, its neighbours and the defaults on today's data with fresh seeds, and compares the data with
    those of then. Exit codes: 0 keep, 10 retune, 11 search again, 2 an error that you can fix, 130 interrupted.
    """
    from orchestrator.catalog import printed_aside
    from orchestrator.experiment import reevaluate as reevaluate_run
    from orchestrator.report import reevaluation_lines

    with printed_aside():
        done = reevaluate_run(
            run,
            act=act,
            seeds=seeds,
            storage=storage,
            executor=run_by(inline, address),
            **({} if data is None else {"data": data}),  # type: ignore[arg-type]
        )
    if format == "json":
        say(json.dumps(done.record, ensure_ascii=False, default=str))
    else:
        say("\n".join(reevaluation_lines(done.record, terminal_width())))
    raise typer.Exit(0 if exit_zero else done.exit_code)


def history(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show what became of a run since: each re-evaluation with its scores and findings, and their trend."""
    from orchestrator.experiment import open_run
    from orchestrator.report import (
        HISTORY_IMPORTANCE,
        columns_text,
        history_columns,
        history_lines,
        history_table,
    )

    where = destination(format, output)
    records = open_run(run, storage).records
    if not where.on_screen:
        where.write(history_table(records))
        return
    columns = history_columns(records)
    if columns["number"]:
        say(columns_text(columns, HISTORY_IMPORTANCE, terminal_width()), nl=False)
    say("\n".join(history_lines(records, terminal_width())))
