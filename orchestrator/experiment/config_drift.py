"""What changed since a run began: its experiment, data, code, Keras's settings, versions of packages."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.catalog import space_of
from orchestrator.config import Experiment
from orchestrator.errors import ExperimentFileError, OrchestratorError, RecordError
from orchestrator.experiment.compatibility import (
    begun_experiment,
    changes_between,
    recorded_experiment,
    unlike_surroundings,
)
from orchestrator.experiment.kinds.function_trials import interpreter_of
from orchestrator.experiment.manifest import ENVIRONMENT, environment, surroundings_of
from orchestrator.experiment.prepared import Prepared, folder_of, read_experiment
from orchestrator.records import RunRecords, read_run
from orchestrator.redaction import restored
from orchestrator.search.points import with_points
from orchestrator.training.keras_setup import BACKEND
from orchestrator.tuning.machine import versions

ELSEWHERE = ("name", "storage_path", "target")
"""What says where a run is, not what it is."""
OF_TRIALS = "trial.python"
SHOWN = 60  # characters of a value


def check_as_begun(records: RunRecords) -> None:
    """Refuse a run whose ``experiment.yaml`` was edited: its trials would be of two experiments.

    Raises ExperimentFileError, which names each key with both values, and RecordError for a part of a re-evaluation.
    """
    whole = records.manifest.get("reevaluation")
    if isinstance(whole, Mapping):
        raise RecordError(
            f"{records.folder.path}: expected a run of its own. Received: a part of a re-evaluation, which"
            f" 'orchestrator reevaluate {whole.get('run')}' continues."
        )
    begun = begun_experiment(records)
    if begun is None:
        return
    now = recorded_experiment(records)
    space = space_of(now)
    changed = [
        f"{name}: {_shown(before)} -> {_shown(after)}"
        for key, pair in changes_between(begun, now, space).items()
        if key.partition(".")[0] not in ELSEWHERE
        for name, before, after in _differing(key, *pair)
        if restored(before) != restored(after)
    ]
    if changed:
        path, manifest = records.folder.path, records.folder.manifest_file.name
        raise ExperimentFileError(
            f"{records.folder.experiment_file}: expected the experiment that the run began with, or was extended to."
            f" Received: {'; '.join(changed)}. Restore the first values ({manifest} has all of them, under"
            f" experiment). Change what can be changed with 'orchestrator extend {path} --set KEY=VALUE'; for anything"
            " else start a run of another name."
        )


def check_unchanged(prepared: Prepared, records: RunRecords) -> None:
    """Refuse to mix trials of other data, of another model's code or of other settings of Keras into a run.

    So is code that asks for other hyperparameters than those that the run has.
    """
    recorded, found = records.experiment.get("search_space"), prepared.space.to_document()
    if prepared.experiment.trial is not None and recorded != found:
        pairs = _differing("", recorded, found)
        said = "; ".join(f"{name[1:]}: {_shown(old)} -> {_shown(new)}" for name, old, new in pairs)
        raise ExperimentFileError(
            f"{records.name}: expected the search space that was found when the run began. Received, of"
            f" {prepared.experiment.described}: {said}. Put back what its ranges depend on, or start a run of another"
            " name."
        )
    unlike = unlike_surroundings(records, surroundings_of(prepared))
    if unlike:
        what = " and ".join(dict.fromkeys(name for name, _ in unlike))
        raise ExperimentFileError(
            f"{records.name}: expected the {what} the run began with. Received: {what} that has changed since, so that"
            f" its trials could not be compared: {'; '.join(said for _, said in unlike)}. Put it back, run it under"
            " another name, or train further trials as a separate group:"
            f" 'orchestrator extend {records.folder.path} --force'."
        )


def other_versions(records: RunRecords) -> dict[str, tuple[str | None, str | None]]:
    """Return {package or variable: (before, now)} of what may change numbers a little and is no reason to refuse.

    Before is when the run began, or was last continued.
    """
    before: dict[str, Any] = {
        **(records.manifest.get("versions") or {}),
        **{name: None for name in ENVIRONMENT},
        **(records.manifest.get("environment") or {}),
    }
    if "versions" not in records.manifest:
        return {}
    for event in records.events:
        if event["event"] == "other_versions":
            before |= {name: pair[1] for name, pair in (event["changes"] or {}).items()}
    backend = str(records.experiment.get("backend") or BACKEND)
    now: dict[str, Any] = {
        **versions(backend),
        **{name: None for name in ENVIRONMENT},
        **environment(),
        **_interpreter(records),
    }
    python = (records.manifest.get("trial") or {}).get("python") or {}
    before.setdefault(OF_TRIALS, python.get("version"))
    return {
        name: (before.get(name), now.get(name))
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    }


def _interpreter(records: RunRecords) -> dict[str, str]:
    """Return the version of the Python that trials run in now, where they have one of their own."""
    with contextlib.suppress(OrchestratorError):  # there is none any more: what needs it says so
        found = interpreter_of(recorded_experiment(records))
        return {OF_TRIALS: found.version} if found else {}
    return {}


def _differing(key: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield (key, old, new) for what differs in a value, the keys inside it named."""
    if not (isinstance(before, Mapping) and isinstance(after, Mapping)):
        yield key, before, after
        return
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield from _differing(f"{key}.{name}", before.get(name), after.get(name))


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


def changed_since(
    experiment: str | Path | Mapping[str, Any] | Experiment, overrides: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the keys in which an experiment differs from the record of its run; none where there is no run.

    None too where the two cannot be compared: what continues the run then says why.
    """
    with contextlib.suppress(OrchestratorError):
        asked = read_experiment(experiment, overrides)
        folder = folder_of(asked)
        if folder.manifest_file.exists():
            recorded = recorded_experiment(read_run(folder.path))
            trial = asked.trial
            if trial is not None and trial.brings_space:
                asked = asked.model_copy(update={"search_space": recorded.search_space})
            space = space_of(asked)
            changes = changes_between(recorded, with_points(asked, space), space)
            return tuple(
                key
                for key, (before, after) in changes.items()
                if key.partition(".")[0] not in ELSEWHERE
                and _place(before, recorded.folder) != _place(after, asked.folder)
            )
    return ()


def _place(value: Any, folder: Path) -> Any:
    """Return a path as an absolute one, and anything else as it is: a submitted file has its paths written out."""
    is_path = isinstance(value, str) and "/" in value and "://" not in value
    return (folder / value).resolve() if is_path else value
