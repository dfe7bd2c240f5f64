"""A finished run in a folder, written by the real writer as a driver would have."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import prepare
from orchestrator.records import RunFolder, RunWriter, TrialEnd

SPACE = {"learning_rate": "loguniform(1e-3, 1)", "units": "choice([8, 16])"}


class Written:
    """A run's folder, and the plan it was written from."""

    def __init__(self, place, **keys):
        experiment = {
            "name": "one", "model": "mlp", "data": "digits", "epochs": 3, "seed": 4,
            "search_space": SPACE, "storage_path": str(place / "runs"),
        }  # fmt: skip
        prepared = prepare(parse_experiment(experiment | keys).at(place))
        self.plan, self.place = prepared.plan, place
        self.folder = RunFolder.create(prepared.experiment.storage_path, "one")
        self.folder.write_experiment(prepared.document)
        self.folder.write_manifest(manifest_of(prepared))

    def writes(self, *told, event="run_finished"):
        """Append trials, each (index, values, status), between a start of the run and an event."""
        with RunWriter(self.folder) as writer:
            writer.event("run_started")
            for index, values, status in told:
                self._trial(writer, index, values, status)
            if event:
                writer.event(event)
        return self

    def _trial(self, writer, index, values, status):
        spec = list(self.plan.draws())[index]
        writer.trial_started(spec.trial, spec.index, spec.seed, spec.hyperparameters)
        for epoch, value in enumerate(values, 1):
            metrics = {"loss": 1.0, "val_accuracy": value, "val_loss": 1 - value}
            row = {"trial": spec.trial, "epoch": epoch, "metrics": metrics, "seconds": 0.5}
            writer.epochs([row])
        if status:
            more = {"parameters": 99, "path": "compiled"}
            writer.trial_ended(TrialEnd(spec.trial, status, 1.5, **more))

    @property
    def files(self):
        """Every file's content: equal before and after where nothing was written."""
        found = sorted(file for file in self.folder.path.rglob("*") if file.is_file())
        return {str(file): file.read_bytes() for file in found}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """`written(epochs=9, caviar={...})`: a run's folder to write trials into."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return lambda **keys: Written(tmp_path, **keys)
