"""A run as the rules of ``diagnosis`` look at it, and what a rule says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from orchestrator.analysis.compared import seen_trials
from orchestrator.domains import Space
from orchestrator.records import RunRecords, TrialRecord
from orchestrator.records.run import effective_manifest
from orchestrator.search.evidence import Ranking, Rule, Seen, ranked

LEADERS = 3
WITH_BATCH_NORM = ("mlp", "cnn", "resnet")


@dataclass(frozen=True)
class Finding:
    """What a rule found: a sentence with its numbers, the numbers as values, and what to type next."""

    rule: str
    says: str
    next: str
    evidence: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return what it says, and what to type next."""
        return "\n  ".join([f"{self.rule}: {self.says}", *filter(None, [self.next])])

    def to_plain(self) -> dict[str, Any]:
        """Return all of it for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class Case:
    """A run as the rules look at it."""

    records: RunRecords

    @property
    def metric(self) -> str:
        """The metric that trials are judged by."""
        return self.records.metric

    @property
    def is_panda(self) -> bool:
        """Whether it is one model that is watched."""
        return self.records.panda is not None

    @cached_property
    def seen(self) -> list[Seen]:
        """The trials of the newest group."""
        return seen_trials(self.records)

    @cached_property
    def ranking(self) -> Ranking | None:
        """A caviar's trials compared at one epoch; None where too few can be."""
        return None if self.is_panda else ranked(self.seen, self.records.mode, Rule())

    @cached_property
    def space(self) -> Space | None:
        """The space that a caviar's trials are drawn from."""
        return None if self.is_panda else self.records.space

    @property
    def best(self) -> TrialRecord | None:
        """The best trial; None where no one has a finite value."""
        return next(iter(self.records.contenders), None)

    @cached_property
    def leaders(self) -> list[TrialRecord]:
        """The best trials that trained for all of their epochs, three at most; a panda's best model."""
        return list(self.records.contenders[:1] if self.is_panda else self.full[:LEADERS])

    @cached_property
    def full(self) -> list[TrialRecord]:
        """A caviar's trials that trained for all of their epochs and have a finite value, best first."""
        epochs = int(self.records.experiment.get("epochs") or 1)
        return [t for t in self.records.contenders if len(self.curve(t, self.metric)) >= epochs]

    def curve(self, trial: TrialRecord, metric: str) -> list[float]:
        """Return a trial's values of a metric by epoch, NaN where one is missing."""
        rows = self.records.of(trial.trial).epochs
        values = (row["metrics"].get(metric) for row in rows)
        return [math.nan if value is None else float(value) for value in values]

    def rows(self, part: str) -> int | None:
        """Return how many rows of the data are for training or validation; None where that is not known."""
        data = effective_manifest(self.records).get("data")
        rows = data.get("rows") if isinstance(data, dict) else None
        count = rows.get(part) if isinstance(rows, dict) else None
        return count if isinstance(count, int) and count > 0 else None

    @property
    def has_batch_norm(self) -> bool:
        """Whether the winner has BatchNormalization, as far as the records tell."""
        if "validation_before_recalibration" in (self.records.winner or {}):
            return True
        best = self.best
        off = best is not None and best.hyperparameters.get("batch_norm") is False
        return self.records.experiment.get("model") in WITH_BATCH_NORM and not off
