"""Going on from a run: where it was cut off, as a panda, or unattended as a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from orchestrator.cli.destination import destination
from orchestrator.cli.options import RUNS, Address, Format, Inline, Output, RunName, Storage, run_by
from orchestrator.cli.running import conclude
from orchestrator.cli.say import say

Recipe = Annotated[
    Path | None, typer.Option("--to", help="The file to write; named after the run if left out.")
]


def resume(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    storage: Storage = RUNS,
    inline: Inline = False,
    address: Address = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Go on with a run that was cut off: Ctrl-C, a kill, a reboot."""
    from orchestrator.catalog import printed_aside
    from orchestrator.experiment import resume as resume_run

    where = destination(format, output)
    executor = run_by(inline, address)
    with printed_aside():
        ended = resume_run(run, storage=storage, executor=executor)
    conclude(ended, where)


def promote(run: RunName, storage: Storage = RUNS, to: Recipe = None) -> None:
    """Write the file of a panda that goes on from a trial's weights (RUN or RUN/TRIAL; the best)."""
    from orchestrator.experiment.recipes import promoted, write_recipe

    content = promoted(run, str(storage))
    file = write_recipe(content, to or Path(f"{content['name']}.yaml"))
    say(f"wrote {file}. Run it with: orchestrator run {file}")


def replay(run: RunName, storage: Storage = RUNS, to: Recipe = None) -> None:
    """Write the file that trains anew, unattended, through a babysat run's changes."""
    from orchestrator.experiment.recipes import replayed, write_recipe

    content = replayed(run, str(storage))
    file = write_recipe(content, to or Path(f"{content['name']}.yaml"))
    say(f"wrote {file}. Run it with: orchestrator run {file}")
