"""The tables a run leaves beside its records, for whoever opens the folder without us."""

from __future__ import annotations

from pathlib import Path

from orchestrator.records import RunRecords, write_atomically
from orchestrator.report.render import to_csv
from orchestrator.report.tables import epochs_table, trials_table


def write_csvs(records: RunRecords, folder: Path) -> None:
    """Write ``trials.csv`` (best first) and ``epochs.csv`` into ``folder``."""
    write_atomically(folder / "trials.csv", to_csv(trials_table(records)))
    write_atomically(folder / "epochs.csv", to_csv(epochs_table(records)))
