"""The options of the target ``local``."""

from __future__ import annotations

from orchestrator.config.targets.place import PlaceOptions


class LocalOptions(PlaceOptions):
    """A process of its own on this machine, which outlives the terminal."""
