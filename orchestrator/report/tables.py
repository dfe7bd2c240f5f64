"""Records in, pandas DataFrames out: pure, and with the full precision of the records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.analysis import score_among
from orchestrator.domains import Fixed, Space
from orchestrator.domains.space import companion
from orchestrator.errors import encodable
from orchestrator.records import (
    RunRecords,
    TrialRecord,
    trial_name,
    write_atomically,
)
from orchestrator.report.columns import (
    HEAD,
    OF_COPIES,
    OF_RACE,
    OF_REPLICATES,
    TAIL,
    Row,
    hyperparameter_columns,
    is_copy,
)
from orchestrator.report.formatting import shown_name
from orchestrator.report.race_text import estimates
from orchestrator.report.render import to_csv

if TYPE_CHECKING:
    import pandas as pd


score = score_among
JOB_COLUMNS = ("job", "state", "run", "trials_done", "trials", "best", "submitted", "results")


def trials_table(records: RunRecords, replicates: bool = False) -> pd.DataFrame:
    """Return one row a configuration, best first; failed ones keep their row and say why.

    After a race its configurations come first, with what their ``replicates`` gave, each a row of its own where asked.
    """
    hyperparameters = list(hyperparameter_columns(records))
    several = _several(records, replicates)
    frame = to_frame(trial_columns(records, replicates))
    first = [name for name, _ in hyperparameters if not name.startswith("1-")]
    frame.attrs["importance"] = [
        *("trial", *(name for name in ("group", "round", *OF_REPLICATES) if several[name])),
        *(("race", f"mean_{records.metric}", "sd", "replicates") if several["race"] else ()),
        *(() if several["race"] else ("status",)),
        *(f"best_{records.metric}", "best_epoch"),
        *first[:4],
        *("low", "high", "status"),
        *("error", "at_edge", "epochs", "stopped_by"),
        *first[4:],
    ]
    return frame


def trial_columns(records: RunRecords, replicates: bool = False) -> dict[str, list[Any]]:
    """Return the columns of ``trials_table``, without pandas."""
    at_edge, found = at_edges(records), estimates(records)
    several = _several(records, replicates)
    head = [(name, read) for name, read in HEAD if several.get(name, True)]
    columns = [(name.format(metric=records.metric), read) for name, read in head]
    columns += [*hyperparameter_columns(records), *TAIL]
    rows = [
        Row(records, trial, at_edge.get(trial.trial, {}), found.get(trial.trial))
        for trial in _rows_of(records, replicates)
    ]
    return {name: [read(row) for row in rows] for name, read in columns}


def _several(records: RunRecords, replicates: bool) -> dict[str, bool]:
    """Return whether each column that only some runs have is one of this run's."""
    found = {"group": bool(records.state.groups), "round": records.state.rounds > 1}
    found |= dict.fromkeys(OF_RACE, bool(estimates(records)) and not replicates)
    found |= dict.fromkeys(OF_COPIES, any(is_copy(trial) for trial in records.trials))
    return found | dict.fromkeys(OF_REPLICATES, replicates)


def _rows_of(records: RunRecords, replicates: bool) -> Iterator[TrialRecord]:
    """Yield the trials, best first, each followed by its replicates where they are asked for."""
    for trial in records.ranked:
        yield trial
        if replicates:
            yield from (again for again in records.replicates if again.repeats == trial.trial)


def epochs_table(records: RunRecords) -> pd.DataFrame:
    """Return one row an epoch: trial, epoch, every metric, seconds, time."""
    metrics = dict.fromkeys(name for row in records.epochs for name in row["metrics"])
    rows = sorted(records.epochs, key=lambda row: str(row["trial"]))
    columns: dict[str, list[Any]] = {
        name: [row.get(name) for row in rows] for name in ("trial", "epoch")
    }
    for name in metrics:
        columns[name] = [row["metrics"].get(name) for row in rows]
    for name in ("seconds", "time"):
        columns[name] = [row.get(name) for row in rows]
    if records.state.groups:
        groups = {trial.trial: trial.group for trial in records.trials}
        columns["group"] = [groups.get(row["trial"]) for row in rows]
    return to_frame(columns | _stretches(records, rows))


