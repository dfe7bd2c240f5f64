"""The trial whose weights a panda goes on from."""

from __future__ import annotations

from pathlib import Path

from orchestrator.config import Experiment
from orchestrator.errors import RecordError, UnknownNameError, explain
from orchestrator.records import RunFolder, RunRecords, TrialRecord, read_run
from orchestrator.search import Ancestor
from orchestrator.trials import StateStore


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
        best = records.contenders
        if not best:
            raise RecordError(f"{reference}: expected a run with a trial that trained.")
        return records, best[0]
    trial = records.trial(name)
    if trial is None:
        known = [trial.trial for trial in records.trials]
        raise UnknownNameError(explain(reference, "expected a trial of the run", name, known))
    return records, trial
