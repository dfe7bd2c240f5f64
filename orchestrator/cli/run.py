"""The commands that train: run, resume, extend; and those that write a file for a further run: promote, replay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from orchestrator.cli.options import (
    RUNS,
    Address,
    ExperimentFile,
    Format,
    Inline,
    Output,
    Overrides,
    RunName,
    Storage,
    run_by,
)
from orchestrator.cli.output import (
    INTERRUPTED,
    NO_TRIAL_SUCCEEDED,
    Destination,
    destination,
    say,
    stdout_lost,
    terminal_width,
)
from orchestrator.streams import what_stdout_lost

if TYPE_CHECKING:
    from orchestrator.experiment import Run


OrResume = Annotated[
    bool,
    typer.Option(
        "--or-resume",
        help="If the run exists, continue it where it was cut off; if it is finished, do nothing.",
    ),
]
TOP = 10


def run(  # noqa: PLR0913 (a command's parameters are its flags)
    file: ExperimentFile,
    overrides: Overrides = None,
    or_resume: OrResume = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="If a run of that name exists that nobody drives, remove it first."
        ),
    ] = False,
    inline: Inline = False,
    address: Address = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Run an experiment to its table and winner. Ctrl-C stops it; what was done is kept."""
    from orchestrator.experiment.ahead import begun_by_guess

    where = destination(format, output)
    executor = run_by(inline, address)
    with nullcontext() if inline else begun_by_guess(file, overrides or ()):
        from orchestrator.experiment import run as run_experiment

        if or_resume:
            _note_changes(file, overrides or ())
        asked = {"or_resume": or_resume, "overwrite": overwrite, "executor": executor}
        _train(where, run_experiment, file, overrides or (), **asked)


def _note_changes(file: Path, overrides: Sequence[str]) -> None:
    """Say on stderr in which keys the file differs from the run that it continues; that is no error."""
    from orchestrator.experiment import changed_since

    changed = changed_since(file, overrides)
    if changed:
        keys = ", ".join(changed)
        say(
            f"{file} differs from the run's record in: {keys}. The record applies; change a run with:"
            " orchestrator extend",
            err=True,
        )


def _train(where: Destination, by: Callable[..., Run], *given: Any, **asked: Any) -> None:
    """Train, what loaders and builders print kept off stdout, and conclude."""
    from orchestrator.catalog import printed_aside

    with printed_aside():
        ended = by(*given, **asked)
    conclude(ended, where)


def _train_on(
    where: Destination, name: str, run: str, *given: Any, inline: bool, **asked: Any
) -> None:
    """Go on with a run by the function of that name; what workers are forked from begins before all else."""
    from orchestrator.experiment.ahead import begun_by_guess, recorded_in

    file = recorded_in(run, asked["storage"])
    with nullcontext() if inline else begun_by_guess(file, ()):
        from orchestrator import experiment

        _train(where, getattr(experiment, name), run, *given, **asked)


def conclude(ended: Run, where: Destination) -> None:
    """Print the outcome of a run and exit with its code."""
    print_outcome(ended, where)
    lost = what_stdout_lost()
    if lost is not None:  # no reason to call the run a failure
        say(f"warning: {stdout_lost(lost)} See: orchestrator table {ended.path}", err=True)
    if ended.status != "finished":
        raise typer.Exit(INTERRUPTED)
    if ended.given_up or not ended.succeeded:
        raise typer.Exit(NO_TRIAL_SUCCEEDED)


def print_outcome(ended: Run, where: Destination) -> None:
    """Print the table (its best rows where a person reads it), the winner, how it ended."""
    from orchestrator.report import for_people, winner_lines

    frame = ended.table()
    on_screen = where.format == "table" and where.output is None
    if len(frame) or not on_screen:
        where.write(for_people(ended.records, frame.head(TOP)) if on_screen else frame)
    lines = [f"{len(frame) - TOP} more trials: orchestrator table {ended.path}"]
    lines = lines if on_screen and len(frame) > TOP else []
    lines += ["", *winner_lines(ended.records, terminal_width())]
    say("\n".join(lines), err=not where.for_people)
    standing = ended.records.standing
    if standing.state != "finished":
        say(_kept(ended), err=True)
    elif standing.reason:
        say(f"ended early, {standing.reason}", err=True)
    elif not ended.succeeded:
        say(f"no trial succeeded{_why_none(ended)}: orchestrator show {ended.path}", err=True)


def _why_none(ended: Run) -> str:
    """Return the error that all trials failed with, where it is one and the same."""
    from orchestrator.records import shared_error

    trials = ended.records.trials
    error = shared_error(trial.error for trial in trials)
    return f"; each of the {len(trials)} failed with {error}" if error and len(trials) > 1 else ""


def _kept(ended: Run) -> str:
    trials = ended.records.trials
    if not trials:
        return f"interrupted before the first trial; {ended.path} contains only the experiment"
    cut_short = sum(trial.status == "interrupted" for trial in trials)
    return (
        f"interrupted; kept in {ended.path}: {len(ended.records.epochs)} epochs of"
        f" {len(trials)} trials, {cut_short} of them cut short"
    )


