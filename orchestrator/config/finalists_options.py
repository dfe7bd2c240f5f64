"""Finalists in an experiment file: how many of the best are trained again, with how many seeds, at what cost."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WrapSerializer
from pydantic_core import PydanticCustomError

from orchestrator.fields import Options, Real

_PERCENT = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?%")


def share(written: Any) -> Any:
    """Turn ``25 %`` into 0.25; anything else stays."""
    found = _PERCENT.fullmatch(written.strip()) if isinstance(written, str) else None
    return float(found[1]) / 100 if found else written


class FinalistsOptions(Options):
    """Whether the best configurations are trained again with fresh seeds at the end, and how."""

    race: bool | Literal["auto"] = Field(
        default=True,
        description="`true`: the best are trained again. `false`: they are not. `auto`: only after a search of at"
        " least 10 trials with a score, one of them of all `epochs`, and if `budget` suffices for two finalists with"
        " two seeds each.",
    )
    top: int = Field(
        default=5,
        ge=2,
        description="How many of the best configurations are trained again, at most; fewer if `budget` does not"
        " suffice for three replicates of each.",
    )
    seeds: int = Field(
        default=5,
        ge=2,
        le=1000,
        description="How many replicates each finalist has, at most; at least 2.",
    )
    budget: Annotated[Real, BeforeValidator(share, json_schema_input_type=float | str)] = Field(
        default=0.25,
        gt=0,
        le=10,
        description="The most epochs that all replicates together train, as a share of the search's own: `25 %`.",
    )
    confidence: Real = Field(
        default=0.95,
        ge=0.5,
        lt=1,
        description="The race stops when a finalist is the best with this probability.",
    )


MODEST: dict[str, Any] = {"race": "auto", "top": 3, "seeds": 3}
"""What ``finalists: auto`` stands for."""


def _form(written: Any) -> Any:
    """Turn ``finalists: auto`` and ``finalists: true`` into options."""
    if isinstance(written, dict | FinalistsOptions):
        return written
    if written == "auto":
        return MODEST
    if isinstance(written, bool) or written in ("true", "false"):
        return {"race": written in (True, "true")}
    raise PydanticCustomError(
        "finalists_form",
        "expected auto, true, false, or options such as {top: 5, seeds: 5, budget: 25 %}",
    )


def _short(options: Any, write: Any) -> Any:
    """Return the short form where it says all."""
    for form in ("auto", True, False):
        if options == FinalistsOptions(**_form(form)):
            return form
    return write(options)


WrittenFinalists = Annotated[
    FinalistsOptions,
    BeforeValidator(_form, json_schema_input_type=FinalistsOptions | bool | Literal["auto"]),
    WrapSerializer(_short),
]
"""How a file writes finalists: ``auto``, ``true``, ``false``, or a mapping of options."""


def modest() -> FinalistsOptions:
    """Return the options of an experiment that says nothing."""
    return FinalistsOptions(**MODEST)
