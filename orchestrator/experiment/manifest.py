"""The facts about a run's surroundings: what someone needs to repeat or doubt it."""

from __future__ import annotations

import os
import platform
import subprocess  # noqa: TID251 (asks git which commit this is; submits nothing)
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import yaml

from orchestrator.experiment.kinds.keras_trials import code_facts
from orchestrator.experiment.prepared import folder_of
from orchestrator.search.users_own import scheduler_code, searcher_code
from orchestrator.tuning.machine import versions

if TYPE_CHECKING:
    from orchestrator.experiment.prepared import Prepared

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
        "run_folder": str(folder_of(prepared.experiment).path.resolve()),
        "seed": prepared.experiment.seed,
        "versions": versions(prepared.experiment.backend),
        "environment": environment(),
        "git": _git(prepared.experiment.folder),
        "machine": {
            "host": platform.node(),
            "platform": platform.platform(),
            "cores": prepared.cores,
            "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        },
        **surroundings_of(prepared),
        "task": prepared.trials.facts(),
        "experiment": yaml.safe_load(prepared.document),
    }


OF_THE_RUN = ("trial", "model", "callbacks", "searcher", "scheduler", "data", "keras")


def of_the_run(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a manifest says of the data and the code, of all that it says."""
    return {name: facts[name] for name in OF_THE_RUN if name in facts}


def surroundings_of(prepared: Prepared) -> dict[str, Any]:
    """Return what trials must have in common to be compared, beside the experiment: the code that each is made of."""
    return {
        **prepared.trials.surroundings(),
        "searcher": code_facts(searcher_code(prepared.experiment)),
        "scheduler": code_facts(scheduler_code(prepared.experiment)),
    }


def environment() -> dict[str, str]:
    """Return what is set of the variables that change numbers."""
    return {name: os.environ[name] for name in ENVIRONMENT if name in os.environ}


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
