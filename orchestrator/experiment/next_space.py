"""The space that follows from a run's trials, for someone who decides alone what the next run draws from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.analysis import seen_trials
from orchestrator.config import parse_experiment
from orchestrator.config.document import dump
from orchestrator.errors import RecordError, explain
from orchestrator.records import RunRecords
from orchestrator.search.narrowing import Derived, derive
from orchestrator.search.plan import Round
from orchestrator.search.rounds import rule_of


@dataclass(frozen=True)
class NextSpace:
    """A proposed search space, with constraints on it, as a file has them, and how each of its ranges moved."""

    search_space: dict[str, Any]
    constraints: tuple[str, ...]
    findings: tuple[Mapping[str, str], ...]

    @property
    def yaml(self) -> str:
        """The space as YAML, to be used as a file or pasted below ``search_space:``; constraints are a comment."""
        beside = f"# beside search_space: constraints: {json.dumps(list(self.constraints))}\n"
        return dump(self.search_space) + (beside if self.constraints else "")


def narrowed(records: RunRecords) -> NextSpace:
    """Return the space that follows from a caviar's trials. Raises RecordError for a run that has none."""
    if records.experiment.get("strategy") != "caviar":
        expected = "expected a run of strategy caviar, whose trials were drawn from a space"
        raise RecordError(explain(records.name, expected, records.experiment.get("strategy")))
    if records.space is None:
        expected = "expected a search space written out in the run's experiment.yaml"
        raise RecordError(explain(records.name, expected, records.experiment.get("search_space")))
    began = [event for event in records.events if event["event"] == "round_began"]
    current = Round.from_plain(began[-1]).space if began else records.space
    options = parse_experiment(records.experiment).caviar.rounds
    found: Derived = derive(
        records.space, current, seen_trials(records), records.mode, rule_of(options)
    )
    return NextSpace(
        found.space.to_document(),
        tuple(found.space.constraint_texts),
        tuple(finding.to_plain() for finding in found.findings),
    )
