"""The options of the target ``docker``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.config.targets.place import FolderOptions, Memory, Texts
from orchestrator.fields import Count, Real, Text


class DockerOptions(FolderOptions):
    """A container on this machine, or on the one that the Docker client talks to."""

    storage: Text | None = Field(
        default="/runs", description="Where storage_path is mounted in the container."
    )
    image: Text = Field(
        default="orchestrator", description="The image that has the orchestrator installed."
    )
    mounts: Texts = Field(
        default=(), description="Further folders: HOST:CONTAINER or HOST:CONTAINER:ro."
    )
    gpus: Count | Literal["all"] | None = Field(
        default=None, description="How many GPUs the container sees, or all."
    )
    cpus: Real | None = Field(default=None, gt=0, description="How many CPU cores it may use.")
    memory: Memory | None = Field(
        default=None, description="How much memory it may use, such as 8G."
    )
    shm_size: Memory = Field(
        default="1G", description="Shared memory, where Ray keeps the data, such as 2G."
    )
    network: Text | None = Field(
        default=None, description="The network it joins; none: no network."
    )
    user: Text | None = Field(
        default=None, description="UID:GID that writes the results. Default: yours."
    )
    environment: dict[str, Text] = Field(
        default_factory=dict,
        description="Environment variables of the run; write a secret's value as ${ENV:NAME}.",
    )
    extra: Texts = Field(
        default=(),
        description="Further options of docker run, one per item, such as --cap-drop=ALL.",
    )
