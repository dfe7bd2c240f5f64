"""Before a run: write an experiment file, see what it would do, describe its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.destination import destination, terminal_width
from orchestrator.cli.options import ExperimentFile, Format, Output, Overrides
from orchestrator.cli.say import say


def init(
    file: Annotated[Path, typer.Argument(metavar="[FILE]", help="Where to write it.")] = Path(
        "experiment.yaml"
    ),
) -> None:
    """Write a commented experiment file to start from."""
    from orchestrator.config import write_template

    write_template(file)
    say(f"wrote {file}\n  orchestrator preview {file}\n  orchestrator run {file}")


def preview(
    file: ExperimentFile,
    samples: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", show_default=False, help="Print N draws as a table, nothing else."
        ),
    ] = None,
    overrides: Overrides = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Show what a run would do and cost (space, draws, rungs; a panda's days), running nothing."""
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
    """Print the JSON Schema of experiment files, for editors that complete and check them."""
    import json

    from orchestrator.config import experiment_schema

    say(json.dumps(experiment_schema(), indent=2, ensure_ascii=False))
