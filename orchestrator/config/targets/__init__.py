"""``target:`` in an experiment file: a bare name, or options under the name of each target used; a module a target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import GetJsonSchemaHandler, create_model
from pydantic_core import CoreSchema, PydanticCustomError

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
from orchestrator.fields import Named, Options

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

TARGETS: dict[str, type[PlaceOptions]] = {
    "local": LocalOptions,
    "slurm": SlurmOptions,
    "ray": RayOptions,
    "kuberay": KubeRayOptions,
    "docker": DockerOptions,
}
"""The options of each target, which is the module of its name in ``orchestrator.targets``."""


@dataclass(frozen=True)
class TargetOptions:
    """How each target that this experiment is submitted to takes it."""

    given: Mapping[str, PlaceOptions] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """The targets that the file has options for."""
        return tuple(name for name in TARGETS if name in self.given)

    def of(self, name: str) -> PlaceOptions:
        """Return a target's options, its defaults where the file has none."""
        return self.given[name] if name in self.given else TARGETS[name]()


class _Targets(Named):
    """The options of any number of targets, or none."""

    def spelt_out(self, written: Any) -> Any:
        """Return ``{slurm: {}}`` for ``slurm``."""
        if isinstance(written, str):
            written = {written: None}
        if not isinstance(written, Mapping) or not written:
            expected = "expected a target's name, or its options such as {slurm: {nodes: 2}}"
            raise PydanticCustomError("target_form", expected)  # type: ignore[arg-type]
        for name in written:
            if name not in self.kinds:
                known = {"known": tuple(self.kinds), "name": name}
                raise PydanticCustomError("unknown_name", "unknown target", known)
        return {name: {} if options is None else options for name, options in written.items()}

    def read(self, written: Any) -> TargetOptions | None:
        """Return the options that a file writes down."""
        if isinstance(written, TargetOptions) or written is None:
            return written
        fields: dict[str, Any] = {name: (kind | None, None) for name, kind in self.kinds.items()}
        together = create_model("TargetForm", __base__=Options, **fields)
        form = self.spelt_out(written)
        checked = together.model_validate(form)
        return TargetOptions({name: getattr(checked, name) for name in form})

    def write(self, options: TargetOptions | None) -> Any:
        """Return ``{slurm: {…}}``, every default written out."""
        return options and {name: options.of(name).model_dump() for name in options.names}

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        options = {
            name: {"anyOf": [handler(kind.__pydantic_core_schema__), {"type": "null"}]}
            for name, kind in self.kinds.items()
        }
        forms = {"type": "object", "additionalProperties": False, "properties": options}
        return {"anyOf": [{"enum": list(self.kinds)}, forms, {"type": "null"}]}


Target = Annotated[TargetOptions | None, _Targets(TARGETS, "target")]
