"""The whole flow: a file is read, checked, planned, recorded, run and concluded."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack

from orchestrator.config import Experiment
from orchestrator.errors import (
    ExperimentFileError,
    NotStarted,
    OrchestratorError,
    RecordWarning,
    RunExistsError,
    explain,
)
from orchestrator.experiment.config_drift import check_as_begun, other_versions
from orchestrator.experiment.data_profile import PROFILE, profile_to_keep
from orchestrator.experiment.executors import Executor, ExecutorName, RunPlan, find_executor
from orchestrator.experiment.extension import Growth, More, prepare_to_extend, write_down
from orchestrator.experiment.given import (
    KEYS,
    Given,
    Objects,
    check_needed,
    given_again,
)
from orchestrator.experiment.keywords import Keys, Source, asked_for, with_keys_listed
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import Prepared, folder_of, prepare
from orchestrator.experiment.recorder import Recorder
from orchestrator.experiment.remaining import Resumed
from orchestrator.experiment.resume import (
    Race,
    driver,
    is_over,
    prepare_to_resume,
    prepare_to_verify,
    with_lanes_as_chosen,
    with_lost_states,
)
from orchestrator.experiment.retrying import is_worth_retrying, prepare_to_retry
from orchestrator.experiment.run import Run
from orchestrator.experiment.run_lease import Driving, asked_to_stop, driving
from orchestrator.records import RunFolder, RunRecords, set_aside, write_atomically
from orchestrator.streams import unstalled_streams

if TYPE_CHECKING:
    from orchestrator.report import View
    from orchestrator.tuning.protocol import Phase


OF_ODD_RECORDS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What is raised where a record holds something else than it should."""


class MoreOrObjects(More, Objects, total=False):
    """How much longer a run becomes, the objects that it needs again, and how its trials are run."""

    executor: ExecutorName | RunPlan


class RaceOrObjects(Race, Objects, total=False):
    """Who races and for how long, the objects that a run needs again, and how its trials are run."""

    executor: ExecutorName | RunPlan


class OtherVersionsWarning(RecordWarning):
    """A run continues with other package versions than it had."""


BESIDE_KEYS = ("experiment", "overrides", "progress", "or_resume", "overwrite", "executor")
"""What ``run`` takes besides the keys of an experiment's file."""


@with_keys_listed
def run(  # noqa: PLR0913 (a run's options)
    experiment: Source = None,
    overrides: Sequence[str] = (),
    progress: bool = True,
    or_resume: bool = False,
    executor: ExecutorName | RunPlan = "tune",
    overwrite: bool = False,
    **keys: Unpack[Keys],
) -> Run:
    """Run an experiment to its end and return it; Ctrl-C ends it early with all that was done kept.

    ``experiment`` is a file's path, a mapping of the same keys, or an Experiment; ``overrides`` are ``key.path=value``.
    ``keys`` are the file's, over those of ``experiment`` or by themselves. ``model`` and ``callbacks`` may be
    functions, ``data`` whatever a function of a file may return, ``trial`` a function or ``{"optuna": objective}``:
    ``run(model=build, data=(x, y), search_space={...}, epochs=9)``.

    Everything that can be refused is refused before anything is written or trained. ``or_resume`` makes the call safe
    to repeat: a run of that name that was cut off continues, one whose every trial failed for reasons outside of the
    model is tried again, one that is finished is returned. ``overwrite`` removes a run of that name first, unless it is
    being driven. ``executor="inline"`` trains one trial after another in this process, where ``breakpoint()`` works.
    """
    by = find_executor(executor)
    asked = asked_for(experiment, overrides, keys, BESIDE_KEYS)
    folder = folder_of(asked.experiment)
    if or_resume:
        _check_repeatable(asked.experiment, overwrite)
    if or_resume and folder.manifest_file.exists():
        if is_worth_retrying(Run(folder, exact=True).records):
            return _retried(folder, ("failed",), asked.given, progress, by)
        return _resumed(folder, asked.given, progress, by)
    with by.begun(asked.experiment) as begun:
        prepared = prepare(asked.experiment, asked.given, by.check_place, overwrite)
        prepared, folder = _new_folder(prepared, overwrite)
        try:
            with driving(folder) as driven:
                drive(Resumed(prepared), folder, driven, progress, begun)
        except NotStarted:
            folder.remove()  # nothing was recorded, and the name is wanted at the next try
            raise
    return Run(folder, builder=asked.given.builder)


