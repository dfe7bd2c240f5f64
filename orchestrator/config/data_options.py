"""Which data an experiment of Keras models is trained on, how they are split, scaled and read."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.fields import AS_LIST, Count, Flag, Options, Real, Text

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
        description="Bundled name, ./file.npz, ./table.csv, ./table.parquet, ./load.py:load or"
        " package.module:function."
    )
    label: Text | None = Field(
        default=None, description="The column of a CSV or Parquet file that holds the class."
    )
    validation: Real = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows for validation, where the data has no split.",
    )
    test: Real = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="Share of the rows for the test, where the data has no split.",
    )
    scale: Literal["auto", "standard", "minmax", "none"] = Field(
        default="auto",
        description="How the features are scaled, fitted on the training rows alone; auto: standard for a bundled"
        " model, none for your own, which gets your values.",
    )
    class_weight: Literal["balanced"] | dict[str, Real] | None = Field(
        default=None,
        description="What each training row counts by its class, as in Keras's fit: balanced, or {class: weight}.",
    )
    stream: Flag | Literal["auto"] = Field(
        default="auto", description="Read the data batch by batch instead of holding it in memory."
    )
    drop: Annotated[tuple[Text, ...], Field(strict=False), AS_LIST] = Field(
        default=(),
        description="Columns of a table that are left out, such as identifiers and dates.",
    )
    missing: Literal["refuse", "mean", "median", "most_frequent"] = Field(
        default="refuse",
        description="What fills a table's gaps, found on the training rows; text and true/false always get the most"
        " frequent value.",
    )
    columns: dict[str, Literal["number", "text"]] = Field(
        default_factory=dict,
        description="What columns of a table are, where it is not plain: {age: number, zip: text}.",
    )
    decimal: Literal["auto", ".", ","] = Field(
        default="auto", description="The sign before a number's fraction in a CSV file."
    )
    header: Flag | Literal["auto"] = Field(
        default="auto",
        description="Whether a CSV file's first line holds names; with false they are column_1, column_2, …",
    )
    sample_weight: Text | None = Field(
        default=None, description="The column of a table that says how much each row counts."
    )
    steps_per_epoch: Count | None = Field(
        default=None, description="Batches of an endless tf.data pipeline that are an epoch."
    )
    validation_steps: Count | None = Field(
        default=None, description="Batches of an endless validation pipeline that are validated on."
    )
    image_size: Annotated[tuple[Count, ...], _PAIR, AS_LIST] | None = Field(
        default=None,
        description="Height and width that the pictures of a folder get: [h, w].",
    )

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
