"""An experiment submitted to run somewhere else: checked and packaged, sent, and asked about afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from orchestrator.catalog import space_of
from orchestrator.config import Experiment, to_yaml
from orchestrator.config.targets import FolderOptions, PlaceOptions, TargetOptions
from orchestrator.errors import ExperimentFileError, PlaceError, RunExistsError, UnknownNameError
from orchestrator.experiment.kinds.keras_experiment import check_plan
from orchestrator.experiment.packaging import Gathered, code_of, gather
from orchestrator.experiment.prepared import read_experiment
from orchestrator.fields import Referenced
from orchestrator.records import RunFolder, RunStatus, read_run, see_driver, status_or_damage
from orchestrator.search import make_plan
from orchestrator.search.points import with_points
from orchestrator.targets import (
    EXPERIMENT_FILE,
    Job,
    JobState,
    Submission,
    fetch_run,
    find_job,
    find_target,
    known_jobs,
    reachable_run,
    remember,
)

_WHERE = {"address", "context", "namespace", "storage", "storage_claim"}
"""The options that tell one place of a kind from another."""


def make_submission(
    file: Path, overrides: Sequence[str] = (), target: str | None = None
) -> tuple[str, Submission]:
    """Return the target and what would be sent to it: nothing is written, no process is started.

    What a run would refuse is refused, but for what only the place can tell: what its data holds, its cores.
    """
    experiment = read_experiment(file, overrides)
    _check(experiment)
    written = experiment.target or TargetOptions()
    name = _chosen(written, target)
    options = written.of(name)
    here = str(Path(experiment.storage_path).absolute())
    sees = find_target(name).SEES_OUR_FILES
    gathered = gather(experiment, options, sees)
    submission = Submission(
        run=experiment.name,
        document="",
        files=gathered.files,
        options=options,
        storage=options.storage or here,
        results=_results(options, here),
        reads=gathered.reads,
    )
    panda = _panda_there(experiment, submission, sees)
    return name, replace(submission, document=_document(panda, gathered, submission.storage))


def submit(target: str, submission: Submission) -> Job:
    """Send it and remember the job. Raises RunExistsError for a run that is finished or under way."""
    place = find_target(target)
    _check_wanted(target, submission)
    job = place.submit(submission)
    job = replace(job, about={**job.about, "where": _where(submission)})
    remember(job)
    return job


def _chosen(written: TargetOptions, name: str | None) -> str:
    """Return the target asked for, or the only one that the file has options for."""
    if name is None and len(written.names) != 1:
        received = ", ".join(written.names) or "none"
        raise ExperimentFileError(
            f"submit: expected --target NAME, or one target in the file. Received: {received} in the file."
        )
    chosen = name or written.names[0]
    find_target(chosen)
    return chosen


def _check(experiment: Experiment) -> None:
    """Refuse what can be seen to fail from here."""
    space = space_of(experiment)
    code = code_of(experiment)
    if experiment.trial is not None and experiment.trial.brings_space:
        return  # the place runs the code that says what the hyperparameters are
    if experiment.panda is not None and experiment.panda.from_run is not None:
        return  # where the run that it goes on from lies, the place may know alone
    plan = make_plan(experiment, space)
    if "model" in code:
        check_plan(plan, code["model"], code.get("callbacks"))


def _results(options: PlaceOptions, here: str) -> str:
    """Return where this machine reaches the results: unknown where they lie elsewhere and nobody said."""
    if options.results is None:
        ours = isinstance(options, FolderOptions) or options.storage in (None, here)
        return here if ours else ""
    uri = "://" in options.results
    return options.results if uri else str(Path(options.results).expanduser().absolute())


def _document(experiment: Experiment, gathered: Gathered, storage: str) -> str:
    """Return the complete experiment as the place reads it; how it got there is no part of it."""
    space = space_of(experiment)
    sent_as = gathered.references
    data = experiment.data and experiment.data.model_copy(update={"source": sent_as["data"]})
    trial = experiment.trial
    if trial is not None:
        trial = trial.running(sent_as.get("trial", trial.runs), sent_as.get("python"))
    caviar = with_points(experiment, space).caviar
    for key in ("searcher", "scheduler"):
        written = getattr(caviar, key)
        if isinstance(written, Referenced):
            sent = written.model_copy(update={"reference": sent_as[key]})
            caviar = caviar.model_copy(update={key: sent})
    there: dict[str, Any] = {
        "caviar": caviar,
        "search_space": space.to_document(),
        **{key: sent_as.get(key) for key in ("model", "callbacks")},
        "trial": trial,
        "data": data,
        "storage_path": storage,
        "mode": experiment.direction,
        "target": None,
    }
    return to_yaml(experiment.model_copy(update=there))


def _panda_there(experiment: Experiment, submission: Submission, sees: bool) -> Experiment:
    """Return the experiment, the run that a panda goes on from named as the place finds it.

    Raises ExperimentFileError for a path of ours that the place does not see.
    """
    panda = experiment.panda
    if panda is None or panda.from_run is None or not _is_path(panda.from_run):
        return experiment
    origin = Path(os.path.normpath(Path(panda.from_run).absolute()))
    if not sees and submission.results and origin.is_relative_to(submission.results):
        origin = Path(submission.storage) / origin.relative_to(submission.results)
    elif not sees and not Path(panda.from_run).is_absolute():
        raise ExperimentFileError(
            f"panda.from: expected a run that the place sees: by its name in {submission.storage}, or its"
            f" absolute path there. Received: {panda.from_run!r}."
        )
    return experiment.model_copy(
        update={"panda": panda.model_copy(update={"from_run": str(origin)})}
    )


def _is_path(reference: str) -> bool:
    """Return whether a reference to a run or a trial of one is a path, and not a name below the storage."""
    if reference.startswith((".", "/")):
        return True
    folders = [Path(reference), Path(reference).parent]
    return any(len(f.parts) > 1 and (f / EXPERIMENT_FILE).is_file() for f in folders)


def _check_wanted(target: str, submission: Submission) -> None:
    """Refuse a run that needs no further job."""
    folder = Path(submission.results) / submission.run
    seen = submission.results != "" and "://" not in submission.results
    there = seen and (folder / EXPERIMENT_FILE).is_file()
    if there and read_run(folder, exact=True).status == "finished":
        raise RunExistsError(
            f"{folder}: expected a run that is not finished. See it with 'orchestrator show {folder}', or"
            " choose another name with '--set name=...'."
        )
    for job in known_jobs():
        if _is_of(job, target, submission) and _is_active(job):
            raise RunExistsError(
                f"{submission.run}: expected a run that no job works on. Received: {job.handle}, which"
                f" 'orchestrator status {job.handle}' shows."
            )


def _is_of(job: Job, target: str, submission: Submission) -> bool:
    """Return whether a job is of the run that is submitted, judged by the place where results are unknown."""
    if (job.run, job.results) != (submission.run, submission.results):
        return False
    there = (job.target, job.about.get("where"))
    return submission.results != "" or there == (target, _where(submission))


def _where(submission: Submission) -> dict[str, str | None]:
    return submission.options.model_dump(include=_WHERE)


def _is_active(job: Job) -> bool:
    """Return whether a job works on its run; where its place does not answer, the run's driver tells."""
    try:
        return find_target(job.target).state(job).active
    except UnknownNameError:
        return False
    except PlaceError:
        folder = reachable_run(job)
        # Not even that is seen: a second driver would be refused by the first one's lock.
        seen = see_driver(RunFolder.open(folder)) if folder is not None else None
        return seen is not None and seen.drives


