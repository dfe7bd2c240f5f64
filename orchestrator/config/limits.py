"""Lengths of training, as a file writes them; the resources of a trial, the limits and retries of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator
from pydantic_core import PydanticCustomError

from orchestrator.fields import Count, Options, Real, Whole

Unit = Literal["epoch", "second", "minute", "hour", "step"]
WRITTEN = r"[1-9][0-9]{0,8} (epoch|second|minute|hour|step)s?"
WRITTEN_TIME = r"[1-9][0-9]{0,8} (second|minute|hour)s?"
SMALLEST_SHARE = 0.0001
"""The least of a core or a GPU that Ray can count."""
_SECONDS = {"second": 1, "minute": 60, "hour": 3600}


@dataclass(frozen=True)
class Duration:
    """So many epochs, steps, or so much time.

    >>> str(Duration.parse("3 epochs"))
    '3 epochs'
    """

    amount: int
    unit: Unit

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Return what is written as ``3 epochs``; raise ``ValueError`` where it is none."""
        if not re.fullmatch(WRITTEN, text):
            raise ValueError(text)
        amount, unit = text.removesuffix("s").split(" ")
        return cls(int(amount), unit)  # type: ignore[arg-type]

    @property
    def seconds(self) -> float | None:
        """Return it in seconds; None where it is counted in epochs or steps."""
        return float(self.amount * _SECONDS[self.unit]) if self.unit in _SECONDS else None

    def reached(self, epochs: int, seconds: float, steps: int) -> bool:
        """Return whether so much training completes it.

        If it is asked between epochs only, a duration of minutes or steps ends with the epoch in which
        they run out.
        """
        if self.unit == "epoch":
            return epochs >= self.amount
        if self.unit == "step":
            return steps >= self.amount
        return seconds >= self.amount * _SECONDS[self.unit]

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"


def _length(written: Any) -> Duration:
    if isinstance(written, Duration):
        return written
    try:
        return Duration.parse(written)
    except (TypeError, ValueError):
        raise PydanticCustomError(
            "duration", "expected a number and epochs, minutes or steps, such as '3 epochs'"
        ) from None


def _time(written: Any) -> Duration:
    if isinstance(written, Duration) and written.seconds is not None:
        return written
    if isinstance(written, str) and re.fullmatch(WRITTEN_TIME, written):
        return Duration.parse(written)
    raise PydanticCustomError(
        "time", "expected a number and seconds, minutes or hours, such as '30 minutes'"
    )


_LengthText = Annotated[str, Field(pattern=f"^{WRITTEN}$")]


_TimeText = Annotated[str, Field(pattern=f"^{WRITTEN_TIME}$")]


Length = Annotated[
    Duration, BeforeValidator(_length, json_schema_input_type=_LengthText), PlainSerializer(str)
]
"""A field that is any duration."""


Time = Annotated[
    Duration, BeforeValidator(_time, json_schema_input_type=_TimeText), PlainSerializer(str)
]
"""A field that is an amount of time."""


class ResourceOptions(Options):
    """The resources of one trial."""

    cpu: Real = Field(default=1, gt=0, description="CPU cores per trial.")
    gpu: Real = Field(default=0, ge=0, description="GPUs per trial; a fraction shares one.")

    @field_validator("cpu", "gpu")
    @classmethod
    def _a_share_that_ray_can_count(cls, share: float) -> float:
        if 0 < share < SMALLEST_SHARE:
            raise PydanticCustomError("share", f"expected at least {SMALLEST_SHARE:g}")
        return share


class LimitOptions(Options):
    """Where a trial or the whole run ends early. What is left out is not limited.

    A run that meets a limit ends as a finished one does, with its table and winner, and says which limit it was.
    """

    max_trial_time: Time | None = Field(
        default=None,
        description="Wall-clock time of a trial, such as `30 minutes`, added up over resumes. The trial then ends as "
        "`stopped`; one that hangs is killed.",
    )
    max_run_time: Time | None = Field(
        default=None, description="Wall-clock time of the run, added up over resumes."
    )
    max_trials: Count | None = Field(default=None, description="How many trials are started.")
    max_epochs: Count | None = Field(default=None, description="Epochs of all trials together.")
    max_failed_trials: Whole | None = Field(
        default=None, description="How many trials may fail; with one more the run is given up."
    )


class RetryOptions(Options):
    """What becomes of a trial that was lost through no fault of its own."""

    times: Whole = Field(
        default=3,
        description="How often a trial is retried after its worker died, was preempted or ran out of memory.",
    )
    wait: Time = Field(
        default=Duration(5, "second"),
        description="Time before the first retry; it doubles with each further one.",
    )
