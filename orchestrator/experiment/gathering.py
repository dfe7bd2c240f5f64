"""The files that an experiment refers to, and how it refers to them from the folder it is sent in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from orchestrator.catalog import CallableReference, find_data, find_model, source_files
from orchestrator.config import Experiment
from orchestrator.config.targets import PlaceOptions
from orchestrator.errors import UnknownNameError
from orchestrator.targets import SentFile

_OUTSIDE = "elsewhere"
"""Where what lies outside the experiment's folder goes."""
_SKIPPED = ("__pycache__", ".git", ".venv", ".gitignore", ".rayignore")
"""Ray leaves out what ignore files name, data for instance: without them, what is listed is what is sent."""


@dataclass
class Gathered:
    """Files to send, by where they lie here, and the references by which the sent experiment finds them."""

    folder: Path
    model: str
    data: str
    sent: dict[Path, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[SentFile, ...]:
        """What is sent, by where it will lie."""
        pairs = sorted(self.sent.items(), key=lambda pair: pair[1])
        return tuple(SentFile(source, there) for source, there in pairs)

    def take(self, file: Path, root: Path) -> str:
        """Send a file; return where it will lie: as in the experiment's folder, or as seen from ``root``."""
        source = file.resolve()
        if source.is_relative_to(self.folder):
            there = source.relative_to(self.folder).as_posix()
        else:
            there = f"{_OUTSIDE}/{root.name}/{source.relative_to(root).as_posix()}"
        taken = {place: known for known, place in self.sent.items()}
        if taken.get(there, source) != source:
            raise UnknownNameError(
                f"{source}: expected a folder of another name than {taken[there].parent}'s, since both"
                " would be sent to one place."
            )
        self.sent[source] = there
        return there


def gather(experiment: Experiment, options: PlaceOptions, in_place: bool) -> Gathered:
    """Return the files that an experiment needs and its references to them where it is sent.

    ``in_place`` leaves data where it is, for a place that sees it; code is copied all the same, so that what was
    submitted is what runs. A reference that begins with ``/`` means the place's own files and is left alone unless
    it is there.
    """
    folder = experiment.folder.resolve()
    gathered = Gathered(folder, experiment.model, experiment.data.source)
    model = find_model(experiment.model, experiment.folder)
    gathered.model = _sent_code(gathered, model)
    gathered.data = _sent_data(gathered, experiment, in_place)
    skipped = (*options.excludes, *_SKIPPED, Path(experiment.storage_path).name)
    whole = getattr(options, "working_dir", None)
    for text in (*options.ship, *([whole] if whole else [])):
        for file in _further(folder / text, text, skipped):
            gathered.take(file, folder.parent)
    return gathered


def _sent_code(gathered: Gathered, reference: CallableReference) -> str:
    """Send a function's file and those beside it that it imports; return the reference to it."""
    if reference.kind != "file":
        return reference.text
    file = Path(reference.place)
    for source in source_files(reference):
        gathered.take(source, file.parent)
    return f"./{gathered.sent[file.resolve()]}:{reference.function}"


def _sent_data(gathered: Gathered, experiment: Experiment, in_place: bool) -> str:
    written = experiment.data.source
    if written.startswith("/") and not (in_place or Path(written.partition(":")[0]).exists()):
        return written
    reference = find_data(written, experiment.folder)
    if reference.function is not None:
        return _sent_code(gathered, reference.function)
    if reference.kind == "bundled":
        return written
    if in_place or written.startswith("/"):
        return reference.place
    return f"./{gathered.take(Path(reference.place), Path(reference.place).parent)}"


def _further(path: Path, written: str, skipped: tuple[str, ...]) -> Iterator[Path]:
    """Yield the file, or every file below the folder, that ``ship`` names."""
    if not path.exists():
        raise UnknownNameError(
            f"ship: expected a file or folder beside the experiment. Received: {written!r}."
        )
    if path.is_file():
        yield from () if path.name in _SKIPPED else (path,)
        return
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path)
        names = (inside.as_posix(), *inside.parts)
        left_out = any(fnmatch(name, pattern) for name in names for pattern in skipped)
        if file.is_file() and not left_out:
            yield file
