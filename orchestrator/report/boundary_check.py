"""Which leading trials sit at a bound of the space, for the column ``at_edge``.

Source: Godbole et al., "Deep Learning Tuning Playbook", "Identifying bad search space boundaries".
"""

from __future__ import annotations

import math

from orchestrator.records import RunRecords, TrialRecord

Edges = dict[str, str]


def leading_trials(records: RunRecords) -> tuple[TrialRecord, ...]:
    """Return the trials whose edges matter: the best tenth, and three where there are ten."""
    trials = sum(trial.group == records.state.group for trial in records.trials)
    count = max(1, math.ceil(trials / 10))
    if trials >= 10:
        count = max(3, count)
    return records.contenders[:count]


def edges(records: RunRecords) -> dict[str, Edges]:
    """Return, for each leading trial, which hyperparameters sit at which end ("low", "high")."""
    space = records.space
    if space is None:
        return {}
    return {
        trial.trial: dict(space.edges(trial.hyperparameters)) for trial in leading_trials(records)
    }
