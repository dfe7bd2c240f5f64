"""The options of the target ``slurm``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from orchestrator.config.targets.place import (
    FolderOptions,
    Line,
    Lines,
    Memory,
    lines_of,
    written_as,
)
from orchestrator.fields import AS_LIST, Count, Text, Whole, field_error

TimeLimit = Annotated[
    Text,
    written_as(r"([0-9]+-)?[0-9]+(:[0-9]+){0,2}", "expected minutes, 'H:MM:SS' or 'days-H:MM:SS'"),
]

Directives = Annotated[
    tuple[Line, ...],
    Field(strict=False),
    AS_LIST,
    BeforeValidator(lines_of, json_schema_input_type=str | tuple[Text, ...]),
]


class SlurmOptions(FolderOptions):
    """A batch job: one node, or several with Ray's head on the first."""

    partition: Line | None = Field(default=None, description="The partition (queue).")
    account: Line | None = Field(default=None, description="The account to charge.")
    qos: Line | None = Field(default=None, description="The quality of service.")
    time: TimeLimit | None = Field(
        default=None,
        description="The time limit: minutes, H:MM:SS or days-H:MM:SS (in quotes). Default: the partition's.",
    )
    nodes: Count = Field(default=1, description="How many nodes.")
    cpus: Count = Field(default=1, description="CPU cores per node.")
    gpus: Whole = Field(default=0, description="GPUs per node.")
    memory: Memory | None = Field(default=None, description="Memory per node, such as 16G.")
    constraint: Line | None = Field(default=None, description="Features that the nodes must have.")
    extra: Directives = Field(
        default=(), description="Further options of sbatch, one per line, such as --mail-type=END."
    )
    setup: Lines = Field(
        default=(),
        description="Commands to run first, one per line, such as module load python.",
    )
    image: Text | None = Field(
        default=None, description="A container image in which Apptainer runs everything."
    )
    python: Text | None = Field(
        default=None,
        description="The Python there that has the orchestrator installed. Default: the one you submit with, or python3"
        " if setup or image is given.",
    )
    requeue: Whole = Field(
        default=20,
        description="How often the job may return to the queue, time limits included; 0: never.",
    )
    warning_seconds: Count = Field(
        default=120,
        description="How long before the time limit the run is interrupted, so that the next job can continue it.",
    )

    @model_validator(mode="after")
    def _leaves_time_to_run(self) -> SlurmOptions:
        if self.time is not None and _seconds(self.time) <= self.warning_seconds:
            expected = f"expected more than warning_seconds, {self.warning_seconds} of them"
            raise field_error(("target", "slurm", "time"), expected, self.time)
        return self


def _seconds(limit: str) -> int:
    """Return a time limit in seconds: 90 is minutes, 1:30 minutes and seconds, 1-12 days and hours."""
    days, dash, rest = limit.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, minutes, seconds = (*parts, 0, 0)[:3]
    elif len(parts) < 3:
        hours, (minutes, seconds) = 0, (*parts, 0)[:2]
    else:
        hours, minutes, seconds = parts
    return ((int(days or 0) * 24 + hours) * 60 + minutes) * 60 + seconds
