"""The commands for a model in training."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orchestrator.cli.options import RUNS, Format, Output, Storage, run_named
from orchestrator.cli.output import destination, say, terminal_width
from orchestrator.cli.submit import stop_job
from orchestrator.errors import RequestError, explain

if TYPE_CHECKING:
    from orchestrator.control import Panda
    from orchestrator.records import Request


SHORT_SECONDS = 2.0
"""A wait of at most this long is not announced."""
PandaName = Annotated[
    str,
    typer.Argument(
        metavar="RUN[/TRIAL]",
        callback=run_named,
        help="A run's name, the path of its folder, or its job's handle; with /NAME, its branch of"
        " that name.",
        show_default=False,
    ),
]
PandaOrJob = Annotated[
    str,
    typer.Argument(
        metavar="RUN[/TRIAL]|HANDLE",
        help="A panda, or a job's handle (slurm://421).",
        show_default=False,
    ),
]
Values = Annotated[
    list[str], typer.Argument(metavar="NAME=VALUE...", help="The new values.", show_default=False)
]
Why = Annotated[
    str | None,
    typer.Option(
        "--why", metavar="TEXT", show_default=False, help="A reason, kept in the journal."
    ),
]
AtDay = Annotated[
    int | None,
    typer.Option("--at-day", metavar="N", show_default=False, help="Apply it when day N begins."),
]
NoWait = Annotated[
    bool,
    typer.Option(
        "--no-wait", help="Return at once instead of waiting (up to an epoch) for the outcome."
    ),
]
Force = Annotated[
    bool, typer.Option("--force", help="Allow values outside the search space, with a warning.")
]


def set_(  # noqa: PLR0913 (a command's parameters are its flags)
    run: PandaName,
    values: Values,
    why: Why = None,
    at_day: AtDay = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(
            "--expect",
            metavar="NAME=VALUE",
            show_default=False,
            help="Refuse if the current value differs, now or when the change is applied.",
        ),
    ] = None,
    force: Force = False,
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """Change hyperparameters between two epochs: set RUN learning_rate=0.01 --why "it bounces"."""
    changes = _assignments(values, "set")
    believed = _assignments(expect or (), "--expect")
    _ask(run, storage, no_wait, lambda panda: panda.set(changes, why, at_day, believed, force))


def pause(
    run: PandaName,
    why: Why = None,
    at_day: AtDay = None,
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """Pause after the current epoch until `continue`."""
    _ask(run, storage, no_wait, lambda panda: panda.pause(why, at_day))


def continue_(
    run: PandaName, why: Why = None, no_wait: NoWait = False, storage: Storage = RUNS
) -> None:
    """Continue after a pause."""
    _ask(run, storage, no_wait, lambda panda: panda.continue_(why))


def rollback(  # noqa: PLR0913
    run: PandaName,
    to_day: Annotated[
        int | None,
        typer.Option(
            "--to-day",
            metavar="N",
            show_default=False,
            help="Return to the end of this day; 0 is the start.",
        ),
    ] = None,
    to_epoch: Annotated[
        int | None,
        typer.Option(
            "--to-epoch",
            metavar="N",
            show_default=False,
            help="Return to this epoch; it must end a day.",
        ),
    ] = None,
    why: Why = None,
    at_day: AtDay = None,
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """Return to the end of an earlier day: weights, optimizer, random state, hyperparameters."""
    _ask(run, storage, no_wait, lambda panda: panda.rollback(to_day, to_epoch, why, at_day))


def branch(  # noqa: PLR0913
    run: PandaName,
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", show_default=False, help="The branch's name.")
    ],
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", show_default=False, help="A new value for the branch."
        ),
    ] = None,
    at_day: Annotated[
        int | None,
        typer.Option(
            "--at-day",
            metavar="N",
            show_default=False,
            help="Branch from the end of day N, not of the latest day.",
        ),
    ] = None,
    why: Why = None,
    force: Force = False,
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """Train a second model from a day's end, with other values, beside the first."""
    changes = _assignments(values or (), "--set")
    _ask(run, storage, no_wait, lambda panda: panda.branch(name, changes, at_day, why, force))


def note(
    run: PandaName,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="The sentence.")],
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """Add a sentence to the journal."""
    _ask(run, storage, no_wait, lambda panda: panda.note(text))


