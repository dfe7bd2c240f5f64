"""Panda in an experiment file: where one model starts, how long its days are, and every threshold of its sitter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, WrapSerializer, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.config.limits import Duration, Length
from orchestrator.fields import (
    AS_LIST,
    Count,
    Flag,
    Options,
    Real,
    Shrinking,
    Text,
    Whole,
    field_error,
)

MODES = ("off", "advise", "act")
Factors = Annotated[
    tuple[Annotated[Real, Field(gt=0)], ...], Field(strict=False, min_length=2), AS_LIST
]


class DivergenceOptions(Options):
    """When a loss has run away, and what is done about it."""

    loss_factor: Real = Field(
        default=2.0,
        gt=1,
        description="The training loss has diverged if it exceeds its best by all of three margins. The first: "
        "(`loss_factor` - 1) times the best.",
    )
    sigmas: Real = Field(
        default=3.0,
        ge=0,
        description="The second margin: this many standard deviations of the recent losses around their trend.",
    )
    window: Annotated[Count, Field(ge=3)] = Field(
        default=8, description="How many recent epochs that trend is fitted to."
    )
    smallest_rise: Real = Field(
        default=0.05,
        ge=0,
        description="The third margin: this share of the very first loss.",
    )
    learning_rate_factor: Shrinking = Field(
        default=0.5,
        description="Factor on α after a divergence, when training continues from the last good day.",
    )
    most_rollbacks: Whole = Field(
        default=3,
        description="How many such rollbacks there may be; at the next divergence the panda stops.",
    )


class PlateauOptions(Options):
    """When nothing is gained any more (for the sitter's ``patience``), and what is done then."""

    standard_errors: Real = Field(
        default=1.0,
        ge=0,
        description="A day gains if the metric improves by more than this many standard errors.",
    )
    learning_rate_factor: Shrinking = Field(
        default=0.3,
        description="Factor on α at a plateau, when training continues from the best day.",
    )
    learnt_standard_errors: Real = Field(
        default=3.0,
        ge=0,
        description="The best day must beat the untrained model by more than this many standard errors. Otherwise the "
        "model learned nothing, and the rollback goes to day 0.",
    )
    most_reductions: Whole = Field(
        default=2,
        description="How many such reductions there may be; at the next plateau the panda stops.",
    )


class OverfittingOptions(Options):
    """When validation worsens while training improves; the sitter only ever advises on it."""

    patience: Count = Field(
        default=2,
        description="Days in a row on which the validation loss rises while the training loss falls. This only leads to"
        " advice, never to an action.",
    )
    smallest_rise: Real = Field(
        default=0.02,
        ge=0,
        description="The validation loss must be above its best by more than this share.",
    )


class BranchAndCompareOptions(Options):
    """On a plateau, try a few learning rates for a short stretch and keep the best."""

    factors: Factors = Field(
        default=(0.3, 1.0, 3.0), description="The learning rates to try, as multiples of α."
    )
    epochs: Count = Field(default=1, description="How many epochs each is tried for.")
    budget_share: Real = Field(
        default=0.2,
        gt=0,
        le=1,
        description="The largest share of the panda's epochs that all such trials together may take.",
    )


def _branch_form(written: Any) -> Any:
    """Turn ``on`` into the default options, and ``off`` into None."""
    if written is None or written == "off":
        return None
    if written == "on":
        return {}
    if not isinstance(written, dict | BranchAndCompareOptions):
        raise PydanticCustomError(
            "branch_form", "expected off, on, or options such as {factors: [0.3, 1, 3]}"
        )
    return written


def _sitter_form(written: Any) -> Any:
    """Turn ``sitter: act`` into ``sitter: {mode: act}``."""
    if isinstance(written, str):
        if written not in MODES:
            raise PydanticCustomError(
                "unknown_name", "unknown mode of the sitter", {"known": MODES, "name": written}
            )
        return {"mode": written}
    if not isinstance(written, dict | SitterOptions):
        raise PydanticCustomError(
            "sitter_form",
            "expected off, advise, act, or options such as {mode: act, patience: 3}",
        )
    return written


Branching = Annotated[
    BranchAndCompareOptions | None,
    BeforeValidator(
        _branch_form, json_schema_input_type=Literal["off", "on"] | BranchAndCompareOptions
    ),
    WrapSerializer(lambda options, write: "off" if options is None else write(options)),
]


class SitterOptions(Options):
    """What the sitter does with what it sees, and from when on it sees something."""

    mode: Literal["off", "advise", "act"] = Field(
        default="advise", description="`advise`: say what to do. `act`: do it. `off`: neither."
    )
    patience: Count = Field(
        default=3, description="After this many days without a gain there is a plateau."
    )
    smallest_fall: Real = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="A day's training loss must be below the untrained model's by this share. Otherwise the model "
        "learned nothing, and a rollback goes to day 0.",
    )
    divergence: DivergenceOptions = Field(
        default_factory=DivergenceOptions, description="The loss has run away."
    )
    plateau: PlateauOptions = Field(
        default_factory=PlateauOptions, description="Nothing is gained any more."
    )
    overfitting: OverfittingOptions = Field(
        default_factory=OverfittingOptions,
        description="Validation worsens while training improves.",
    )
    branch_and_compare: Branching = Field(
        default=None,
        description="`on`, or its options: at a plateau, try a few learning rates first and keep the best.",
    )


