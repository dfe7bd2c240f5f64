"""The files that an experiment refers to, and how it refers to them from the folder it is sent in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

from orchestrator.catalog import CallableReference, find_data, find_model, find_trial, source_files
from orchestrator.config import CommandTrial, Experiment
from orchestrator.config.targets import PlaceOptions
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain
from orchestrator.experiment.kinds.command_trials import named_files
from orchestrator.experiment.kinds.keras_experiment import callbacks_of
from orchestrator.search.users_own import scheduler_code, searcher_code
from orchestrator.targets import EXPERIMENT_FILE, SentFile

_OUTSIDE = "elsewhere"
"""Where what lies outside the experiment's folder goes."""
_SKIPPED = ("__pycache__", ".git", ".venv", ".gitignore", ".rayignore")
"""Ray leaves out what ignore files name, data for instance: without them, what is listed is what is sent."""


@dataclass
class Gathered:
    """Files to send, by where they will lie, and the references by which the sent experiment finds them.

    ``references`` has them by the experiment's keys. ``reads`` are folders that it may read where they are, for a place
    that sees them.
    """

    folder: Path
    references: dict[str, str] = field(default_factory=dict)
    sent: dict[str, Path] = field(default_factory=dict)
    reads: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[SentFile, ...]:
        """What is sent beside the complete experiment, which takes the place of one of its name."""
        sent = sorted(self.sent.items())
        return tuple(SentFile(source, there) for there, source in sent if there != EXPERIMENT_FILE)

    def take(self, file: Path, root: Path) -> str:
        """Send a file; return where it will lie: as in the experiment's folder, or as seen from ``root``.

        A link goes under its own name: that is the one by which it is read.
        """
        if file.is_relative_to(self.folder):
            there = file.relative_to(self.folder).as_posix()
        else:
            there = str(PurePosixPath(_OUTSIDE, root.name, file.relative_to(root)))
        known = self.sent.setdefault(there, file)
        if known.resolve() != file.resolve():
            raise UnknownNameError(
                f"{file}: expected a folder of another name than {known.parent}'s, since both"
                " would be sent to one place."
            )
        return there


def gather(experiment: Experiment, options: PlaceOptions, in_place: bool) -> Gathered:
    """Return the files that an experiment needs and its references to them where it is sent.

    ``in_place`` leaves data where it is, for a place that sees it; code is copied all the same, so that what was
    submitted is what runs. A reference that begins with ``/`` means the place's own files and is left alone unless
    it is there.
    """
    folder = experiment.folder.resolve()
    gathered = Gathered(folder)
    code = code_of(experiment)
    gathered.references |= {key: _sent_code(gathered, each) for key, each in code.items()}
    if isinstance(experiment.trial, CommandTrial):
        for file in named_files(experiment.trial, folder).values():
            gathered.take(file, folder)
    python = experiment.trial.interpreter if experiment.trial else None
    if python is not None and "/" in python:
        gathered.references["python"] = _python_there(python, folder, in_place)
    named = [each.place for each in code.values()]
    if experiment.data is not None:
        gathered.references["data"] = _sent_data(
            gathered, experiment.data.source, experiment, in_place
        )
    if in_place:
        if experiment.data is not None:
            named.append(find_data(experiment.data.source, experiment.folder).place)
        named = [str(Path(place).parent) for place in named if "/" in place]
        gathered.reads = tuple(dict.fromkeys([folder, *map(Path, named)]))
    skipped = (*options.excludes, *_SKIPPED, Path(experiment.storage_path).name)
    whole: str | None = getattr(options, "working_dir", None)
    further = [("ship", text) for text in options.ship]
    for key, text in [*further, *([("working_dir", whole)] if whole else [])]:
        for file in _files(_beside(folder, key, text), skipped):
            gathered.take(file, folder.parent)
    return gathered