@dataclass(frozen=True)
class JobStatus:
    """A job as its place knows it, and its run where the run's storage is reached from here.

    ``unasked`` is why the place could not be asked, ``state`` then None.
    """

    job: Job
    state: JobState | None
    run: RunStatus | None = None
    unasked: str | None = None

    @property
    def word(self) -> str:
        """One word. A place forgets jobs; a run's records do not."""
        said = "unknown" if self.state is None else self.state.state
        if said in ("unknown", "lost") and self.run is not None and self.run.state == "finished":
            return "finished"
        return said


def status(handle: str) -> JobStatus:
    """Return how a job stands. Raises UnknownNameError for one that nobody knows.

    A place that cannot be asked raises PlaceError where the run's records are not seen from here either.
    """
    job = find_job(handle)
    try:
        return JobStatus(job, find_target(job.target).state(job), _run(job))
    except PlaceError as error:
        run = _run(job)
        if run is None:
            raise
        return JobStatus(job, None, run, str(error))


def job_statuses() -> list[JobStatus]:
    """Return every job submitted from here, oldest first; a place that cannot be asked keeps no other back."""
    return [_asked(job) for job in known_jobs()]


def logs(handle: str, follow: bool = False) -> Iterator[str]:
    """Yield a job's output."""
    job = find_job(handle)
    return find_target(job.target).logs(job, follow)


def stop(handle: str) -> JobStatus:
    """Interrupt a job so that it can go on later, and return how it stands then."""
    job = find_job(handle)
    place = find_target(job.target)
    if place.state(job).active:
        place.stop(job)
    return JobStatus(job, place.state(job), _run(job))


def fetch(handle: str, to: Path) -> Path:
    """Bring a job's run here; return its folder. Raises UnknownNameError for a job not submitted from here."""
    job = find_job(handle)
    if not job.known:
        raise UnknownNameError(
            f"{handle}: expected a job submitted from here, whose storage is known. Received: one that"
            " 'orchestrator jobs' does not list."
        )
    return fetch_run(job, to)


def run_of(handle: str) -> str:
    """Return the folder of a job's run, with ``/TRIAL`` where the handle ends in one.

    Raises UnknownNameError where this machine does not see it.
    """
    job, trial = find_job(handle), ""
    if not job.known and "/" in handle.partition("://")[2]:
        shorter, _, trial = handle.rpartition("/")
        job = find_job(shorter)
    folder = reachable_run(job)
    if folder is None:
        raise UnknownNameError(
            f"{handle}: expected a job whose run this machine sees. Received: one whose results it does not see,"
            " or that has recorded nothing yet; 'orchestrator status' says more, 'orchestrator fetch' brings a run."
        )
    return str(folder / trial)


def _asked(job: Job) -> JobStatus:
    try:
        return JobStatus(job, find_target(job.target).state(job), _run(job))
    except (PlaceError, UnknownNameError) as error:
        return JobStatus(job, None, _run(job), str(error))


def _run(job: Job) -> RunStatus | None:
    folder = reachable_run(job)
    return None if folder is None else status_or_damage(RunFolder.open(folder))
