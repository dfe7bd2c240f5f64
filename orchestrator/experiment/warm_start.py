"""What begins from an earlier run: a panda from a trial's weights, an experiment file from a run's trial or changes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.catalog import is_mark
from orchestrator.catalog.names import parse_name
from orchestrator.config import Duration, Experiment, parse_experiment, to_yaml
from orchestrator.errors import (
    ExperimentFileError,
    RecordError,
    RunExistsError,
    UnknownNameError,
    explain,
)
from orchestrator.experiment.compatibility import recorded_experiment
from orchestrator.records import RunFolder, RunRecords, TrialRecord, read_run
from orchestrator.records.lineage import changed_to, is_rollback
from orchestrator.records.run import sources_of
from orchestrator.search import Ancestor
from orchestrator.trials import StateStore
from orchestrator.trials.state_store import epoch_of


def find_ancestor(experiment: Experiment) -> Ancestor | None:
    """Return what ``panda.from`` names; None where there is none.

    Raises UnknownNameError for a run or trial that is not there, RecordError where its weights are not kept.
    """
    if experiment.panda is None or experiment.panda.from_run is None:
        return None
    records, trial = find_trial(experiment.panda.from_run, experiment.storage_path)
    states = StateStore.of(records.folder)
    file = states.best(trial.trial)
    best = records.of(trial.trial).best
    if not file.exists() or best is None:
        kept = ", ".join(states.with_best())
        raise RecordError(
            f"panda.from: expected a trial whose weights are kept. Received: {trial.trial!r}."
            f" Known: {kept or 'none'}."
        )
    origin = {"run": str(records.folder.path.resolve()), "trial": trial.trial, "epoch": best.epoch}
    about = states.about(file)
    if experiment.trial is not None and epoch_of(about.get("state")) != best.epoch:
        raise RecordError(
            f"panda.from: expected a trial that saved a state in its best epoch. Received: {trial.trial!r}, which"
            f" saved none in epoch {best.epoch}."
        )
    return Ancestor(str(file.resolve()), int(about["seed"]), dict(about["chosen"]), origin)


def find_trial(reference: str, storage: str | Path) -> tuple[RunRecords, TrialRecord]:
    """Return the run and trial that ``<run>`` or ``<run>/<trial>`` names; the best trial where none is named.

    Raises RecordError where a line of its records is damaged: what is made of it goes on from all that it was.
    """
    run, _, name = reference.rpartition("/")
    try:
        records = read_run(RunFolder.open(reference, storage).path, exact=True)
        name = ""
    except UnknownNameError:
        if not run:
            raise
        records = read_run(RunFolder.open(run, storage).path, exact=True)
    if not name:
        if records.leader is None:
            raise RecordError(f"{reference}: expected a run with a trial that trained.")
        return records, records.leader
    trial = records.trial(name)
    if trial is None:
        known = [trial.trial for trial in records.trials]
        raise UnknownNameError(explain(reference, "expected a trial of the run", name, known))
    return records, trial


def promoted(reference: str, storage: str) -> dict[str, Any]:
    """Return the experiment of a panda that goes on from a trial's weights, the run's best by default."""
    records, trial = find_trial(reference, storage)
    return _like(records, "panda") | {
        "panda": {"from": f"{records.folder.path.resolve()}/{trial.trial}"}
    }


def replayed(reference: str, storage: str) -> dict[str, Any]:
    """Return the experiment that trains again from scratch, unattended, through a babysat run's living changes.

    Raises ExperimentFileError for a run that was not babysat.
    """
    records, trial = find_trial(reference, storage)
    options = records.panda
    if not options:
        raise ExperimentFileError(
            f"{records.name}: expected a babysat run (strategy: panda). Received: a caviar."
        )
    changes = living_changes(records, trial.trial)
    days = max([1, *(int(day["day"]) for day in records.of(trial.trial).days)])
    day = Duration.parse(options["day"])
    if day.unit == "epoch":  # what was set after the last day changes nothing
        changes = [change for change in changes if change["epoch"] < days * day.amount]
    panda = {**_beginning(records, options), "day": str(day), "days": days}
    panda |= {"sitter": "off", "schedule": changes}
    return _like(records, "replay") | {"panda": panda}


def living_changes(
    records: RunRecords, trial: str, until_branch: str | None = None
) -> list[dict[str, Any]]:
    """Return [{epoch, set}] of the changes that led to a trial's model: none that a rollback took back.

    ``until_branch`` looks at the trial as it was when that branch was made of it.
    """
    born, fork = _born_with(records, trial)
    living: list[dict[str, Any]] = []
    for entry in records.of(trial).journal:
        if entry["kind"] != "applied":
            continue
        if until_branch is not None and entry.get("branch") == until_branch:
            break
        if is_rollback(entry):
            living = [change for change in living if change["epoch"] < entry["to_epoch"]]
            if entry["to_epoch"] < fork:
                born = [change for change in born if change["epoch"] < entry["to_epoch"]]
        elif entry["action"] in ("set", "branch_and_compare") and entry.get("changes"):
            living.append({"epoch": int(entry["epoch"]), "set": changed_to(entry)})
    return born + living


def write_recipe(content: Mapping[str, Any], file: Path) -> Path:
    """Write an experiment as a file. Raises RunExistsError rather than overwrite one."""
    text = to_yaml(parse_experiment(content))
    try:
        with file.open("x", encoding="utf-8") as written:
            written.write(text)
    except FileExistsError:
        raise RunExistsError(
            f"{file}: a file of that name exists and is not overwritten. --to names another."
        ) from None
    except OSError as error:
        expected = "expected a file that can be written"
        raise ExperimentFileError(explain("--to", expected, f"{file}: {error.strerror}")) from None
    return file


def _beginning(records: RunRecords, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return where a panda began: its start, or the very trial that it went on from."""
    origins = (trial.origin for trial in records.trials if trial.origin and not trial.is_branch)
    origin = next(origins, None)
    if origin is not None:
        return {"from": f"{origin['run']}/{origin['trial']}"}
    return {name: options[name] for name in ("start", "from") if options.get(name)} or {"start": {}}


