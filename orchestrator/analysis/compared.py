"""A run's trials as the searchers compare them, and how its analyses say numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.domains import Space
from orchestrator.errors import RecordError, explain
from orchestrator.records import RunRecords, check_searched
from orchestrator.search.evidence import Ranking, Rule, Seen, ranked


def seen_trials(records: RunRecords) -> list[Seen]:
    """Return what is known of each trial of the newest group that is no branch."""
    group = records.state.group
    return [
        Seen(
            trial.index,
            trial.hyperparameters,
            {
                int(row["epoch"]): row["metrics"].get(records.metric)
                for row in records.of(trial.trial).own_epochs
            },
            trial.ending,
        )
        for trial in records.trials
        if trial.group == group and not trial.is_branch
    ]


def ranking_of(records: RunRecords) -> Ranking | None:
    """Return a caviar's trials compared at the last epoch that enough of them reached; None where too few did.

    Diverged ones are the worst. Raises RecordError for a panda, whose trials are one model.
    """
    check_searched(records, "trials were drawn from a space")
    return ranked(seen_trials(records), records.mode, Rule())


def space_of(records: RunRecords) -> Space:
    """Return a run's search space. Raises RecordError where its record holds but a name."""
    if records.space is None:
        expected = "expected a search space written out in the run's experiment.yaml"
        raise RecordError(explain(records.name, expected, records.experiment.get("search_space")))
    return records.space


def number(count: int, noun: str) -> str:
    """Return how many there are of something: ``1 trial``, ``2 trials``, ``no trials``."""
    return f"{count or 'no'} {noun}{'s' * (count != 1)}"


def baseline_of(records: RunRecords) -> float | None:
    """Return the metric of the best guess that looks at no feature; None where it is not known."""
    task = records.manifest.get("task")
    baseline = task.get("baseline") if isinstance(task, dict) else None
    found = (baseline or {}).get(records.metric.removeprefix("val_"))
    return None if found is None else float(found)


def score_among(scores: Mapping[str, Any], metric: str) -> float | None:
    """Return the metric among one split's scores, where it may be called without its ``val_``."""
    plain = metric.removeprefix("val_")
    known = (metric, plain, f"test_{plain}")
    return next((scores[name] for name in known if name in scores), None)
