"""The options of the target ``ray``."""

from __future__ import annotations

from pydantic import Field

from orchestrator.config.targets.place import FromEnvironment, PlaceOptions, Texts
from orchestrator.fields import Count, Real, Text


class RayOptions(PlaceOptions):
    """A Ray cluster that exists, through its Jobs API."""

    address: Text | None = Field(
        default=None,
        description="The cluster's dashboard, such as http://head:8265. Default: RAY_API_SERVER_ADDRESS or"
        " RAY_ADDRESS.",
    )
    token: FromEnvironment | None = Field(
        default=None, description="The cluster's token, as `${ENV:NAME}`."
    )
    working_dir: Text | None = Field(
        default=None,
        description="A folder beside the experiment that is sent whole; . is the experiment's own. Default: send only "
        "what the experiment refers to.",
    )
    packages: Texts = Field(
        default=(), description="Packages that pip installs there before the run starts."
    )
    environment: dict[str, Text] = Field(
        default_factory=dict,
        description="Environment variables of the run; write a secret's value as ${ENV:NAME}.",
    )
    cpus: Real = Field(default=0, ge=0, description="CPU cores reserved for the driver.")
    gpus: Real = Field(default=0, ge=0, description="GPUs reserved for the driver.")
    memory: Count | None = Field(
        default=None, description="Bytes of memory reserved for the driver."
    )
    resources: dict[str, Real] = Field(
        default_factory=dict, description="Custom resources that decide where the driver is placed."
    )
    python: Text = Field(
        default="python", description="The Python there that has the orchestrator installed."
    )
    most_megabytes: Count = Field(
        default=100,
        description="A larger upload is refused: put such data where the cluster sees it.",
    )
