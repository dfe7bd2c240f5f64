"""The whole flow: a file is read, checked, planned, recorded, run and concluded."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config import Experiment
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import Prepared, prepare, read_experiment
from orchestrator.experiment.recorder import Recorder
from orchestrator.experiment.resuming import driver, prepare_to_resume
from orchestrator.experiment.run import Run
from orchestrator.records import RunFolder, RunRecords, RunWriter
from orchestrator.strategies import Plan

if TYPE_CHECKING:
    from orchestrator.report import View


def run(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    overrides: Sequence[str] = (),
    progress: bool = True,
) -> Run:
    """Run an experiment to its end and return it; Ctrl-C ends it early with all that was done kept.

    ``experiment`` is a file's path, a mapping of the same keys, or an Experiment; ``overrides`` are ``key.path=value``.
    Everything that can be refused is refused before anything is written or started.
    """
    prepared = prepare(read_experiment(experiment, overrides))
    return _concluded(_trained(prepared, _new_folder(prepared), progress))


def resume(run: str | Path, progress: bool = True) -> Run:
    """Take a cut-off babysat run up again, from its last finished epoch, and return it."""
    folder = RunFolder.open(run)
    prepared, records = prepare_to_resume(folder)
    return _concluded(_trained(prepared, folder, progress, records))


def _trained(
    prepared: Prepared, folder: RunFolder, progress: bool, before: RunRecords | None = None
) -> RunFolder:
    """Run the plan, every event of it recorded and shown; return where. ``before`` is what was recorded already."""
    # Imported here: each takes a second that ``--help`` and a refused file need not wait for.
    from orchestrator.report import NullView
    from orchestrator.tuning.run import run_plan

    plan = prepared.plan
    shown = _view(plan) if progress else NullView()
    with RunWriter(folder) as writer, shown as view, _sigterm_as_ctrl_c():
        writer.event("run_started", **driver())
        recorder = Recorder(folder, plan, writer, view)
        if before is not None:
            recorder.remember(before)
        ended = False
        view.note(f"starting Ray for {plan.described}")
        try:
            ended = run_plan(plan, prepared.space, prepared.job(folder), recorder, prepared.cores)
        except KeyboardInterrupt:
            view.note("stopping")
        finally:
            recorder.close()
            writer.event("run_finished" if ended else "run_interrupted")
    return folder


def _view(plan: Plan) -> View:
    """Return what shows a run on this terminal."""
    from orchestrator.report import open_panda_view, open_view

    if plan.nursery is not None:
        return open_panda_view(plan.nursery.days, plan.metric, plan.mode)
    return open_view(len(plan.trials), plan.epochs, plan.metric, plan.mode)


def _new_folder(prepared: Prepared) -> RunFolder:
    """Make the run's folder with what was asked for and the facts around it."""
    manifest = manifest_of(prepared)
    folder = RunFolder.create(prepared.experiment.storage_path, prepared.experiment.name)
    folder.write_experiment(prepared.document)
    folder.write_manifest(manifest)
    return folder


def _concluded(folder: RunFolder) -> Run:
    """Write the tables beside the records."""
    from orchestrator.report import write_csvs

    finished = Run(folder)
    write_csvs(finished.records, folder.path)
    return finished


@contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Let a polite kill end the run as Ctrl-C does; outside the main thread signals are not ours."""

    def interrupt(number: int, frame: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
