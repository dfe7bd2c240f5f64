"""Which targets there are: the modules here that have options, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from orchestrator.config.targets import TARGETS
from orchestrator.errors import UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.targets.target import Target


def find_target(name: str) -> Target:
    """Return the module that keeps the contract for a place. Raises UnknownNameError."""
    if name not in TARGETS:
        raise UnknownNameError(explain("--target", "unknown target", name, TARGETS))
    return cast("Target", import_module(f"orchestrator.targets.{name}"))
