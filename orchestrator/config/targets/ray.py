"""The options of the target ``ray``."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config.targets.place import FromEnvironment, PlaceOptions, Texts
from orchestrator.fields import Count, Real, Text


class RayOptions(PlaceOptions):
    """A Ray cluster that exists, through its Jobs API."""

    address: Text | None = Field(
        default=None,
        description="The cluster's dashboard, http://head:8265; left out, RAY_API_SERVER_ADDRESS or"
        " RAY_ADDRESS.",
    )
    token: FromEnvironment | None = Field(
        default=None, description="The cluster's token, as ${ENV:NAME}."
    )
    working_dir: Text | None = Field(
        default=None,
        description="A folder beside the experiment that is sent whole, . for its own; left out, only"
        " what it refers to.",
    )
    packages: Texts = Field(
        default=(), description="What pip installs there before the run starts."
    )
    environment: dict[str, Text] = Field(
        default_factory=dict,
        description="Environment variables of the run; a secret's value as ${ENV:NAME}.",
    )
    cpus: Real = Field(default=0, ge=0, description="CPU cores kept for the driver alone.")
    gpus: Real = Field(default=0, ge=0, description="GPUs kept for the driver alone.")
    memory: Count | None = Field(default=None, description="Bytes kept for the driver alone.")
    resources: dict[str, Real] = Field(
        default_factory=dict, description="Custom resources that place the driver."
    )
    python: Text = Field(
        default="python", description="The Python that has the orchestrator there."
    )
    most_megabytes: Count = Field(
        default=100, description="More than this is not sent: name it where the cluster sees it."
    )
