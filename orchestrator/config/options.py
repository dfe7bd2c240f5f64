"""The experiment as typed, frozen, validated values: every key of its file is a field here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.config.limits import Length, LimitOptions, RetryOptions
from orchestrator.config.metrics import Direction, all_names, contradicts, direction_of, is_metric
from orchestrator.config.panda_options import PandaOptions
from orchestrator.config.targets import Target
from orchestrator.fields import (
    AS_LIST,
    Count,
    Flag,
    Named,
    Options,
    Real,
    Referenced,
    Text,
    Whole,
    field_error,
)
from orchestrator.redaction import redact
from orchestrator.schedulers import SCHEDULERS, AshaOptions, SchedulerOptions

SMALLEST_SHARE = 0.0001
_PAIR = Field(strict=False, min_length=2, max_length=2)
Recalibration = Literal["auto", "final", "off", "every_validation"]
SAFE_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def _source_form(value: Any) -> Any:
    """Turn ``data: digits`` into ``data: {source: digits}``."""
    if isinstance(value, str):
        return {"source": value}
    if not isinstance(value, dict | DataOptions):
        raise PydanticCustomError("data_form", "expected a source's name, or a mapping with source")
    return value


def _names(value: Any) -> Any:
    """Turn ``metrics: auc`` into ``metrics: [auc]``."""
    return [value] if isinstance(value, str) else value


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


class CaviarOptions(Options):
    """Many trials in parallel: how many, how many at once, and what stops the hopeless ones."""

    num_samples: Count = Field(default=64, description="How many trials are drawn from the space.")
    max_concurrent_trials: Count | Literal["auto"] = Field(
        default="auto", description="Trials at one time; auto: as many as the resources allow."
    )
    scheduler: Annotated[SchedulerOptions | Referenced, Named(SCHEDULERS, "scheduler")] = Field(
        default_factory=AshaOptions,
        description="none, asha, median, a class of your own as ./mine.py:Mine, or one of them with its options:"
        " {asha: {grace_period: 1, reduction_factor: 3}}.",
    )


class ResourceOptions(Options):
    """What one trial takes."""

    cpu: Real = Field(default=1, gt=0, description="CPU cores of one trial.")
    gpu: Real = Field(default=0, ge=0, description="GPUs of one trial; a fraction shares one.")

    @field_validator("cpu", "gpu")
    @classmethod
    def _a_share_that_ray_can_count(cls, share: float) -> float:
        if 0 < share < SMALLEST_SHARE:
            raise PydanticCustomError("share", f"expected at least {SMALLEST_SHARE:g}")
        return share


class Experiment(Options):
    """One experiment, complete: what a run needs to know, and what its record keeps."""

    name: str = Field(
        max_length=200,
        description="The run's folder under storage_path; the file's own name if left out.",
    )
    model: Text = Field(
        description="Bundled name (mlp, cnn, resnet), ./net.py, ./net.py:build_wide or"
        " package.module:function."
    )
    callbacks: Text | None = Field(
        default=None,
        description="A function callbacks(hp) that returns a trial's Keras callbacks, as"
        " ./net.py:callbacks; trials then train by Keras's fit.",
    )
    data: Annotated[
        DataOptions, BeforeValidator(_source_form, json_schema_input_type=str | DataOptions)
    ] = Field(description="A source by itself, or a mapping with its options.")
    search_space: Text | dict[str, Any] = Field(
        default_factory=dict,
        description="Bundled name, ./space.yaml, or a mapping of hyperparameter to domain.",
    )
    strategy: Literal["caviar", "panda"] = Field(
        default="caviar",
        description="caviar: many trials in parallel. panda: one model, watched and nudged.",
    )
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = Field(
        default="auto",
        description="What the labels are for; auto: as the labels and the model's outputs say.",
    )
    metric: Text = Field(
        default="auto",
        description="The figure that decides which trial is better; auto: val_accuracy, val_mae for a regression, or"
        " val_loss of a model that its builder compiled without an accuracy.",
    )
    metrics: Annotated[
        tuple[Text, ...],
        Field(strict=False),
        AS_LIST,
        BeforeValidator(_names, json_schema_input_type=str | tuple[Text, ...]),
    ] = Field(
        default=(),
        description="Further metrics of each validation, by name, such as [auc, macro_f1]; metric: val_macro_f1 judges"
        " by one.",
    )
    mode: Literal["max", "min"] | None = Field(
        default=None,
        description="Whether a high metric is good, or a low one; left out: as is known of the metric.",
    )
    epochs: Count = Field(default=27, description="The most epochs that a trial trains.")
    seed: Whole = Field(
        default=0, description="Decides the draws, the splits and the weights at the start."
    )
    caviar: CaviarOptions = Field(
        default_factory=CaviarOptions, description="Options of the strategy caviar."
    )
    panda: PandaOptions | None = Field(default=None, description="Options of the strategy panda.")
    resources: ResourceOptions = Field(
        default_factory=ResourceOptions, description="What one trial takes."
    )
    limits: LimitOptions = Field(
        default_factory=LimitOptions, description="Where a trial or the run ends early."
    )
    retries: RetryOptions = Field(
        default_factory=RetryOptions, description="What is tried again, and how often."
    )
    storage_path: Text = Field(
        default="./runs", description="The folder in which each run gets a folder."
    )
    keep_checkpoints: Count = Field(
        default=1, description="How many of the best trials keep their weights."
    )
    checkpoint_every: Length | Literal["auto"] = Field(
        default="auto",
        description="How often a trial in training keeps its state, to go on from after a kill; auto: every second,"
        " epoch, or ten seconds of a long epoch, less often where that would take more than a twentieth of the time,"
        " at least every 3 minutes.",
    )
    recalibrate_batch_norm: Recalibration = Field(
        default="auto",
        description="When BatchNormalization's averages are computed anew over training rows; auto: for the final"
        " model, which keeps those of training where they are better on the validation rows.",
    )
    target: Target = Field(
        default=None,
        description="Where submit takes it: a name, or options such as {slurm: {nodes: 2}}."
        " run does not look at it.",
    )
    _folder: Path = PrivateAttr(default_factory=Path)
    _references: Mapping[tuple[str | int, ...], Any] = PrivateAttr(default_factory=dict)

    @property
    def folder(self) -> Path:
        """The directory against which relative references are resolved: that of the file."""
        return self._folder

    @property
    def direction(self) -> Direction | None:
        """Whether a high metric is good, or a low one: as said, else as the metric's name tells; None: it does not."""
        return self.mode or direction_of(self.metric)

    @property
    def references(self) -> Mapping[tuple[str | int, ...], Any]:
        """What the file says at each place where it refers to the environment."""
        return self._references

    def at(
        self, folder: Path, references: Mapping[tuple[str | int, ...], Any] | None = None
    ) -> Experiment:
        """Return the same experiment, its relative references resolved against ``folder``."""
        moved = self.model_copy()
        moved._folder = folder
        if references is not None:
            moved._references = references
        return moved

    @field_validator("name")
    @classmethod
    def _a_folder_name(cls, name: str) -> str:
        if not SAFE_NAME.fullmatch(name):
            raise PydanticCustomError(
                "name", "expected letters, digits, '.', '_' and '-', not starting with '.'"
            )
        if redact(name) != name:
            raise PydanticCustomError("name", "expected a name without a secret, since it is shown")
        return name

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if not is_metric(name):
                known = {"known": sorted(all_names()), "name": name}
                raise PydanticCustomError("unknown_name", "unknown metric", known)
        return tuple(dict.fromkeys(metrics))

    @model_validator(mode="after")
    def _fits_together(self) -> Experiment:
        if self.strategy == "panda" and self.panda is None:
            what = "expected the options of strategy panda: {start: {…}} or {from: <run>}"
            raise field_error(("panda",), what, "nothing")
        if self.strategy == "caviar" and not self.search_space:
            what = "expected a bundled space's name (cnn, mlp, resnet), ./space.yaml or a mapping, to draw from"
            raise field_error(("search_space",), what, "nothing")
        if self.mode is not None and contradicts(self.mode, self.metric):
            right, good = ("min", "low") if self.mode == "max" else ("max", "high")
            expected = f"expected {right}, since a {good} {self.metric} is good"
            raise field_error(("mode",), expected, self.mode)
        self._check_scheduler()
        return self

    def _check_scheduler(self) -> None:
        """Refuse a scheduler that does not suit trials of these epochs."""
        scheduler = self.caviar.scheduler
        if self.strategy == "panda" or isinstance(scheduler, Referenced):
            return
        fault = scheduler.fault(self.epochs)
        if fault is not None:
            [name] = self.model_dump()["caviar"]["scheduler"]
            key, expected, received = fault
            raise field_error(("caviar", "scheduler", name, key), expected, received)
