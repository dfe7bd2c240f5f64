"""The commands that say why a run came out as it did."""

from __future__ import annotations

import json

from orchestrator.cli.options import RUNS, Format, Output, RunName, Storage, TextFormat
from orchestrator.cli.output import destination, say, terminal_width


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
