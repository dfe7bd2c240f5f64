"""An experiment file becomes an Experiment here: read, checked key by key, completed, written."""

from __future__ import annotations

from orchestrator.config.options import (
    AshaOptions,
    CaviarOptions,
    DataOptions,
    Experiment,
    MedianOptions,
    NoSchedulerOptions,
    PandaOptions,
    ResourceOptions,
    SchedulerOptions,
)

__all__ = [
    "AshaOptions",
    "CaviarOptions",
    "DataOptions",
    "Experiment",
    "MedianOptions",
    "NoSchedulerOptions",
    "PandaOptions",
    "ResourceOptions",
    "SchedulerOptions",
]
