"""A finished run made longer."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.destination import destination
from orchestrator.cli.options import (
    RUNS,
    Format,
    Inline,
    Output,
    Overrides,
    RunName,
    Storage,
    run_by,
)
from orchestrator.cli.running import conclude

NumSamples = Annotated[
    str | None,
    typer.Option(
        "--num-samples",
        metavar="+N|N",
        show_default=False,
        help="Trials on top of those there are (+64), or in all (128): the seed's next draws.",
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        "--epochs",
        metavar="+N|N",
        show_default=False,
        help="Epochs on top, or in all: trials that came to the last epoch go on.",
    ),
]
SchedulerForm = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="FORM",
        show_default=False,
        help="Who decides from now on: asha, ./mine.py:Mine, or with options '{asha: {reduction_factor: 4}}'.",
    ),
]
Days = Annotated[
    str | None,
    typer.Option(
        "--days", metavar="+N|N", show_default=False, help="A panda's days, on top or in all."
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Train also what cannot be compared with the trials there are: as a group apart.",
    ),
]


def extend(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    num_samples: NumSamples = None,
    epochs: Epochs = None,
    scheduler: SchedulerForm = None,
    days: Days = None,
    overrides: Overrides = None,
    force: Force = False,
    storage: Storage = RUNS,
    inline: Inline = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Make a finished run longer: more trials, epochs or days, with all of its history."""
    from orchestrator.catalog import printed_aside
    from orchestrator.experiment import extend as extend_run

    where = destination(format, output)
    with printed_aside():
        ended = extend_run(
            run,
            overrides or (),
            force=force,
            storage=storage,
            executor=run_by(inline),
            num_samples=num_samples,
            epochs=epochs,
            scheduler=scheduler,
            days=days,
        )
    conclude(ended, where)
