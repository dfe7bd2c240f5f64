"""The space that follows from a run's trials, for someone who decides alone what the next run draws from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.analysis import seen_trials
from orchestrator.config import Experiment, parse_experiment
from orchestrator.config.document import dump
from orchestrator.errors import RecordError, explain
from orchestrator.experiment.candidates import narrow_space
from orchestrator.experiment.prepared import Prepared
from orchestrator.experiment.warm_start import absolute
from orchestrator.records import RunRecords, check_searched
from orchestrator.search.narrowing import Derived, derive
from orchestrator.search.plan import Round
from orchestrator.search.rounds import rule_of


@dataclass(frozen=True)
class NextSpace:
    """A proposed search space, with constraints on it, as a file has them, and how each of its ranges moved."""

    search_space: dict[str, Any]
    constraints: tuple[str, ...]
    findings: tuple[Mapping[str, str], ...]

    def __repr__(self) -> str:
        """Return the space as a file has it."""
        return self.yaml

    @property
    def yaml(self) -> str:
        """The space as YAML, to be used as a file or pasted below ``search_space:``; constraints are a comment."""
        beside = f"# beside search_space: constraints: {json.dumps(list(self.constraints))}\n"
        return dump(self.search_space) + (beside if self.constraints else "")


def narrowed(records: RunRecords) -> NextSpace:
    """Return the space that follows from a caviar's trials. Raises RecordError for a run that has none."""
    check_searched(records, "trials were drawn from a space")
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


FEWEST_TRIALS = 8
SHARE_OF_TRIALS = 4
"""A narrow search has one trial for so many of the run's."""


def following_search(
    records: RunRecords, prepared: Prepared, number: int, retrained: Mapping[str, Any]
) -> Experiment | None:
    """Return the search that a re-evaluation asks for: around the best configuration, or over the whole space again.

    None where the incumbent is kept. It begins with the incumbent and the challengers that won.
    """
    if retrained["decision"] == "keep":
        return None
    rows = {row["name"]: row for row in retrained["configurations"]}
    winners = [row for row in rows.values() if row["difference"] and row["difference"]["wins"]]
    first = [rows["incumbent"], *winners]
    narrow = retrained["decision"] == "retune"
    space, trials = prepared.space, prepared.experiment.caviar.num_samples
    if narrow:
        space = narrow_space(space, rows[retrained["best"]]["hyperparameters"])
        trials = max(FEWEST_TRIALS, trials // SHARE_OF_TRIALS)
    points = [dict(row["hyperparameters"]) for row in first]
    known = [p for p in points if all(space.domains[n].contains(v) for n, v in p.items())]
    name = f"{records.name}-{'retune' if narrow else 'again'}-{number}"
    caviar = prepared.experiment.caviar.model_dump(exclude_unset=True)
    caviar |= {"points": known or "none", "num_samples": max(trials, len(known))}
    content = prepared.experiment.model_dump(exclude_unset=True)
    content |= {"name": name, "search_space": space.to_document(), "caviar": caviar}
    content |= {"storage_path": str(Path(prepared.experiment.storage_path).resolve())}
    return parse_experiment(_with_absolute_paths(content, str(prepared.experiment.folder)))


def _with_absolute_paths(content: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return an experiment whose references any folder can read."""
    for key in ("model", "callbacks", "trial"):
        if isinstance(content.get(key), str):
            content[key] = absolute(content[key], folder)
    data = content.get("data")
    if isinstance(data, Mapping):
        content["data"] = {**data, "source": absolute(str(data["source"]), folder)}
    return content