def stop(
    run: PandaOrJob,
    why: Why = None,
    at_day: AtDay = None,
    no_wait: NoWait = False,
    storage: Storage = RUNS,
) -> None:
    """End a panda now and keep its model; or interrupt a job, which can be continued."""
    if "://" in run:
        stop_job(run, {"--why": why, "--at-day": at_day})
        return
    _ask(run, storage, no_wait, lambda panda: panda.stop(why, at_day))


def journal(
    run: PandaName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show requests, actions and their effects; --format and --output give a table."""
    from orchestrator.control import open_panda
    from orchestrator.experiment import Run
    from orchestrator.report import journal_lines

    where = destination(format, output)
    panda = open_panda(run, storage)
    opened = Run(panda.folder)
    if format is not None or output is not None:
        where.write(opened.journal(panda.trial))
        return
    lines = journal_lines(opened.records, panda.trial, terminal_width())
    say("\n".join(lines or ["the journal is empty"]))


def days(
    run: PandaName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show one row per day: metrics, change since the day before, hyperparameters, actions."""
    from orchestrator.control import open_panda
    from orchestrator.control.requests import babysat_trial
    from orchestrator.experiment import Run
    from orchestrator.report import checkpoints_line

    where = destination(format, output)
    panda = open_panda(run, storage)
    opened = Run(panda.folder)
    trial = babysat_trial(opened.records, panda.trial).trial
    where.write(opened.days(trial))
    if where.format == "table" and where.output is None:
        say(f"\n{checkpoints_line(opened.records, trial)}")


def _ask(run: str, storage: Path, no_wait: bool, request: Callable[[Panda], Request]) -> None:
    """Put a request down and say so; what was allowed by force is a warning."""
    from orchestrator.control import open_panda
    from orchestrator.control.hyperparameter_changes import OutOfRangeWarning
    from orchestrator.report import describe_request

    panda = open_panda(run, storage)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", OutOfRangeWarning)
        asked = request(panda)
    for warning in caught:
        if issubclass(warning.category, OutOfRangeWarning):  # others were shown when it was opened
            say(f"warning: {warning.message}", err=True)
    entry = {"action": asked.action, "arguments": asked.arguments}
    when = f" at day {asked.at_day}" if asked.at_day is not None else ""
    say(f"asked trial {asked.trial}: {describe_request(entry)}{when}")
    if storage != RUNS:  # so that the command can be pasted
        run = str(panda.folder.path)
    _tell_answer(panda, asked, run, no_wait)


def _tell_answer(panda: Panda, asked: Request, run: str, no_wait: bool) -> None:
    """Say what became of a request, or where that will be said. Raises RequestError where it is refused."""
    from orchestrator.control.requests import due_seconds
    from orchestrator.records import read_run
    from orchestrator.report import describe_action

    records = read_run(panda.folder.path)
    if records.status == "interrupted":
        say(f"the run is interrupted; 'orchestrator resume {run}' continues it", err=True)
        return
    seconds = 0.0 if no_wait else due_seconds(records, asked)
    looks = seconds > 0 or (
        records.status == "finished" and not no_wait
    )  # it may have ended meanwhile
    answer = panda.answer(asked, min(seconds, SHORT_SECONDS)) if looks else None
    if answer is None and seconds > SHORT_SECONDS:
        up_to = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} minutes"
        say(
            f"waiting for the epoch to end, up to {up_to} (after Ctrl-C the request still stands)",
            err=True,
        )
        answer = panda.answer(asked, seconds - SHORT_SECONDS)
    if answer is None:
        say(f"to see the outcome: orchestrator journal {run}")
    else:
        say(f"done after epoch {answer['epoch']}: {describe_action(answer)}")


def _assignments(texts: Iterable[str], where: str) -> dict[str, Any]:
    """Return ``name=value`` pairs, the values read as YAML. Raises RequestError for what is none."""
    from orchestrator.config.document import parse_value

    found: dict[str, Any] = {}
    for text in texts:
        name, equals, written = text.partition("=")
        if not equals or not name.strip() or not written.strip():
            raise RequestError(explain(where, "expected name=value", text))
        if name.strip() in found:
            raise RequestError(f"{where}: expected each name once. Received: {name.strip()} twice.")
        found[name.strip()], _ = parse_value(written, f"{where} {text}")
    return found
