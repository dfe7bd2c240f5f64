"""The whole flow: a file is read, checked, planned, recorded, run and concluded."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.config import Experiment
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import Prepared, folder_of, prepare, read_experiment
from orchestrator.experiment.recorder import Recorder
from orchestrator.experiment.resuming import Resumed, driver, prepare_to_resume
from orchestrator.experiment.run import Run
from orchestrator.records import RunFolder, RunWriter
from orchestrator.strategies import Plan

if TYPE_CHECKING:
    from orchestrator.report import View


def run(
    experiment: str | Path | Mapping[str, Any] | Experiment,
    overrides: Sequence[str] = (),
    progress: bool = True,
    or_resume: bool = False,
) -> Run:
    """Run an experiment to its end and return it; Ctrl-C ends it early with all that was done kept.

    ``experiment`` is a file's path, a mapping of the same keys, or an Experiment; ``overrides`` are ``key.path=value``.
    Everything that can be refused is refused before anything is written or started. ``or_resume`` makes the call safe
    to repeat: a run of that name that was cut off goes on, one that is finished is returned.
    """
    read = read_experiment(experiment, overrides)
    folder = folder_of(read)
    if or_resume and folder.manifest_file.exists():
        there = Run(folder)
        return there if there.status == "finished" else resume(folder.path, progress)
    prepared = prepare(read)
    return _concluded(_trained(Resumed(prepared), _new_folder(prepared), progress))


def resume(run: str | Path, progress: bool = True, storage: str | Path = "./runs") -> Run:
    """Take a cut-off run up again where its records and checkpoints end, and return it."""
    folder = RunFolder.open(run, storage)
    return _concluded(_trained(prepare_to_resume(folder), folder, progress))


def _trained(resumed: Resumed, folder: RunFolder, progress: bool) -> RunFolder:
    """Run what is left of the plan, every event of it recorded and shown; return where."""
    # Imported here: each takes a second that ``--help`` and a refused file need not wait for.
    from orchestrator.report import NullView
    from orchestrator.tuning.run import run_plan

    prepared, plan = resumed.prepared, resumed.prepared.plan
    shown = _view(plan) if progress else NullView()
    with RunWriter(folder) as writer, shown as view, _sigterm_as_ctrl_c():
        writer.event("run_started", **driver())
        recorder = Recorder(folder, plan, writer, view)
        if resumed.records is not None:
            recorder.remember(resumed.records)
        for end in resumed.endings:
            recorder.ended(end, None)
        ended = False
        view.note(f"starting Ray for {plan.described}")
        try:
            job = prepared.job(folder)
            ended = run_plan(plan, job, recorder, prepared.cores, resumed.scheduler)
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
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what ends in &
            raise KeyboardInterrupt
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
