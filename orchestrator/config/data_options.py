"""Which data an experiment of Keras models is trained on, how they are split, scaled and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.fields import AS_LIST, Count, Flag, Options, Real, Text, Whole

_Folds = Annotated[Count, Field(ge=2, le=100)]
_PAIR = Field(strict=False, min_length=2, max_length=2)
NOT_THERE = object()
"""Stands for a key that an experiment of Keras models has to have."""


def there(value: Any) -> Any:
    """Refuse what stands for a key that is missing."""
    if value is NOT_THERE:
        raise PydanticCustomError("missing", "Field required")
    return value


def source_form(value: Any) -> Any:
    """Turn ``data: digits`` into ``data: {source: digits}``."""
    if there(value) is None:
        return None
    if isinstance(value, str):
        return {"source": value}
    if not isinstance(value, dict | DataOptions):
        raise PydanticCustomError("data_form", "expected a source's name, or a mapping with source")
    return value


class DataOptions(Options):
    """Which data, and how it is split and scaled."""

    source: Text = Field(
        description="`digits`, `mnist5k`, or your own: `./file.npz`, `./table.csv`, `./table.parquet`,"
        " `./load.py:load` or `package.module:function`. The same as `data: source` by itself."
    )
    label: Text | None = Field(
        default=None, description="The label column of a table (CSV, Parquet, a frame)."
    )
    validation: Real = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows used for validation, if the data has no split of its own.",
    )
    test: Real = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows used for the test, if the data has no split of its own. Test rows are used once,"
        " for the winner.",
    )
    scale: Literal["auto", "standard", "minmax", "none"] = Field(
        default="auto",
        description="`standard`, `minmax` or `none`. Fitted on the training rows only, and part of the saved model. "
        "`auto`: `standard` for a bundled model; `none` for your own model, which gets your values "
        "unchanged, and for `tf.data`.",
    )
    class_weight: Literal["balanced"] | dict[str, Real] | None = Field(
        default=None,
        description="How much each training row counts in the loss, by its class: `balanced`, or for example `{sick: "
        "5}`, where the other classes count 1.",
    )
    stream: Flag | Literal["auto"] = Field(
        default="auto",
        description="Whether CSV, Parquet or images are read batch by batch. `auto`: if they would take more than a "
        "quarter of the free memory. `false` with `tf.data`: its rows are read once and kept in memory.",
    )
    drop: Annotated[tuple[Text, ...], Field(strict=False), AS_LIST] = Field(
        default=(),
        description="Columns of a table to leave out, such as identifiers and dates: `[id, when]`.",
    )
    missing: Literal["refuse", "mean", "median", "most_frequent"] = Field(
        default="refuse",
        description="What fills missing values of a table: `mean`, `median` or `most_frequent` of the training rows. "
        "Text and true/false always get the most frequent value.",
    )
    columns: dict[str, Literal["number", "text"]] = Field(
        default_factory=dict,
        description="The type of columns for which it is unclear: `{age: number, zip: text}`. In a `number` column, "
        "anything that is not a number counts as missing.",
    )
    decimal: Literal["auto", ".", ","] = Field(
        default="auto",
        description='The decimal separator of a CSV file, `"."` or `","`. `auto`: inferred from the numbers.',
    )
    header: Flag | Literal["auto"] = Field(
        default="auto",
        description="Whether the first line of a CSV file holds column names. With `false` the columns are `column_1`, "
        "`column_2`, …",
    )
    sample_weight: Text | None = Field(
        default=None,
        description="The column of a table that says how much each row counts in the loss. It is not a feature.",
    )
    groups: Text | None = Field(
        default=None,
        description="The column (of a table), or the array's name (of an .npz file or a loader's dict), that says which"
        " rows belong together, such as those of one patient: no group is in two of training, validation and test"
        " rows. It is not a feature.",
    )
    order: Text | None = Field(
        default=None,
        description="The column or array of times or numbers by which rows are split: training rows come first, then"
        " validation rows, then test rows; equal values stay together. It is not a feature.",
    )
    folds: _Folds | None = Field(
        default=None,
        description="Cross-validation: how many folds the rows beside the test rows are divided into. Every trial has"
        " the first one, the replicates of `caviar.finalists` the others in turn. In place of `validation`.",
    )
    steps_per_epoch: Count | None = Field(
        default=None, description="How many batches of an endless `tf.data` pipeline make an epoch."
    )
    validation_steps: Count | None = Field(
        default=None,
        description="How many batches of an endless validation or test pipeline are used; the same ones each time.",
    )
    image_size: Annotated[tuple[Count, ...], _PAIR, AS_LIST] | None = Field(
        default=None,
        description="The `[height, width]` to which the images of a folder are resized.",
    )

    profile_rows: Whole = Field(
        default=256,
        le=100_000,
        description="How many training rows the run's folder keeps, with quantiles and counts of all, in"
        " `data-profile.npz`, so that `reevaluate` can name what changed when the source was replaced. `0`: quantiles"
        " and counts alone, for data whose rows must not be copied.",
    )

    example_rows: Whole | Literal["auto"] = Field(
        default="auto",
        description="How many of the validation rows that the winner gets most wrong the run's folder keeps, in"
        " `best/examples.json`, and its page shows: as pictures, texts or a table's values. At most 100. `auto`: 12 of"
        " bundled data, and none of yours, since a page is made to be sent to others.",
    )

    def examples_of(self, bundled: bool) -> int:
        """Return how many rows may be kept of data that are bundled, or a user's own."""
        if self.example_rows == "auto":
            return 12 if bundled else 0
        return min(self.example_rows, 100)

    def for_model(self, bundled: bool) -> DataOptions:
        """Return the same with ``scale: auto`` decided: a user's model gets the user's values."""
        if self.scale != "auto" or bundled:
            return self
        return self.model_copy(update={"scale": "none"})

    @field_validator("label", mode="before")
    @classmethod
    def _one_column(cls, label: object) -> object:
        if isinstance(label, list | tuple):
            raise PydanticCustomError(
                "label",
                "expected one column; several come from a loader of your own, as columns of its y",
            )
        return label

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> DataOptions:
        if self.validation + self.test >= 1:
            raise PydanticCustomError(
                "split", "expected validation + test below 1, so that rows remain to train on"
            )
        return self

    @model_validator(mode="after")
    def _split_along_one(self) -> DataOptions:
        if self.groups is not None and self.order is not None:
            raise PydanticCustomError(
                "split", "expected one of groups and order: rows are split along one of them"
            )
        if self.folds is not None and self.validation != 0.2:
            raise PydanticCustomError(
                "split", "expected one of folds and validation: a fold's share is 1 / folds"
            )
        return self
