"""The commands that compare runs and take something out of them, and those on a run's state and its records."""

from __future__ import annotations

import json
import math
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from orchestrator.cli.options import (
    RUNS,
    Format,
    Inline,
    Output,
    RunName,
    RunNames,
    Storage,
    TextFormat,
)
from orchestrator.cli.output import (
    NO_TRIAL_SUCCEEDED,
    YOU_CAN_FIX_IT,
    check_writable,
    destination,
    say,
    terminal_width,
)

Calibrated = Annotated[
    bool,
    typer.Option(
        "--calibrated",
        help="Probabilities with the temperature that was fitted on the validation rows.",
    ),
]


def compare(
    runs: RunNames, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Compare runs, and the branches of a panda: effort, best value, test score, the leader's margin."""
    from orchestrator.experiment import open_run
    from orchestrator.report import compare_lines, compare_table

    where = destination(format, output)
    opened = [open_run(run, storage).records for run in runs]
    where.write(compare_table(opened))
    lines = compare_lines(opened, terminal_width())
    if lines and where.format == "table" and where.output is None:
        say("\n".join(["", *lines]))


def rounds(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Show how each round's ranges moved and why; --format and --output give a table."""
    from orchestrator.experiment import open_run
    from orchestrator.report import rounds_lines

    where = destination(format, output)
    opened = open_run(run, storage)
    if format is not None or output is not None:
        where.write(opened.rounds())
        return
    say("\n".join(rounds_lines(opened.records, terminal_width())))


def narrow(
    run: RunName,
    storage: Storage = RUNS,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            show_default=False,
            help="Write the space to FILE, for search_space: ./FILE, instead of stdout.",
        ),
    ] = None,
) -> None:
    """Propose the next run's search space as YAML, from the trials of any run of strategy caviar.

    On stderr: which ranges moved, and why.
    """
    from orchestrator.experiment import open_run
    from orchestrator.report import finding_lines

    if output is not None:
        check_writable(output, "--output")
    proposed = open_run(run, storage).narrow()
    say("\n".join(finding_lines(proposed.findings, terminal_width())), err=True)
    if output is None:
        say(proposed.yaml.rstrip("\n"))
        return
    output.write_text(proposed.yaml, encoding="utf-8")
    say(f"wrote {output}. Use it as search_space: {output}", err=True)


def export(
    run: RunName,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FILE",
            show_default=False,
            help="The file to write: .keras, .tflite, .onnx, .pt2, .weights.h5, or a folder for a SavedModel.",
        ),
    ],
    force: Annotated[bool, typer.Option("--force", help="Overwrite FILE.")] = False,
    calibrated: Calibrated = False,
    storage: Storage = RUNS,
) -> None:
    """Write a run's winner, which takes raw rows, in the format of FILE's ending, and describe its inputs.

    The file is loaded again and has to answer as the run's own model does on 100 rows; otherwise none is left.
    """
    from orchestrator.experiment import open_run

    done = open_run(run, storage).export(to, overwrite=force, calibrated=calibrated)
    say(
        "\n".join(
            line
            for text in (f"wrote {done.path}", *done.lines)
            for line in textwrap.wrap(text, terminal_width(), break_long_words=False)
        )
    )


def predict(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    rows: Annotated[
        str,
        typer.Argument(
            metavar="ROWS",
            show_default=False,
            help="A .csv, .parquet, .npz or .npy file, an image, a folder of images, or a function"
            " (./load.py:new), in the form that the run was trained on.",
        ),
    ],
    calibrated: Calibrated = False,
    storage: Storage = RUNS,
    format: Format = None,
    output: Output = None,
) -> None:
    """Predict with a run's winner: a class with probabilities, labels or quantities for each row."""
    from orchestrator.experiment import open_run

    where = destination(format, output)
    where.write(open_run(run, storage).predict(rows, calibrated=calibrated))


def status(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Names of runs, paths of their folders, or handles of jobs. Default: all runs.",
            show_default=False,
        ),
    ] = None,
    storage: Storage = RUNS,
    format: TextFormat = "table",
) -> None:
    """Show whether a run is running, paused, interrupted, finished or stuck, since when, and its progress.

    For a job (slurm://421), also show its target's state.
    """
    from orchestrator.records import run_names

    handles = [run for run in runs or () if "://" in run]
    if handles:
        _tell_jobs(handles, format)
    named = [run for run in runs or () if "://" not in run]
    if named or not handles:
        _tell_runs(named or run_names(storage), storage, format, alone=len(named) == 1)


