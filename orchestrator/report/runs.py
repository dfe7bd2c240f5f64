"""The runs of a folder, one a row: what ``orchestrator ls`` shows without loading pandas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.errors import RecordError
from orchestrator.records import read_run, run_names
from orchestrator.report.formatting import minute

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("run", "status", "strategy", "trials_done", "trials", "metric", "best", "started")
IMPORTANCE = tuple(name for name in COLUMNS if name != "metric")
"""Which of them to keep first where a terminal is too narrow."""


def run_columns(storage: str | Path) -> dict[str, list[Any]]:
    """Return the columns of ``runs_table``, without pandas."""
    rows = [_listed(Path(storage) / name) for name in run_names(storage)]
    return {name: [row.get(name) for row in rows] for name in COLUMNS}


def runs_table(storage: str | Path) -> pd.DataFrame:
    """Return one row a run below ``storage``; one whose records are damaged says so."""
    from orchestrator.report.tables import to_frame

    frame = to_frame(run_columns(storage))
    frame.attrs["importance"] = list(IMPORTANCE)
    return frame


def _listed(path: Path) -> dict[str, Any]:
    try:
        records = read_run(path)
    except RecordError:
        return {"run": path.name, "status": "damaged"}
    best = next((records.of(trial.trial).best for trial in records.contenders), None)
    started = [event["time"] for event in records.events if event["event"] == "run_started"]
    return {
        "run": records.name,
        "status": records.status,
        "strategy": records.experiment.get("strategy"),
        "trials_done": records.state.done,
        "trials": records.planned_trials,
        "metric": records.metric,
        "best": best.value if best else None,
        "started": minute(started[0]) if started else None,
    }
