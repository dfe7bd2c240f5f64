"""``target:`` in an experiment file: a bare name, or options under the name of each target used."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, Field, WrapSerializer
from pydantic_core import PydanticCustomError

from orchestrator.config.targets.docker import DockerOptions
from orchestrator.config.targets.kuberay import KubeRayOptions
from orchestrator.config.targets.local import LocalOptions
from orchestrator.config.targets.place import PlaceOptions
from orchestrator.config.targets.ray import RayOptions
from orchestrator.config.targets.slurm import SlurmOptions
from orchestrator.fields import Options

TargetName = Literal["local", "slurm", "ray", "kuberay", "docker"]
TARGET_NAMES: tuple[str, ...] = get_args(TargetName)


class TargetOptions(Options):
    """How each target that this experiment is submitted to takes it."""

    local: LocalOptions | None = Field(default=None, description="This machine, detached.")
    slurm: SlurmOptions | None = Field(default=None, description="A Slurm cluster.")
    ray: RayOptions | None = Field(default=None, description="A Ray cluster that exists.")
    kuberay: KubeRayOptions | None = Field(default=None, description="Kubernetes with KubeRay.")
    docker: DockerOptions | None = Field(default=None, description="A Docker container.")

    @property
    def names(self) -> tuple[str, ...]:
        """The targets that the file has options for."""
        return tuple(name for name in TARGET_NAMES if getattr(self, name) is not None)

    def of(self, name: str) -> PlaceOptions:
        """Return a target's options, its defaults where the file has none."""
        found: PlaceOptions | None = getattr(self, name)
        return found if found is not None else DEFAULTS[name]()


DEFAULTS: dict[str, type[PlaceOptions]] = {
    "local": LocalOptions,
    "slurm": SlurmOptions,
    "ray": RayOptions,
    "kuberay": KubeRayOptions,
    "docker": DockerOptions,
}


def _form(written: Any) -> Any:
    """Turn ``target: slurm`` into ``target: {slurm: {}}``."""
    if isinstance(written, str):
        written = {written: None}
    if isinstance(written, TargetOptions) or written is None:
        return written
    if not isinstance(written, dict) or not written:
        raise PydanticCustomError(
            "target_form", "expected a target's name, or its options such as {slurm: {nodes: 2}}"
        )
    for name in written:
        if name not in TARGET_NAMES:
            known = {"known": TARGET_NAMES, "name": name}
            raise PydanticCustomError("unknown_name", "unknown target", known)
    return {name: {} if options is None else options for name, options in written.items()}


Target = Annotated[
    TargetOptions | None,
    BeforeValidator(_form, json_schema_input_type=TargetName | TargetOptions | None),
    WrapSerializer(
        lambda options, write: options and {k: v for k, v in write(options).items() if v}
    ),
]
