"""Where an experiment is submitted to, in its file: one module of typed options a target."""

from orchestrator.config.targets.docker import DockerOptions
from orchestrator.config.targets.kuberay import (
    KubeRayOptions,
    TolerationOptions,
    WorkerGroupOptions,
)
from orchestrator.config.targets.local import LocalOptions
from orchestrator.config.targets.place import FolderOptions, PlaceOptions
from orchestrator.config.targets.ray import RayOptions
from orchestrator.config.targets.slurm import SlurmOptions
from orchestrator.config.targets.written import TARGETS, Target, TargetOptions

__all__ = [
    "TARGETS",
    "DockerOptions",
    "FolderOptions",
    "KubeRayOptions",
    "LocalOptions",
    "PlaceOptions",
    "RayOptions",
    "SlurmOptions",
    "Target",
    "TargetOptions",
    "TolerationOptions",
    "WorkerGroupOptions",
]