def _python_there(python: str, folder: Path, in_place: bool) -> str:
    """Return the path of an interpreter where the experiment is sent; an environment is not sent.

    Raises ExperimentFileError for a path of ours that the place does not see.
    """
    if not in_place and not python.startswith("/"):
        expected = "expected an interpreter that the place has: its absolute path there, or a name on its PATH"
        raise ExperimentFileError(explain("trial.python", expected, python))
    return os.path.abspath(folder / Path(python).expanduser())  # noqa: PTH100 (a link is its environment's)


def _sent_code(gathered: Gathered, reference: CallableReference) -> str:
    """Send a function's file and those beside it that it imports; return the reference to it.

    What it imports from elsewhere is that place's to have.
    """
    if reference.kind != "file":
        return reference.text
    file = Path(reference.place)
    beside = (each for each in source_files(reference) if each.is_relative_to(file.parent))
    for source in beside:
        gathered.take(source, file.parent)
    return f"./{gathered.take(file, file.parent)}:{reference.function}"


def code_of(experiment: Experiment) -> dict[str, CallableReference]:
    """Return the code that an experiment names, by its keys. Raises as finding each of it does."""
    folder = experiment.folder
    trial = experiment.trial
    found = {
        "trial": find_trial(trial, folder) if trial and trial.python_function else None,
        "model": find_model(experiment.model, folder) if experiment.model else None,
        "callbacks": callbacks_of(experiment),
        "searcher": searcher_code(experiment),
        "scheduler": scheduler_code(experiment),
    }
    return {key: code for key, code in found.items() if code is not None}


def _sent_data(gathered: Gathered, written: str, experiment: Experiment, in_place: bool) -> str:
    if written.startswith("/") and not (in_place or Path(written.partition(":")[0]).exists()):
        return written
    reference = find_data(written, experiment.folder)
    if reference.function is not None:
        return _sent_code(gathered, reference.function)
    if reference.kind == "bundled":
        return written
    if in_place or written.startswith("/"):
        return reference.place
    place = Path(reference.place)
    if reference.kind == "folder":
        sent = [(file, gathered.take(file, place)) for file in _files(place, ())]
        if not sent:
            raise UnknownNameError(
                f"data {written}: a folder of pictures was expected, and it is empty."
            )
        file, there = sent[0]
        return f"./{there.removesuffix(file.relative_to(place).as_posix())}"
    return f"./{gathered.take(place, place.parent)}"


def _beside(folder: Path, key: str, written: str) -> Path:
    """Return what ``ship`` or ``working_dir`` names, in the experiment's folder or near it, links as they are."""
    path = Path(os.path.normpath(folder / written))
    if not path.is_relative_to(folder.parent):
        raise UnknownNameError(
            f"{key}: expected a file or folder below {folder.parent}, since it keeps its place beside the"
            f" experiment. Received: {written!r}; a link to it beside the experiment is followed."
        )
    if not path.exists():
        raise UnknownNameError(
            f"{key}: expected a file or folder beside the experiment. Received: {written!r}."
        )
    return path


def _files(path: Path, skipped: tuple[str, ...]) -> Iterator[Path]:
    """Yield the file, or every file below the folder, through links too; a link back up is not followed."""
    if path.is_file():
        yield from () if path.name in _SKIPPED else (path,)
        return
    for root, folders, names in os.walk(path, followlinks=True):
        here = Path(root)
        above = {each.resolve() for each in (here, *here.parents)}
        kept = [each for each in folders if not _left_out(here / each, path, skipped)]
        folders[:] = sorted(each for each in kept if (here / each).resolve() not in above)
        for file in sorted(here / name for name in names):
            if file.is_file() and not _left_out(file, path, skipped):
                yield file


def _left_out(file: Path, root: Path, skipped: tuple[str, ...]) -> bool:
    names = (file.relative_to(root).as_posix(), file.name)
    return any(fnmatch(name, pattern) for name in names for pattern in skipped)
