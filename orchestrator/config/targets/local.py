"""The options of the target ``local``."""

from __future__ import annotations

from orchestrator.config.targets.place import FolderOptions


class LocalOptions(FolderOptions):
    """A process of its own on this machine, which outlives the terminal."""