def resume(
    run: str | Path | Run,
    progress: bool = True,
    storage: str | Path = "./runs",
    executor: ExecutorName | RunPlan = "tune",
    **objects: Unpack[Objects],
) -> Run:
    """Continue a cut-off run where its records and checkpoints end, and return it.

    A finished one is returned as it is, or has its winner examined where that could not be done. One that was given
    ``model``, ``data`` or ``callbacks`` as objects needs the same ones: what differs is refused. ``executor`` is as for
    ``run``; it need not be the one that the run began with.
    """
    by = find_executor(executor)
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    return _resumed(folder, given_again(objects), progress, by)


def _resumed(folder: RunFolder, given: Given, progress: bool, executor: Executor) -> Run:
    there = Run(folder, exact=True)
    check_as_begun(there.records)
    if is_over(there.records):
        return Run(folder, exact=True, builder=given.builder)
    check_needed(there.records, there.records.experiment, given)
    with driving(folder) as driven:
        left = prepare_to_resume(folder, given, executor.check_place)
        drive(with_lost_states(left), folder, driven, progress, executor)
    return Run(folder, builder=given.builder)


def extend(
    run: str | Path | Run,
    overrides: Sequence[str] = (),
    *,
    force: bool = False,
    progress: bool = True,
    storage: str | Path = "./runs",
    **more: Unpack[MoreOrObjects],
) -> Run:
    """Make a run longer and train what it has then left to do, with its history; return it.

    ``num_samples``, ``epochs`` and ``days`` are new totals, or numbers to add such as ``"+64"``; ``scheduler`` is the
    scheduler from now on; ``overrides`` are ``key.path=value``. If the new trials could not be compared with the
    existing ones, it is refused, unless ``force`` makes them a separate group. Objects: as for ``resume``.
    """
    by = find_executor(more.get("executor", "tune"))
    given = given_again({key: more[key] for key in KEYS if key in more})  # type: ignore[literal-required]
    growth = Growth({key: more[key] for key in more if key not in (*KEYS, "executor")}, overrides)  # type: ignore[literal-required]
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    with driving(folder) as driven:
        extended = prepare_to_extend(folder, growth, force, given, by.check_place)
        drive(with_lost_states(extended), folder, driven, progress, by)
    return Run(folder, builder=given.builder)


def retry(
    run: str | Path | Run,
    endings: Sequence[Literal["failed", "diverged"]] = ("failed",),
    progress: bool = True,
    storage: str | Path = "./runs",
    executor: ExecutorName | RunPlan = "tune",
    **objects: Unpack[Objects],
) -> Run:
    """Train those trials of a run again that ended so, and return it.

    They begin anew with the hyperparameters and seeds that they had, whatever was mended since. If code or data have
    changed, and other trials of the run were trained with what was before, they become a group of their own. Objects:
    as for ``resume``. Raises ExperimentFileError where the run has no such trial.
    """
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    return _retried(folder, endings, given_again(objects), progress, find_executor(executor))


def _retried(
    folder: RunFolder, endings: Sequence[str], given: Given, progress: bool, executor: Executor
) -> Run:
    with driving(folder) as driven:
        left = prepare_to_retry(folder, endings, given, executor.check_place)
        drive(with_lost_states(left), folder, driven, progress, executor)
    return Run(folder, builder=given.builder)