Sitting = Annotated[
    SitterOptions,
    BeforeValidator(
        _sitter_form, json_schema_input_type=Literal["off", "advise", "act"] | SitterOptions
    ),
]


class ScheduledChange(Options):
    """What is set between two epochs, unattended."""

    epoch: Whole = Field(
        description="How many epochs are finished by then; 0: before the first one."
    )
    set: dict[str, Any] = Field(
        min_length=1, description="The hyperparameters that change, and their new values."
    )


class PandaOptions(Options):
    """One model, watched day by day."""

    model_config = ConfigDict(
        serialize_by_alias=True,
        json_schema_extra={"anyOf": [{"required": ["start"]}, {"required": ["from"]}]},
    )

    start: dict[str, Any] = Field(
        default_factory=dict,
        description="The hyperparameters of day 1; give either this or `from`.",
    )
    from_run: Text | None = Field(
        default=None,
        alias="from",
        description="A run, or `<run>/<trial>`, whose weights and hyperparameters day 1 starts from.",
    )
    day: Length = Field(
        default=Duration(1, "epoch"),
        description="The length of a day: `3 epochs`, `20 minutes`, `500 steps`. A day always ends at the end of an "
        "epoch.",
    )
    days: Count = Field(default=14, description="How many days to train.")
    sitter: Sitting = Field(
        default_factory=SitterOptions,
        description="off, advise or act; or a mapping with that as its mode, and thresholds.",
    )
    learning_rate_test: Flag = Field(
        default=False,
        description="Find a starting learning rate by a range test before day 1. It is used if `start` gives none, or "
        "with `sitter: act`.",
    )
    keep_days: Count | None = Field(
        default=None,
        description="For how many of the last days the model stays on disk; `null`: for all.",
    )
    schedule: Annotated[tuple[ScheduledChange, ...], Field(strict=False), AS_LIST] = Field(
        default=(),
        description="Changes at set times, in any order: `{epoch: 6, set: {learning_rate: 0.01}}` applies after six "
        "finished epochs.",
    )

    @model_validator(mode="after")
    def _starts_somewhere(self) -> PandaOptions:
        if self.from_run is None and "start" not in self.model_fields_set:
            raise field_error(
                ("panda", "start"), "expected the hyperparameters of day 1, or a run as from", None
            )
        if self.from_run is not None and self.start:
            expected = "expected either start or from, not both; what else differs can be set"
            raise field_error(("panda", "from"), expected, self.from_run)
        return self
