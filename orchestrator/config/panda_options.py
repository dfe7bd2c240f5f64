"""Panda in an experiment file: where one model starts, how long its days are, who watches it."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, model_validator

from orchestrator.config.lanes import Lanes, check_lanes
from orchestrator.config.limits import Duration, Length
from orchestrator.fields import (
    AS_LIST,
    Count,
    Flag,
    Options,
    Text,
    Whole,
    field_error,
)
from orchestrator.sitter import SitterOptions, WrittenSitter


class ScheduledChange(Options):
    """What is set between two epochs, unattended."""

    epoch: Whole = Field(
        description="How many epochs are finished when it applies; 0: before the first one."
    )
    set: dict[str, Any] = Field(
        min_length=1, description="The hyperparameters that change, and their new values."
    )


class PandaOptions(Options):
    """One model, watched day by day."""

    # What follows means what it does in the options of a caviar.
    points: ClassVar[str] = "none"
    searcher: ClassVar[None] = None
    scheduler: ClassVar[None] = None
    extended_by: ClassVar[tuple[str, ...]] = ("days",)
    fixed: ClassVar[tuple[str, ...]] = (
        "epochs",
        "panda.start",
        "panda.from",
        "panda.day",
        "panda.learning_rate_test",
        "panda.schedule",
    )

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
    sitter: WrittenSitter = Field(
        default_factory=SitterOptions,
        description="`off`, `advise` or `act`; or a mapping with that as `mode`, and thresholds.",
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
    lanes: Lanes = Field(
        default=1,
        description="How many of a panda, its branches and the learning rates that its sitter tries train at a time, as"
        " lanes of one program, on `backend: jax`. `auto`: as many as train the most epochs an hour, which is measured"
        " as the run begins. What cannot be trained so says why, and trains as ever.",
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

    def check_beside(self, kind: str, epochs: int, folds: int | None) -> None:
        """Refuse folds, of which one model is trained on the first alone, and lanes of what is no Keras model."""
        check_lanes("panda", self.lanes, kind)
        if folds is not None:
            raise field_error(("data", "folds"), "expected none for strategy panda", folds)

    def last_epoch(self, epochs: int) -> int:
        """Return the epoch that schedules look ahead to: that of its last day, if a day is counted in epochs."""
        return self.days * self.day.amount if self.day.unit == "epoch" else epochs

    def check_of_epochs_alone(self, kind: str) -> None:
        """Refuse what needs the batches or the rows of a model: a trial that reports epochs tells nothing of them."""
        branches = getattr(self.sitter, "branch_and_compare", None) is not None
        asked = {
            ("day",): str(self.day) if self.day.unit == "step" else None,
            ("learning_rate_test",): "true" if self.learning_rate_test else None,
            ("sitter", "branch_and_compare"): "on" if branches else None,
        }
        for key, value in asked.items():
            if value is not None:
                expected = (
                    f"expected none beside trial, whose {kind} reports epochs, no batches or rows"
                )
                raise field_error(("panda", *key), expected, value)