def verify(
    run: str | Path | Run,
    *,
    progress: bool = True,
    storage: str | Path = "./runs",
    **more: Unpack[RaceOrObjects],
) -> Run:
    """Train a finished run's best configurations again with fresh seeds, choose the winner by those, and return it.

    The ``top`` configurations race, with at most so many ``seeds`` each, until one is the best with the ``confidence``;
    without a ``budget`` (``"60 %"`` of the search's epochs) that is the only limit. The replicates become trials of the
    run, and its winner is examined anew. Objects: as for ``resume``.
    """
    by = find_executor(more.get("executor", "tune"))
    given = given_again({key: more[key] for key in KEYS if key in more})  # type: ignore[literal-required]
    asked = {key: more[key] for key in more if key not in (*KEYS, "executor")}  # type: ignore[literal-required]
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    with driving(folder) as driven:
        left = prepare_to_verify(folder, asked, given, by.check_place)
        drive(left, folder, driven, progress, by)
    return Run(folder, builder=given.builder)


def drive(
    resumed: Resumed, folder: RunFolder, driven: Driving, progress: bool, executor: Executor
) -> None:
    """Run what is left of the plan, every event of it recorded and shown, to the tables."""
    # Imported here: each takes a second that ``--help`` and a refused file need not wait for.
    from orchestrator.report import NullView
    from orchestrator.tuning.protocol import Outcome

    resumed = with_lanes_as_chosen(resumed)
    plan, experiment, outcome = resumed.plan, resumed.prepared.experiment, Outcome(ended=False)
    with (
        unstalled_streams(),
        folder.in_use(),
        asked_to_stop() as asked,
        _view(resumed, folder, executor) if progress else NullView() as view,
        Recorder(folder, plan, view, asked.is_set, driven) as recorder,
        executor.begun(experiment) as begun,
    ):
        recorder.begin(resumed.trials_in_all, resumed.recorded, _phases(experiment))
        if driven.taken_from:
            recorder.event("taken_over", **{"from": driven.taken_from})
        write_down(resumed, folder, recorder)
        _take_up(resumed, recorder, view, executor)
        try:
            job, sitting = resumed.prepared.job(folder), resumed.sitting(asked.is_set)
            outcome = begun.run_plan(plan, job, recorder, sitting)
            if outcome.ended:
                _keep_profile(resumed.prepared, folder, recorder)
        except KeyboardInterrupt:
            pass  # not raised on: what was done still gets its last event, its tables and its report
        finally:
            if not outcome.ended:
                view.note("stopping")
            recorder.close()  # the trials' ends come before the run's
            reason = outcome.trouble or outcome.reason or resumed.reason or _named(sys.exception())
            recorder.event("run_finished" if outcome.ended else "run_interrupted", reason=reason)
        _write_tables(experiment, folder, recorder, view)
    if outcome.trouble is not None:
        raise folder.unusable(outcome.trouble)


def _keep_profile(prepared: Prepared, folder: RunFolder, recorder: Recorder) -> None:
    """Have the run remember its training data, with which `reevaluate` compares later ones; or why it does not."""
    kept = profile_to_keep(prepared)
    if isinstance(kept, str):
        recorder.event("not_profiled", reason=kept)
    elif kept is not None:
        recorder.disk.write(lambda: write_atomically(folder.path / PROFILE, kept))


def _take_up(resumed: Resumed, recorder: Recorder, view: View, executor: Executor) -> None:
    """Say that a driver is at work, have the recorder know what happened, and write down what follows from it."""
    fewer = resumed.most_planned < resumed.plan.trials_in_all
    planned = {"trials": resumed.most_planned} if fewer else {}
    recorder.event("run_started", **driver(), **planned)
    if resumed.records is not None:
        _tell_other_versions(resumed.records, recorder)
        recorder.remember(resumed.records)
    for trial in resumed.restored:
        recorder.event("trained_again", trial=trial, reason="its state is gone")
        view.note(f"trial {trial}, the best so far, is trained again: its state is gone")
    for end in resumed.endings:
        recorder.ended(end, None)
    view.note(f"{executor.begins} {resumed.described}")
    recorder.waits_for(executor.first)


