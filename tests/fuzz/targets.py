"""What the fuzzer calls: bytes in, a value or a refusal out; anything else is a crasher."""

from __future__ import annotations

import contextlib
import shutil
import warnings
from pathlib import Path

from orchestrator.domains import Space
from orchestrator.domains.parse import parse_domain
from orchestrator.errors import ExperimentFileError, OrchestratorError, RecordWarning
from orchestrator.records import RunFolder, read_lines, read_run
from orchestrator.report import journal_lines, show_lines, trials_table

PARTS = ("experiment.yaml", "manifest.json", "trials.jsonl", "epochs.jsonl", "events.jsonl", "journal.jsonl",
         "requests/1.json")  # fmt: skip
BETWEEN = b"\n====\n"


def records(content: bytes, folder: Path) -> None:
    """Read a run whose files are the parts of ``content``, and all that follows from them."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "requests").mkdir(parents=True)
    for part, text in zip(PARTS, content.split(BETWEEN), strict=False):
        (folder / part).write_bytes(text)
    with warnings.catch_warnings(), contextlib.suppress(OrchestratorError):
        warnings.simplefilter("ignore", RecordWarning)
        RunFolder.open(folder)
        with contextlib.suppress(OrchestratorError):
            read_lines(folder / "epochs.jsonl")
        ask_everything(folder)


def ask_everything(folder: Path) -> None:
    """Ask a run all that its tables, views and resumption ask."""
    run = read_run(folder)
    assert isinstance(run.status, str) and run.seconds == run.seconds
    assert len(run.ranked) == len(run.trials)
    assert run.winner is None or run.winner["trial"]
    for trial in run.trials:
        told = run.of(trial.trial)
        _ = told.epochs, told.own_epochs, told.abandoned_epochs
        _ = told.days, told.abandoned_days, told.journal
        _ = told.current_hyperparameters, told.unanswered, told.best
    assert run.space is None or run.space.names is not None
    assert run.metric and run.mode and run.name
    show_lines(run), trials_table(run), journal_lines(run, None, 80)


def spaces(content: bytes, folder: Path) -> None:
    """Read a short form, and a space in YAML."""
    from orchestrator.config.document import parse_value

    text = content.decode("utf-8", "replace")
    with contextlib.suppress(ExperimentFileError):
        domain = parse_domain("x", text)
        assert domain.contains(domain.from_unit(0.3))
    with contextlib.suppress(ExperimentFileError):
        document, _ = parse_value(text, "space.yaml")
        space = Space.parse(document)
        assert Space.parse(space.to_document()) == space
        space.edges(space.draw(0, 0))


TARGETS = {"records": records, "spaces": spaces}
