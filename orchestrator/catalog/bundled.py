"""The files that come with the product: at the checkout's top, inside the package in a wheel."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from orchestrator.errors import PlaceError

BundledKind = Literal["models", "search_spaces", "examples", "slurm", "docker", "k8s"]

BUNDLED_DATA = ("digits", "mnist5k")
"""The data sets a bare word can name; ``orchestrator.data`` has one reader for each."""

_ENDINGS: dict[BundledKind, str] = {
    "models": ".py",
    "search_spaces": ".yaml",
    "examples": ".yaml",
    "slurm": ".sh",
}
_PACKAGE = Path(__file__).resolve().parents[1]


def bundled_folder(kind: BundledKind) -> Path:
    """Return the folder that holds the bundled files of one kind.

    The wheel's folder is asked for first: beside an installed package, ``models`` may be anyone's.
    """
    for folder in (_PACKAGE / "bundled" / kind, _PACKAGE.parent / kind):
        if folder.is_dir():
            return folder
    raise PlaceError(f"orchestrator: the folder of bundled {kind} is missing: install it again.")


def bundled_names(kind: BundledKind) -> tuple[str, ...]:
    """Return the sorted names of the bundled files of one kind: being there is all it takes."""
    ending = _ENDINGS.get(kind, "")
    files = bundled_folder(kind).glob(f"*{ending}")
    return tuple(sorted(file.stem for file in files if not file.name.startswith(("_", "."))))


def bundled_file(kind: BundledKind, name: str) -> Path:
    """Return where the bundled file ``name`` lies on this machine, whether or not it is there."""
    return bundled_folder(kind) / f"{name}{_ENDINGS[kind]}"
