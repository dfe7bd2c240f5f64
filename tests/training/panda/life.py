"""A driver without Ray: it runs one panda's session, an epoch a report, and keeps its records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.config import parse_experiment, to_yaml
from orchestrator.domains import Space
from orchestrator.experiment.recorder import Recorder
from orchestrator.experiment.warm_start import find_ancestor
from orchestrator.records import (
    Request,
    RunFolder,
    RunRecords,
    TrialEnd,
    read_run,
    write_request,
)
from orchestrator.report import NullView
from orchestrator.search import Plan, TrialSpec, make_plan
from orchestrator.training.live_keras import LiveKeras
from orchestrator.training.process_state import generator_state
from orchestrator.training.state_transfer import keras_optimizer, slots_of
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_model import arrays_of
from orchestrator.trials import Progress
from orchestrator.trials.judging import Objective
from orchestrator.trials.panda.session import PandaSession
from orchestrator.trials.panda.state import chosen

MAIN = "00000"


class Life:
    """One trial of a babysat run and its records."""

    def __init__(self, folder: RunFolder, trainer: Trainer, plan: Plan, spec: TrialSpec) -> None:
        self.folder, self.trainer, self.plan, self.spec = folder, trainer, plan, spec
        self.branches: list[TrialSpec] = []
        self.ended: str | None = None
        self.begin()

    @classmethod
    def begun(cls, storage: Path, trainer: Trainer, keys: dict[str, Any]) -> Life:
        basis = {"model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max"}
        place = {"strategy": "panda", "storage_path": str(storage)}
        experiment = parse_experiment(basis | place | keys)
        plan = make_plan(experiment, Space({}), find_ancestor(experiment))
        folder = RunFolder.create(storage, experiment.name)
        folder.write_experiment(to_yaml(experiment))
        folder.write_manifest({})
        return cls(folder, trainer, plan, plan.points[0])

    def begin(self, before: RunRecords | None = None) -> None:
        spec, plan = self.spec, self.plan
        assert plan.nursery is not None
        objective = Objective(
            plan.metric, plan.mode, frozenset(), self.folder.checkpoints.resolve()
        )
        self.session = PandaSession(
            LiveKeras(self.trainer, spec.trial, plan.metric), spec, plan.nursery, objective
        )
        self.recorder = Recorder(self.folder, plan, NullView(), lambda: False)
        if before is not None:
            self.recorder.begin(1, (*before.epochs, *before.journal, *before.trial_lines))
            self.recorder.remember(before)
        self.recorder.started(spec)

    def advance(self, reports: int = 1, heard: bool = True) -> None:
        """Train an epoch a report (a paused panda: none); an unheard report never reaches the driver."""
        for _ in range(reports):
            progress = Progress()
            self.session.advance(progress, 0.0)
            if heard:
                self._hear(progress)
            if self.ended:
                return

    def to_day(self, day: int) -> None:
        """Train to the end of a day, after hearing what was asked."""
        self.advance()
        while self.session.state.day < day and not self.ended:
            self.advance()

    def to_end(self) -> Life:
        while not self.ended:
            self.advance()
        return self

    def ask(self, action: str, at_day: int | None = None, **arguments: Any) -> str:
        extra = {name: arguments.pop(name) for name in ("expect", "why") if name in arguments}
        request = Request(action, self.spec.trial, arguments, who="ada", at_day=at_day, **extra)
        return write_request(self.folder, request).id

    def set(self, at_day: int | None = None, **changes: Any) -> str:
        return self.ask("set", at_day, changes=changes)

    def killed(self) -> Life:
        """Return the same trial taken up again by another process: nothing but the folder is left."""
        self.recorder.__exit__()
        self.begin(read_run(self.folder.path))
        return self

    def branch(self, name: str) -> Life:
        [spec] = [spec for spec in self.branches if spec.trial == name]
        return Life(self.folder, self.trainer, self.plan, spec)

    @property
    def records(self) -> RunRecords:
        return read_run(self.folder.path)

    @property
    def trial(self) -> str:
        return self.spec.trial

    @property
    def chosen(self) -> dict[str, Any]:
        return chosen(self.session.state, self.session.panda)

    @property
    def hyperparameters(self) -> dict[str, Any]:
        return self.trainer.hyperparameters

    def metrics(self) -> list[dict[str, float]]:
        return [row["metrics"] for row in self.records.of(self.trial).epochs]

    def state(self) -> tuple[Any, ...]:
        """All that the future depends on: weights, averages, generators, slots (α is set every epoch)."""
        compiled = self.trainer.backend.compiled
        variables = (*compiled.model.variables, *slots_of(keras_optimizer(compiled)))
        return (*arrays_of(variables), *generator_state())

    def entries(self, kind: str, **facts: Any) -> list[dict[str, Any]]:
        found = (entry for entry in self.records.of(self.trial).journal if entry["kind"] == kind)
        return [e for e in found if all(e.get(name) == value for name, value in facts.items())]

    def answer(self, request: str) -> dict[str, Any]:
        """Return the one entry that answers a request."""
        kinds = ("applied", "refused")
        [found] = [e for kind in kinds for e in self.entries(kind, request=request)]
        return found

    def _hear(self, progress: Progress) -> None:
        recorder = self.recorder
        recorder.epochs(progress.rows)
        recorder.journal(progress.journal)
        for branch in progress.branches:
            spec = TrialSpec(index=1 + len(self.branches), branch=True, **branch)
            if spec.trial not in [known.trial for known in self.branches]:
                self.branches.append(replace(spec, checkpoint=str(spec.checkpoint)))
        self.ended = _ending(progress)
        if self.ended:
            recorder.ended(TrialEnd(self.trial, self.ended, 0.0), None)  # type: ignore[arg-type]


def _ending(progress: Progress) -> str | None:
    if progress.diverged:
        return "diverged"
    if progress.stopped:
        return "stopped"
    return "finished" if progress.done else None