def _tell_jobs(handles: list[str], format: str) -> None:
    from orchestrator.cli.submit import job_facts, status_lines
    from orchestrator.experiment import submission

    for found in map(submission.status, handles):
        if format == "json":
            say(json.dumps(job_facts(found), indent=2, ensure_ascii=False))
        else:
            say("\n".join(status_lines(found)))


def _tell_runs(runs: list[str], storage: Path, format: str, alone: bool) -> None:
    from orchestrator.records import RunFolder, status_or_damage
    from orchestrator.report.status_text import next_step, said_name, status_lines, status_table

    found = [status_or_damage(RunFolder.open(run, storage)) for run in runs]
    names = [said_name(each.folder, str(storage)) for each in found]
    if format == "json":
        facts = [
            asdict(each) | {"next": next_step(each, name)}
            for each, name in zip(found, names, strict=True)
        ]
        say(json.dumps(facts[0] if alone else facts, indent=2, ensure_ascii=False))
    elif alone:
        say("\n".join(status_lines(found[0], names[0], terminal_width())))
    elif found:
        say("\n".join(status_table(found)))
    else:
        say(f"no runs in {storage}; orchestrator run FILE starts one", err=True)


def watch(
    run: RunName, storage: Storage = RUNS, format: Format = None, output: Output = None
) -> None:
    """Watch a run that another process drives: another terminal, a Slurm job, a shared disk.

    Ctrl-C stops watching, not the run. When no driver is left, prints table and winner.
    """
    from orchestrator.cli.run import conclude
    from orchestrator.experiment.run import watch as look_on

    where = destination(format, output)
    conclude(look_on(run, storage), where)


def repair(run: RunName, storage: Storage = RUNS) -> None:
    """Move damaged lines of a run's records aside, so that the rest can be read and resume can continue."""
    from orchestrator.experiment.resume import repair_run
    from orchestrator.report.status_text import said_name

    repaired = repair_run(run, storage)
    name = said_name(str(repaired.folder.path), str(storage))
    for file, moved in repaired.moved.items():
        say(f"{file}: {len(moved)} of {repaired.lines[file]} lines moved to {file}.damaged")
        for number, why in moved.items():
            say(f"  line {number}: {why}")
    if repaired.moved:
        say(f"next: orchestrator resume {name} trains what is missing")
    else:
        say(f"{name}: no line of its records is damaged; nothing was changed")


def audit(  # noqa: PLR0913 (a command's parameters are its flags)
    run: RunName,
    share: Annotated[
        str, typer.Option("--share", metavar="SHARE", help="How much of the recorded epochs.")
    ] = "2 %",
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", help="Which trials: another seed, others.")
    ] = 0,
    inline: Inline = False,
    storage: Storage = RUNS,
    format: TextFormat = "table",
) -> None:
    """Train a random share of a run's recorded epochs again, and say whether its records are true.

    Exit code 1 if they are not, 2 if that cannot be told: its data or code changed.
    """
    from orchestrator.catalog import printed_aside
    from orchestrator.experiment.audit import audit as audit_run
    from orchestrator.experiment.audit import audit_lines

    with printed_aside():
        found = audit_run(
            run, share, seed=seed, executor="inline" if inline else None, storage=storage
        )
    if format == "json":
        facts = asdict(found) | {"differing": found.differing}
        facts["differences"] = [_said_values(each) for each in facts["differences"]]
        say(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        lines = (
            textwrap.fill(line, terminal_width(), subsequent_indent="    ")
            for line in audit_lines(found)
        )
        say("\n".join(lines))
    code = {"true": 0, "false": NO_TRIAL_SUCCEEDED, "unknown": YOU_CAN_FIX_IT}[found.verdict]
    if code:
        raise typer.Exit(code)


def _said_values(difference: dict[str, Any]) -> dict[str, Any]:
    """Return it with a text in place of a value that JSON has no number for."""
    return {
        key: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in difference.items()
    }
