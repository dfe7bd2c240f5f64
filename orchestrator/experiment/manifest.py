"""The facts about a run's surroundings: what someone needs to repeat or doubt it."""

from __future__ import annotations

import os
import platform
import subprocess  # noqa: TID251 (asks git which commit this is; submits nothing)
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from orchestrator.catalog import CallableReference, code_files, code_fingerprint, read_names
from orchestrator.experiment.task_facts import task_facts
from orchestrator.search.users_scheduler import scheduler_code

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


ENVIRONMENT = (
    "TF_ENABLE_ONEDNN_OPTS",
    "TF_DETERMINISTIC_OPS",
    "TF_CUDNN_DETERMINISTIC",
    "TF_XLA_FLAGS",
    "XLA_FLAGS",
    "NVIDIA_TF32_OVERRIDE",
)
"""Variables that change what TensorFlow computes, in the last digits."""


def manifest_of(prepared: Prepared) -> dict[str, Any]:
    """Return the experiment and all that is around it: versions, commit, machine, data and model, and the command."""
    return {
        "command": sys.argv,
        "folder": str(prepared.experiment.folder.resolve()),
        "seed": prepared.experiment.seed,
        "versions": versions(),
        "environment": environment(),
        "git": _git(prepared.experiment.folder),
        "machine": {
            "host": platform.node(),
            "platform": platform.platform(),
            "cores": prepared.cores,
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        },
        **surroundings_of(prepared),
        "task": task_facts(prepared),
        "experiment": yaml.safe_load(prepared.document),
    }


def surroundings_of(prepared: Prepared) -> dict[str, Any]:
    """Return what trials must have in common to be compared, beside the experiment: model, data, Keras's settings."""
    dataset, loader = prepared.dataset, prepared.loader
    return {
        "model": {
            "reference": prepared.model.text,
            "fingerprint": code_fingerprint(prepared.model),
            "files": code_files(prepared.model),
            **({"reads": _reads(prepared)} if prepared.model.given is not None else {}),
        },
        "callbacks": _code(prepared.callbacks) | {"reference": prepared.experiment.callbacks},
        "scheduler": _code(scheduler_code(prepared.experiment)),
        "data": {
            "source": dataset.source,
            "kind": prepared.data_kind,
            "fingerprint": dataset.fingerprint,
            "classes": list(dataset.classes),
            "labels": {"form": dataset.labels.form, "type": dataset.labels.type},
            "input_shape": _listed(dataset.input_shape),
            "rows": {part: getattr(dataset, part).rows for part in ("train", "validation", "test")},
            "scaling": dataset.scaling,
            "streamed": dataset.streamed,
            "files": code_files(loader) if loader is not None else {},
            "table": dataset.table.to_plain() if dataset.table else None,
        },
        "keras": prepared.keras.to_document(),
    }


def _code(code: CallableReference | None) -> dict[str, Any]:
    """Return what is noted of a function or class of the user's own, or that there is none."""
    return {
        "reference": code and code.text,
        "fingerprint": code and code_fingerprint(code),
        "files": code_files(code) if code else {},
    }


def _listed(shape: Any) -> Any:
    """Return the shape of a row as JSON has it, by input where there are several."""
    if isinstance(shape, Mapping):
        return {name: _listed(one) for name, one in shape.items()}
    return [_listed(one) if isinstance(one, tuple) else one for one in shape]


def _reads(prepared: Prepared) -> list[str]:
    """Return the hyperparameters that a model given in Python reads, whose source is not there later."""
    seen = prepared.learned.reads if prepared.learned is not None else frozenset()
    return sorted(read_names(prepared.model) | seen)


def environment() -> dict[str, str]:
    """Return what is set of the variables that change numbers."""
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


def versions() -> dict[str, str]:
    """Return Python's version and the installed ones of the packages a result depends on, without importing them."""
    found = {"python": platform.python_version()}
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
