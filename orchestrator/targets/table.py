"""Which targets there are: name to module, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from orchestrator.errors import UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.targets.target import Target

TARGETS = {
    "local": "orchestrator.targets.local",
    "slurm": "orchestrator.targets.slurm",
    "ray": "orchestrator.targets.ray",
    "kuberay": "orchestrator.targets.kuberay",
    "docker": "orchestrator.targets.docker",
}


def find_target(name: str) -> Target:
    """Return the module that keeps the contract for a place. Raises UnknownNameError."""
    if name not in TARGETS:
        raise UnknownNameError(explain("--target", "unknown target", name, TARGETS))
    return cast("Target", import_module(TARGETS[name]))
