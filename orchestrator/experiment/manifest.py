"""The facts about a run's surroundings: what someone needs to repeat or doubt it."""

from __future__ import annotations

import os
import platform
import subprocess  # noqa: TID251 (asks git which commit this is; submits nothing)
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from orchestrator.catalog import code_fingerprint

if TYPE_CHECKING:
    from orchestrator.experiment.prepared import Prepared

PACKAGES = (
    "orchestrator",
    "ray",
    "tensorflow",
    "tensorflow-cpu",
    "keras",
    "numpy",
    "pandas",
    "scikit-learn",
)


def manifest_of(prepared: Prepared) -> dict[str, Any]:
    """Return versions, commit, seed, machine, data and model fingerprints and the command."""
    dataset = prepared.dataset
    return {
        "command": sys.argv,
        "folder": str(prepared.experiment.folder.resolve()),
        "seed": prepared.experiment.seed,
        "versions": {"python": platform.python_version()} | versions(),
        "git": _git(prepared.experiment.folder),
        "machine": {
            "host": platform.node(),
            "platform": platform.platform(),
            "cores": prepared.cores,
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        },
        "model": {
            "reference": prepared.model.text,
            "fingerprint": code_fingerprint(prepared.model),
        },
        "data": {
            "source": dataset.source,
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
            "input_shape": list(dataset.input_shape),
            "rows": {part: getattr(dataset, part).rows for part in ("train", "validation", "test")},
            "scaling": dataset.scaling,
            "streamed": dataset.streamed,
            "table": dataset.table.to_plain() if dataset.table else None,
        },
    }


def versions() -> dict[str, str]:
    """Return the installed versions of the packages a result depends on, without importing them."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def _git(folder: Path) -> dict[str, Any] | None:
    """Return the commit the experiment's folder is at and whether it is dirty; None outside git."""
    commit = _ask_git(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    return {"commit": commit, "dirty": bool(_ask_git(folder, "status", "--porcelain"))}


def _ask_git(folder: Path, *question: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *question],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            env=environment,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None
