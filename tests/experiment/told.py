"""A recorder that is told of trials in a few words."""

from __future__ import annotations

from dataclasses import replace

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.experiment.recorder import Recorder
from orchestrator.records import TrialEnd, read_run
from orchestrator.search import make_plan


class Shown:
    """A view that remembers what it was told."""

    def __init__(self):
        self.told = []

    def __getattr__(self, name):
        return lambda *told: self.told.append((name, *told))


class Told:
    """A recorder whose trials are told in a few words."""

    def __init__(self, folder, keep, mode, keys):
        metric = {"max": "val_accuracy", "min": "val_loss"}[mode]
        experiment = parse_experiment(
            {
                "name": "one", "model": "mlp", "data": "digits", "metric": metric, "mode": mode,
                "search_space": {"learning_rate": "loguniform(1e-3, 1)"}, "epochs": 3,
                "keep_checkpoints": keep, "caviar": {"num_samples": 6},
            }
            | keys
        )  # fmt: skip
        self.plan = make_plan(experiment, Space.parse(experiment.search_space))
        self.metric, self.folder, self.view = metric, folder, Shown()
        self.folder.write_experiment(f"name: one\nmetric: {metric}\nmode: {mode}\n")
        self.folder.write_manifest({})
        self.recorder = Recorder(folder, self.plan, self.view, lambda: False)
        self.group = 1

    def again(self):
        """The next driver's recorder: the records are all it knows."""
        self.recorder.close()
        self.recorder.__exit__()
        self.recorder = Recorder(self.folder, self.plan, self.view, lambda: False)
        before = read_run(self.folder.path)
        self.recorder.begin(6, (*before.epochs, *before.journal, *before.trial_lines))
        self.recorder.remember(before)

    def trial(self, index, *values, status="finished", checkpoint=True, **about):
        """One trial from its start to its end, its best state saved as a worker does."""
        spec = replace(list(self.plan.draws())[index], group=self.group)
        self.recorder.started(spec)
        for epoch, value in enumerate(values, 1):
            metrics = {"loss": 1.0, self.metric: value}
            row = {"trial": spec.trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}
            self.recorder.epochs([row])
        if checkpoint:
            (self.folder.checkpoints / f"{spec.trial}.npz").write_bytes(b"state")
        if status:
            self.recorder.ended(TrialEnd(spec.trial, status, 1.0), about.get("traceback"))

    @property
    def kept(self):
        return sorted(int(file.stem) for file in self.folder.checkpoints.iterdir())