def _tell_other_versions(records: RunRecords, recorder: Recorder) -> None:
    """Warn of, and record, the package versions that changed since the run last had a driver."""
    changes = other_versions(records)
    if changes:
        recorder.event("other_versions", changes=changes)
        said = "; ".join(f"{name}: {old} -> {new}" for name, (old, new) in changes.items())
        message = f"{records.name}: continues with other package versions, which may change numbers slightly: {said}."
        warnings.warn(message, OtherVersionsWarning, stacklevel=2)


def _named(error: BaseException | None) -> str | None:
    """Return what ended a driver as one line; None where nothing was raised."""
    if error is None:
        return None
    said = str(error).strip().partition("\n")[0]
    return f"its driver ended with {type(error).__name__}" + (f": {said}" if said else "")


_LIBRARIES = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}


def _phases(experiment: Experiment) -> dict[Phase, str]:
    """Return what happens before the first epoch, in words."""
    if experiment.kind == "keras":
        library = _LIBRARIES[experiment.backend]
        first = {"workers": f"importing {library}", "first epoch": "compiling the first model"}
    else:
        first = {"workers": "starting a worker", "first epoch": "training the first epoch"}
    return {"ray": "starting Ray", **first}  # type: ignore[dict-item]


def _view(resumed: Resumed, folder: RunFolder, executor: Executor) -> View:
    """Return what shows a run on this terminal: lines alone where the trials print there too."""
    from orchestrator.report import PlainPandaView, PlainView, open_panda_view, open_view
    from orchestrator.report.status_text import said_name

    plan, trials = resumed.plan, resumed.trials_in_all
    if plan.nursery is not None:
        days, run = plan.nursery.days, said_name(str(folder.path), "runs")
        if executor.uses_terminal:
            return PlainPandaView(days, plan.metric, plan.mode, sys.stderr)
        return open_panda_view(days, plan.metric, plan.mode, run=run)
    if executor.uses_terminal:
        return PlainView(trials, plan.epochs, plan.metric, plan.mode, sys.stderr)
    return open_view(trials, plan.epochs, plan.metric, plan.mode)


def _check_repeatable(experiment: Experiment, overwrite: bool) -> None:
    """Raise ExperimentFileError where a call that is safe to repeat would begin another run each time."""
    expected = "expected beside it a run that is found again"
    if overwrite:
        raise ExperimentFileError(explain("or_resume", expected, "overwrite, which removes it"))
    if experiment.is_numbered:
        received = "name: auto, which is another one each time"
        raise ExperimentFileError(explain("or_resume", expected, received))


def _new_folder(prepared: Prepared, overwrite: bool) -> tuple[Prepared, RunFolder]:
    """Make the run's folder with what was asked for and the facts around it.

    A numbered run whose number another start has just taken gets the next one.
    """
    while True:
        try:
            return prepared, _made(prepared, overwrite)
        except RunExistsError:
            if not prepared.experiment.is_numbered:
                raise
            prepared = replace(prepared, experiment=prepared.experiment.numbered())


def _made(prepared: Prepared, overwrite: bool) -> RunFolder:
    manifest = manifest_of(prepared)

    def fill(folder: RunFolder) -> None:
        folder.write_experiment(prepared.document)
        folder.write_manifest(manifest)

    there = folder_of(prepared.experiment)
    with set_aside(there) if overwrite and there.exists else nullcontext():
        return RunFolder.create(prepared.experiment.storage_path, prepared.experiment.name, fill)


def _write_tables(
    experiment: Experiment, folder: RunFolder, recorder: Recorder, view: View
) -> None:
    """Write the tables beside the records, and the report where one is wanted: what keeps it away harms no run."""
    from orchestrator.report import write_csvs, write_report

    records = Run(folder).records
    recorder.disk.write(lambda: write_csvs(records, folder.path))
    if not experiment.report:
        return
    try:
        write_report([records], folder.report_file)
    except (OSError, OrchestratorError, *OF_ODD_RECORDS) as error:
        view.note(f"{folder.report_file.name} was not written: {error}")
