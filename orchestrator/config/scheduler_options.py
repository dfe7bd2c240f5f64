"""Early stopping in an experiment file: typed options, and the forms they are written in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import PydanticCustomError

SCHEDULERS = ("none", "asha", "median")


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class NoSchedulerOptions(_Options):
    """Every trial trains for all of its epochs."""

    kind: SkipJsonSchema[Literal["none"]] = "none"


class AshaOptions(_Options):
    """Asynchronous successive halving, in epochs (Li et al. 2020), stopping variant."""

    kind: SkipJsonSchema[Literal["asha"]] = "asha"
    grace_period: int = Field(
        default=1,
        ge=1,
        description="The first rung: no trial is stopped before it has trained this many epochs.",
    )
    reduction_factor: int = Field(
        default=3,
        ge=2,
        description="The best 1/reduction_factor of the trials at a rung go on to the next rung.",
    )


class MedianOptions(_Options):
    """A trial is stopped when its best value is worse than the median of the others' averages."""

    kind: SkipJsonSchema[Literal["median"]] = "median"
    grace_period: int = Field(
        default=1, ge=1, description="No trial is stopped before it has trained this many epochs."
    )
    min_trials: int = Field(
        default=3,
        ge=1,
        description="No trial is stopped before this many others have reached the same epoch.",
    )


class _AshaForm(_Options):
    asha: AshaOptions


class _MedianForm(_Options):
    median: MedianOptions


_WrittenForms = Literal["none", "asha", "median"] | _AshaForm | _MedianForm


def _tagged(written: Any) -> Any:
    """Turn ``asha`` or ``{asha: {...}`` into ``{kind: asha, ...}``, which pydantic tells apart."""
    if isinstance(written, _Options):
        return written
    if isinstance(written, str):
        written = {written: None}
    if not isinstance(written, Mapping) or len(written) != 1:
        raise PydanticCustomError(
            "scheduler_form", "expected one of none, asha, median, or {asha: {grace_period: 1}}"
        )
    [(kind, options)] = written.items()
    if kind not in SCHEDULERS:
        raise PydanticCustomError(
            "unknown_name", "no such scheduler", {"known": SCHEDULERS, "name": kind}
        )
    if options is None:
        options = {}
    if not isinstance(options, Mapping) or "kind" in options:
        raise PydanticCustomError(
            "scheduler_form", "expected the options of one scheduler, such as {grace_period: 1}"
        )
    return {**options, "kind": kind}


def _written(options: _Options) -> Any:
    """Return the form that an experiment file holds: ``none`` or ``{asha: {...}``."""
    values = options.model_dump()
    kind = values.pop("kind")
    return {kind: values} if values else kind


SchedulerOptions = Annotated[
    Annotated[NoSchedulerOptions | AshaOptions | MedianOptions, Field(discriminator="kind")],
    BeforeValidator(_tagged, json_schema_input_type=_WrittenForms),
    PlainSerializer(_written),
]