def _born_with(records: RunRecords, trial: str) -> tuple[list[dict[str, Any]], int]:
    """Return a branch's changes up to its fork, its own first ones last, and the fork's epoch."""
    found = records.trial(trial)
    if found is None or not found.is_branch or found.origin is None:
        return [], 0
    origin, fork = found.origin, int(found.origin["epoch"])
    parents = living_changes(records, origin["trial"], until_branch=trial)
    born = [change for change in parents if change["epoch"] < fork]
    for entry in records.of(origin["trial"]).journal:
        made = entry["kind"] == "applied" and entry.get("branch") == trial
        if made and entry.get("changes"):
            born.append({"epoch": fork, "set": changed_to(entry)})
    return born, fork


def _like(records: RunRecords, suffix: str) -> dict[str, Any]:
    """Return a run's experiment as a panda's of a new name, its references those of the old file's folder."""
    trial = recorded_experiment(records).trial
    if trial is not None and trial.kind != "function":
        raise ExperimentFileError(
            f"{records.name}: expected a run of Keras models or functions, which a panda babysits. Received: one whose"
            f" trials run {trial.runs}."
        )
    folder = str(sources_of(records)) if records.manifest.get("folder") else None
    content = dict(records.experiment)
    for key in ("caviar", "panda"):
        content.pop(key, None)
    content |= {"name": f"{records.name}-{suffix}", "strategy": "panda"}
    if folder and trial is not None:
        function, python = absolute(str(trial.runs), folder), trial.interpreter
        if (
            python is not None and "/" in python
        ):  # not resolved: a link of an environment is its own
            python = os.path.abspath(Path(folder) / Path(python).expanduser())  # noqa: PTH100
        content["trial"] = {"function": function, "python": python} if python else function
    elif folder:
        content["model"] = absolute(content["model"], folder)
        if content.get("callbacks"):
            content["callbacks"] = absolute(content["callbacks"], folder)
        data = dict(content["data"])
        data["source"] = absolute(data["source"], folder)
        content["data"] = data
    return content


def absolute(reference: str, folder: str) -> str:
    """Return a file's reference as any folder can read it; a bundled name or a module stays."""
    if is_mark(reference) or parse_name(reference, "model").form != "file":
        return reference
    return str((Path(folder) / Path(reference).expanduser()).resolve())
