"""A race between the best configurations of a finished run: asked for afterwards, by the run's own records."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypedDict

from orchestrator.config import Document, FinalistsOptions, check, with_overrides
from orchestrator.errors import RecordError, explain
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.experiment.config_drift import check_as_begun, check_unchanged
from orchestrator.experiment.executors import PlaceCheck, check_place
from orchestrator.experiment.given import NOTHING, Given, check_needed
from orchestrator.experiment.prepared import prepare_again
from orchestrator.experiment.remaining import Resumed, decisions
from orchestrator.records import RunFolder, RunRecords, read_run


class Race(TypedDict, total=False):
    """Who races and for how long: ``top`` configurations, ``seeds`` of each, ``budget`` as ``60 %`` or 0.6."""

    top: int | None
    seeds: int | None
    budget: float | str | None
    confidence: float | None


def prepare_to_verify(
    folder: RunFolder,
    asked: Mapping[str, Any],
    given: Given = NOTHING,
    place: PlaceCheck = check_place,
) -> Resumed:
    """Return what a finished run's race has to do; nothing is written yet. Its lock is held by the caller.

    Without a ``budget`` there is no limit but ``top`` times ``seeds``. Raises RecordError for a run that has nothing to
    race, ExperimentFileError for other options, or where its data, its code or Keras's settings are not what they were.
    """
    records = read_run(folder.path, exact=True)
    _check_can_race(records)
    check_as_begun(records)
    check_needed(records, records.experiment, given)
    options = _options(records, asked)
    prepared = prepare_again(recorded_experiment(records), given, place)
    check_unchanged(prepared, records)
    limits = type(prepared.plan.limits)()  # those of the search, which is over
    plan = replace(prepared.plan, finalists=options, limits=limits)
    search, _ = decisions(plan, records)
    over = {trial.trial for trial in records.all_trials if trial.is_over or not trial.repeats}
    search.take_up({}, over, records.state.group)
    search.close()
    why = search.finalists.why_not
    if why:
        raise RecordError(f"{records.name}: expected a run whose best can race. Received: {why}.")
    return Resumed(replace(prepared, plan=plan), records, search)


def _check_can_race(records: RunRecords) -> None:
    """Refuse a run that is no search, or whose search is not over."""
    if records.experiment.get("strategy") == "panda":
        expected = "expected a run of strategy caviar, whose configurations can be trained again"
        raise RecordError(explain(records.name, expected, "panda"))
    if records.status != "finished":
        path = records.folder.path
        raise RecordError(
            f"{records.name}: expected a finished run. Received: one that was cut off."
            f" 'orchestrator resume {path}' finishes it."
        )
    if not records.contenders:
        raise RecordError(
            f"{records.name}: expected a trial with a finite {records.metric}. Received: none."
            f" 'orchestrator show {records.folder.path}' says why."
        )


def _options(records: RunRecords, asked: Mapping[str, Any]) -> FinalistsOptions:
    """Return the options of a race, checked as those of an experiment's file are."""
    said = {name: value for name, value in asked.items() if value is not None}
    caviar = {**records.experiment.get("caviar", {}), "finalists": {"race": True}}
    document = Document(records.folder.experiment_file, {**records.experiment, "caviar": caviar})
    document = with_overrides(document, [f"caviar.finalists.{k}={v}" for k, v in said.items()])
    flags: dict[tuple[str | int, ...], str] = {
        ("caviar", "finalists", name): f"--{name} {value}" for name, value in said.items()
    }
    document = replace(document, origins={**document.origins, **flags})
    found = check(document).caviar.finalists
    return found if "budget" in said else found.model_copy(update={"budget": math.inf})