def _stretches(records: RunRecords, rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the columns that a run in which something was rolled back has besides."""
    gone = [records.of(trial.trial).abandoned_epochs for trial in records.trials]
    abandoned = {id(row) for epochs in gone for row in epochs}
    if not abandoned:
        return {}
    return {
        "stretch": [row.get("stretch") or 0 for row in rows],
        "abandoned": [id(row) in abandoned for row in rows],
    }


def draws_table(space: Space, draws: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a draw: the name of the trial it would be, then every hyperparameter."""
    columns: dict[str, list[Any]] = {"trial": [trial_name(index) for index in range(len(draws))]}
    for name in space.names:
        for drawn in (name, companion(name)):
            if drawn == name or any(drawn in draw for draw in draws):
                shown = shown_name(drawn)
                title = f"hyperparameter_{shown}" if shown in columns else shown
                columns[title] = [draw.get(drawn) for draw in draws]
    frame = to_frame(columns)
    varied = [
        shown_name(name) for name, domain in space.domains.items() if not isinstance(domain, Fixed)
    ]
    varied = varied or [shown_name(name) for name in space.names]
    frame.attrs["importance"] = ["trial", *varied, *(f"1-{name}" for name in varied)]
    return frame


def winning_trial(records: RunRecords) -> str | None:
    """Return the declared winner, or the best so far; None where no trial has a finite value."""
    if records.winner is not None:
        return str(records.winner["trial"])
    return records.leader.trial if records.leader else None


def by_column(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return rows turned into columns, in the order in which names first appear."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: [row.get(name) for row in rows] for name in names}


def at_edges(records: RunRecords) -> dict[str, dict[str, str]]:
    """Return, for each leading trial, which hyperparameters sit at which end of the space ("low", "high").

    Leading are the best tenth, and three where there are ten. Source: Godbole et al., "Deep Learning Tuning Playbook",
    "Identifying bad search space boundaries".
    """
    space = records.space
    if space is None:
        return {}
    trials = sum(trial.group == records.state.group for trial in records.trials)
    count = max(3 if trials >= 10 else 1, math.ceil(trials / 10))
    leading = records.contenders[:count]
    return {trial.trial: dict(space.edges(trial.hyperparameters)) for trial in leading}


def to_frame(columns: Mapping[str, list[Any]]) -> pd.DataFrame:
    """Return a DataFrame; None is missing in it, and each text in it is one that Arrow and any file can hold."""
    import pandas as pd

    return pd.DataFrame(
        {_encodable(name): _series([*map(_encodable, of)]) for name, of in columns.items()}
    )


def _encodable(value: Any) -> Any:
    return encodable(value) if isinstance(value, str) else value


def _series(values: list[Any]) -> Any:
    """Return a column whose whole numbers stay whole although some are missing."""
    import pandas as pd

    # By default pandas makes floats of whole numbers among which some are missing.
    kinds = {type(value) for value in values if value is not None}
    if int in kinds and any(isinstance(value, int) and abs(value) >= 2**63 for value in values):
        return pd.Series(values, dtype="object")
    if kinds == {int}:
        return pd.Series(values, dtype="Int64" if None in values else "int64")
    if kinds == {bool}:
        return pd.Series(values, dtype="boolean" if None in values else "bool")
    if kinds and kinds <= {int, float}:
        return pd.Series(values, dtype="float64")
    return pd.Series(values, dtype="str" if kinds == {str} else "object")


def jobs_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a job; what is not known of one is empty."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(JOB_COLUMNS))
    frame.attrs["importance"] = list(JOB_COLUMNS)
    return frame


def predictions_table(columns: Mapping[str, Any], files: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row for each row that was predicted, in their order; ``files`` names the picture of each."""
    import pandas as pd

    named = {"file": list(files)} if files else {}
    return pd.DataFrame({**named, **columns})


def write_csvs(records: RunRecords, folder: Path) -> None:
    """Write ``trials.csv`` (best first) and ``epochs.csv`` into ``folder``."""
    write_atomically(folder / "trials.csv", to_csv(trials_table(records)))
    write_atomically(folder / "epochs.csv", to_csv(epochs_table(records)))
