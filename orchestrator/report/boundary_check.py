"""Do the best trials sit at a bound of the space? The first question to ask of a finished search.

Source: Godbole et al., "Deep Learning Tuning Playbook", "Identifying bad search space boundaries".
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from orchestrator.domains import Choice, Space
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.report.formatting import cell

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


def edge_hints(records: RunRecords) -> list[str]:
    """Return a sentence for each end of the space at which most of the leading trials sit."""
    space = records.space
    found = edges(records)
    counts = Counter(pair for at_edge in found.values() for pair in at_edge.items())
    hints = []
    for (name, end), count in counts.items():
        if space is None or count < 2 or 2 * count <= len(found):
            continue
        if end == "low" and _bound(space, name, end) == "0":
            continue  # nothing to widen: these hyperparameters end at 0
        who = (
            f"the best {count} sit"
            if count == len(found)
            else f"{count} of the best {len(found)} sit"
        )
        bound = _bound(space, name, end)
        hints.append(f"{who} at the {end} end of {name} ({bound}): widen it")
    return hints


def _bound(space: Space, name: str, end: str) -> str:
    domain = space.domains[name]
    values: list[Any]
    if isinstance(domain, Choice):
        values = [value for value in domain.values if isinstance(value, int | float)]
    else:
        values = [domain.from_unit(0.0), domain.from_unit(1.0)]
    return cell(min(values) if end == "low" else max(values))
