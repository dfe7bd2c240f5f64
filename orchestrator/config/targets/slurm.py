"""The options of the target ``slurm``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from orchestrator.config.fields import Count, Text, Whole
from orchestrator.config.targets.place import Lines, Memory, PlaceOptions, written_as

TimeLimit = Annotated[
    Text,
    written_as(r"([0-9]+-)?[0-9]+(:[0-9]+){0,2}", "expected minutes, 'H:MM:SS' or 'days-H:MM:SS'"),
]


class SlurmOptions(PlaceOptions):
    """A batch job: one node, or several with Ray's head on the first."""

    partition: Text | None = Field(default=None, description="The partition (queue).")
    account: Text | None = Field(default=None, description="The account that is charged.")
    qos: Text | None = Field(default=None, description="The quality of service.")
    time: TimeLimit | None = Field(
        default=None,
        description="The time limit: minutes, H:MM:SS or days-H:MM:SS (in quotes); left out, the"
        " partition's.",
    )
    nodes: Count = Field(default=1, description="How many nodes.")
    cpus: Count = Field(default=1, description="CPU cores of each node.")
    gpus: Whole = Field(default=0, description="GPUs of each node.")
    memory: Memory | None = Field(default=None, description="Memory of each node: 16G.")
    constraint: Text | None = Field(default=None, description="Features that the nodes must have.")
    extra: Lines = Field(
        default=(), description="Further options of sbatch, one a line: --mail-type=END."
    )
    setup: Lines = Field(
        default=(),
        description="Commands before anything else, one a line: module load python.",
    )
    image: Text | None = Field(
        default=None, description="A container image that Apptainer runs everything in."
    )
    python: Text | None = Field(
        default=None,
        description="The Python that has the orchestrator there; left out, this one, or python3"
        " where setup or image is given.",
    )
    requeue: Whole = Field(
        default=20,
        description="How often the job may go back into the queue, at its time limit too; 0: never.",
    )
    warning_seconds: Count = Field(
        default=120,
        description="How long before the time limit the run is interrupted, so that it can go on"
        " in the next job.",
    )