Recipe = Annotated[
    Path | None, typer.Option("--to", help="The file to write. Default: named after the run.")
]


def resume(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    storage: Storage = RUNS,
    inline: Inline = False,
    address: Address = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Continue a run that was cut off: Ctrl-C, a kill, a reboot."""
    where = destination(format, output)
    executor = run_by(inline, address)
    _train_on(where, "resume", run, inline=inline, storage=storage, executor=executor)


def retry(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    failed: Annotated[
        bool, typer.Option("--failed/--no-failed", help="The trials that failed.")
    ] = True,
    diverged: Annotated[bool, typer.Option("--diverged", help="Those that diverged, too.")] = False,
    storage: Storage = RUNS,
    inline: Inline = False,
    address: Address = None,
    format: Format = None,
    output: Output = None,
) -> None:
    """Train failed trials again, with the draws and seeds they had, once what ailed them is mended."""
    endings: list[Literal["failed", "diverged"]] = ["failed"] if failed else []
    endings += ["diverged"] if diverged else []
    where = destination(format, output)
    executor = run_by(inline, address)
    _train_on(where, "retry", run, endings, inline=inline, storage=storage, executor=executor)


def promote(run: RunName, storage: Storage = RUNS, to: Recipe = None) -> None:
    """Write a file for a panda that starts from a trial's weights: RUN/TRIAL, or RUN for its best."""
    from orchestrator.experiment.warm_start import promoted, write_recipe

    content = promoted(run, str(storage))
    file = write_recipe(content, to or Path(f"{content['name']}.yaml"))
    say(f"wrote {file}. Run it with: orchestrator run {file}")


def replay(run: RunName, storage: Storage = RUNS, to: Recipe = None) -> None:
    """Write a file that trains again from scratch, unattended, through a babysat run's changes."""
    from orchestrator.experiment.warm_start import replayed, write_recipe

    content = replayed(run, str(storage))
    file = write_recipe(content, to or Path(f"{content['name']}.yaml"))
    say(f"wrote {file}. Run it with: orchestrator run {file}")


NumSamples = Annotated[
    str | None,
    typer.Option(
        "--num-samples",
        metavar="+N|N",
        show_default=False,
        help="Trials to add (+64), or the new total (128). They are the seed's next draws.",
    ),
]
Epochs = Annotated[
    str | None,
    typer.Option(
        "--epochs",
        metavar="+N|N",
        show_default=False,
        help="Epochs to add, or the new total. Trials that reached the last epoch continue.",
    ),
]
SchedulerForm = Annotated[
    str | None,
    typer.Option(
        "--scheduler",
        metavar="FORM",
        show_default=False,
        help="The scheduler from now on: asha, ./mine.py:Mine, or with options '{asha: {reduction_factor: 4}}'.",
    ),
]
Days = Annotated[
    str | None,
    typer.Option(
        "--days",
        metavar="+N|N",
        show_default=False,
        help="Days of a panda to add, or the new total.",
    ),
]
Force = Annotated[
    bool,
    typer.Option(
        "--force",
        help="Train even if the new trials cannot be compared with the old ones, as a separate group.",
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
    """Make a run longer: more trials, epochs or days, with all of its history."""
    where = destination(format, output)
    _train_on(
        where,
        "extend",
        run,
        overrides or (),
        inline=inline,
        force=force,
        storage=storage,
        executor=run_by(inline),
        num_samples=num_samples,
        epochs=epochs,
        scheduler=scheduler,
        days=days,
    )


Top = Annotated[
    str | None,
    typer.Option(
        "--top",
        metavar="N",
        show_default=False,
        help="How many of the best configurations are trained again. Default: 5.",
    ),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        "--seeds",
        metavar="K",
        show_default=False,
        help="How many replicates each has at most. Default: 5.",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        "--budget",
        metavar="SHARE",
        show_default=False,
        help="The most epochs that all replicates train, as a share of the search's: 25%. Default: no limit.",
    ),
]
Confidence = Annotated[
    str | None,
    typer.Option(
        "--confidence",
        metavar="P",
        show_default=False,
        help="The race stops when one is the best with this probability. Default: 0.95.",
    ),
]


def verify(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    top: Top = None,
    seeds: Seeds = None,
    budget: Budget = None,
    confidence: Confidence = None,
    storage: Storage = RUNS,
    inline: Inline = False,
    format: Format = None,
    output: Output = None,
) -> None:
    """Train a finished run's best configurations again with fresh seeds, and choose the winner by those."""
    where = destination(format, output)
    asked: dict[str, Any] = {"top": top, "seeds": seeds, "budget": budget, "confidence": confidence}
    asked |= {"storage": storage, "executor": run_by(inline)}
    _train_on(where, "verify", run, inline=inline, **asked)
