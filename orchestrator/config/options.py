"""The experiment as typed, frozen, validated values: every key of its file is a field here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.config.caviar_options import CaviarOptions
from orchestrator.config.data_options import NOT_THERE, DataOptions, source_form, there
from orchestrator.config.document import SAFE_NAME, Places, next_name
from orchestrator.config.limits import Length, LimitOptions, ResourceOptions, RetryOptions
from orchestrator.config.metrics import Direction, all_names, contradicts, direction_of, is_metric
from orchestrator.config.panda_options import PandaOptions
from orchestrator.config.targets import TARGETS, Target
from orchestrator.config.trial_options import Trial, check_trial, learns_from_data
from orchestrator.domains.constraint import Constraint
from orchestrator.domains.space import Space
from orchestrator.domains.values import InvalidDomain
from orchestrator.fields import (
    AS_LIST,
    Count,
    Flag,
    Options,
    Text,
    Whole,
    field_error,
)
from orchestrator.paths import written_out
from orchestrator.redaction import redact

OF_KERAS = ("model", "data")
OF_KERAS_AT_WILL = (
    "backend",
    "callbacks",
    "task",
    "metrics",
    "checkpoint_every",
    "recalibrate_batch_norm",
)
Recalibration = Literal["auto", "final", "off", "every_validation"]


def _as_list(value: Any) -> Any:
    """Turn ``metrics: auc`` into ``metrics: [auc]``."""
    return [value] if isinstance(value, str) else value


OneOrMore = Annotated[
    tuple[Text, ...],
    Field(strict=False),
    AS_LIST,
    BeforeValidator(_as_list, json_schema_input_type=str | tuple[Text, ...]),
]
"""A list of texts, or one text by itself."""


@dataclass(frozen=True)
class _Parsed:
    """A search space, and of which mapping under which constraints. Any two are equal, since it follows from those."""

    of: Any = field(default=None, compare=False)
    under: tuple[str, ...] = field(default=(), compare=False)
    space: Space | None = field(default=None, compare=False)


class Experiment(Options):
    """One experiment, complete: what a run needs to know, and what its record keeps."""

    name: str = Field(
        max_length=200,
        description="The run's folder under `storage_path`, by default the file's own name: letters, digits, `.`, `_`,"
        " `-`. Only `--overwrite` replaces it. `auto`: the file's own name and the next free number, as `digits-2`.",
    )
    trial: Trial = Field(
        default=None,
        description="A function `train(hp, report)` of your own that each trial calls, such as `./train.py:train`, in"
        " place of `model` and `data`.",
    )
    model: Annotated[Text | None, BeforeValidator(there, json_schema_input_type=Text)] = Field(
        default=None,
        description="`mlp`, `cnn`, `resnet`, or your own: `./net.py`, `./net.py:build_wide` or"
        " `package.module:function`.",
    )
    backend: Literal["tensorflow", "jax", "torch"] = Field(
        default="tensorflow",
        description="What Keras trains on: `tensorflow`, `jax` or `torch`. The last two are packages to install:"
        " `pip install 'orchestrator[jax]'`, `'orchestrator[torch]'`.",
    )
    callbacks: Text | None = Field(
        default=None,
        description="A function `callbacks(hp)` that returns a trial's Keras callbacks, such as `./net.py:callbacks`."
        " Trials then train by Keras's `fit`.",
    )
    data: Annotated[
        DataOptions | None, BeforeValidator(source_form, json_schema_input_type=str | DataOptions)
    ] = Field(
        default=None,
        description="`digits`, `mnist5k`, or your own source, such as `./table.csv`; or a mapping with its options.",
    )
    search_space: Text | dict[str, Any] = Field(
        default_factory=dict,
        description="`mlp`, `cnn`, `resnet`, `./space.yaml`, or a mapping of hyperparameter to domain.",
    )
    constraints: OneOrMore = Field(
        default=(),
        description="What must hold of a trial's hyperparameters together, such as `[units * hidden_layers <= 512]`;"
        " trials are drawn from what is left.",
    )
    strategy: Literal["caviar", "panda"] = Field(
        default="caviar",
        description="`caviar`: many trials in parallel. `panda`: one model that you watch and adjust.",
    )
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = Field(
        default="auto",
        description="What is learned: `classification`, `binary`, `multilabel` or `regression`. `auto`: inferred from"
        " the labels and from your model's outputs.",
    )
    metric: Text = Field(
        default="auto",
        description="The metric that decides which trial is better: `val_loss`, `val_` with one of `metrics`, or one"
        " that your model reports. `auto`: `val_accuracy`; `val_mae` for a regression; `val_loss` for a model that its"
        " builder compiled without an accuracy.",
    )
    metrics: OneOrMore = Field(
        default=(),
        description="Additional validation metrics by name, such as `[auc, macro_f1]`. Use one to choose the winner"
        " with `metric: val_macro_f1`.",
    )
    mode: Literal["max", "min"] | None = Field(
        default=None,
        description="`max` or `min`: whether a high or a low value of the metric is good. Needed only if neither"
        " its name nor its class tells which.",
    )
    epochs: Count = Field(default=27, description="The most epochs that a trial trains.")
    seed: Whole = Field(default=0, description="Determines draws, splits and initial weights.")
    caviar: CaviarOptions = Field(
        default_factory=CaviarOptions, description="Options of the strategy caviar."
    )
    panda: PandaOptions | None = Field(default=None, description="Options of the strategy panda.")
    resources: ResourceOptions = Field(
        default_factory=ResourceOptions, description="The resources of one trial."
    )
    limits: LimitOptions = Field(
        default_factory=LimitOptions, description="Where a trial or the run ends early."
    )
    retries: RetryOptions = Field(
        default_factory=RetryOptions, description="What is tried again, and how often."
    )
    storage_path: Text = Field(default="./runs", description="The folder of all runs' own folders.")
    keep_checkpoints: Count = Field(
        default=1,
        description="How many of the best trials, over the whole run, keep their weights.",
    )
    checkpoint_every: Length | Literal["auto"] = Field(
        default="auto",
        description="How often a trial saves its state, from which it continues after a kill: `5 epochs`, `2 minutes`,"
        " `500 steps`. With a time or steps, also within a long epoch. `auto`: after each epoch, but at most once a"
        " second; every ten seconds within a long epoch; less often if saving would take more than 5 % of the time,"
        " but at least every 3 minutes.",
    )
    recalibrate_batch_norm: Recalibration = Field(
        default="auto",
        description="When BatchNormalization's moving averages are recomputed, over up to 10,000 training rows."
        " `auto`: for the final model, which keeps whichever averages give the better `metric` on the validation rows,"
        " or at a tie the better loss; test rows decide nothing. `final`: for the final model, always. `off`: never."
        " `every_validation`: before each validation, so that a trial's metrics differ from those of Keras's `fit`,"
        " and for the final model. A hyperparameter of this name takes precedence.",
    )
    report: Flag = Field(default=True, description="Whether a run writes `report.html` at its end.")
    licence: Text | None = Field(
        default=None,
        description="The licence under which the winner may be used, such as `CC-BY-4.0`, for its model card.",
    )
    target: Target = Field(
        default=None,
        description=f"Where `orchestrator submit` runs it: {', '.join(f'`{name}`' for name in TARGETS)}, or options of"
        " one or several. `run` ignores it.",
    )
    _folder: Path = PrivateAttr(default_factory=Path)
    _places: Places = PrivateAttr(default_factory=Places)
    _references: Mapping[tuple[str | int, ...], Any] = PrivateAttr(default_factory=dict)
    _numbered_from: str | None = PrivateAttr(default=None)
    _parsed: _Parsed = PrivateAttr(default_factory=_Parsed)

    def __repr__(self) -> str:
        """Return in a line what it is; ``model_dump()`` has every key."""
        many, of = self.caviar.num_samples, f"trials of {self.epochs} epochs"
        if self.panda is not None:
            many, of = self.panda.days, f"days of {self.panda.day}"
        what = f"{self.described}; {self.strategy}, {many} {of}, {self.metric}"
        return redact(f"Experiment {self.name}: {what}")

    __str__ = __repr__

    @property
    def folder(self) -> Path:
        """The directory against which relative references are resolved: that of the file."""
        return self._folder

    @property
    def places(self) -> Places:
        """Where its keys stand, as messages say it."""
        return self._places

    def written_at(self, places: Places, space: Space | None = None) -> Experiment:
        """Return the same experiment, whose keys stand at these places; ``space`` is its search space, parsed."""
        found = self.model_copy()
        found._places = places
        found._parsed = _Parsed(self.search_space, self.constraints, space)
        return found

    @property
    def space(self) -> Space | None:
        """The search space that it holds, as parsed with the file; None where it names one, or was given another."""
        found = self._parsed
        is_of_these = found.of is self.search_space and found.under is self.constraints
        return found.space if is_of_these else None

    @property
    def is_numbered(self) -> bool:
        """Whether the next free name does as well."""
        return self._numbered_from is not None

    def numbered(self, base: str | None = None) -> Experiment:
        """Return the same experiment under the next free name of those made of ``base``, by default as before."""
        base = base or self._numbered_from or self.name
        new = self.model_copy(update={"name": next_name(base, Path(self.storage_path))})
        new._numbered_from = base
        return new

    @property
    def strategy_options(self) -> CaviarOptions | PandaOptions:
        """The options of its strategy, which say what differs between the two."""
        return self.panda if self.strategy == "panda" and self.panda else self.caviar

    @property
    def kind(self) -> str:
        """What its trials are: ``keras`` models, or one of TRIAL_KINDS."""
        return "keras" if self.trial is None else self.trial.kind

    @property
    def described(self) -> str:
        """What its trials are made of, in a few words."""
        if self.trial is not None:
            learns = f" on {self.data_options.source}" if self.trial.of_data else ""
            return f"{self.trial.text}{learns}"
        return f"{self.model} on {self.data_options.source}"

    @property
    def model_name(self) -> str:
        """The reference of the model of Keras trials."""
        if self.model is None:
            raise ValueError("an experiment of Keras models has a model")
        return self.model

    @property
    def data_options(self) -> DataOptions:
        """The data of Keras trials."""
        if self.data is None:
            raise ValueError("an experiment of Keras models has data")
        return self.data

    @property
    def folds(self) -> int | None:
        """Into how many folds the data of Keras trials are divided; None for one split."""
        return self.data.folds if self.data else None

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
                "name", "expected letters, digits, '.', '_' and '-', not starting with '.' or '-'"
            )
        if redact(name) != name:
            raise PydanticCustomError("name", "expected a name without a secret, since it is shown")
        return name

    @field_validator("storage_path")
    @classmethod
    def _written_out(cls, path: str) -> str:
        """Return the path with ``~`` and variables written out, as a shell does for what is given to itself."""
        if not path.isprintable():
            raise field_error(("storage_path",), "expected a path on one line", path)
        try:
            return written_out(path)
        except KeyError as absent:
            expected = f"expected a path of which all is known here ({absent.args[0]} is not)"
            raise field_error(("storage_path",), expected, path) from None

    @field_validator("constraints")
    @classmethod
    def _expressions(cls, constraints: tuple[str, ...]) -> tuple[str, ...]:
        for text in constraints:
            try:
                Constraint(text)
            except InvalidDomain as refusal:
                raise field_error(("constraints",), refusal.expected, refusal.received) from None
        return constraints

    @field_validator("metrics")
    @classmethod
    def _known_metrics(cls, metrics: tuple[str, ...]) -> tuple[str, ...]:
        for name in metrics:
            if not is_metric(name):
                known = {"known": sorted(all_names()), "name": name}
                raise PydanticCustomError("unknown_name", "unknown metric", known)
        return tuple(dict.fromkeys(metrics))

    @model_validator(mode="before")
    @classmethod
    def _has_a_model_and_data(cls, content: Any) -> Any:
        """Have both be missed where no function of the user's is given in their place."""
        if not isinstance(content, Mapping):
            return content
        needed: tuple[str, ...] = OF_KERAS if content.get("trial") is None else ()
        if learns_from_data(content.get("trial")):
            needed = ("data",)
        absent = {key: NOT_THERE for key in needed if content.get(key) is None}
        return {**content, **absent}

    @model_validator(mode="after")
    def _fits_together(self) -> Experiment:
        if self.panda is not None and "strategy" not in self.model_fields_set:
            expected = "expected caviar or panda to be chosen, since there are options of a panda"
            raise field_error(("strategy",), expected, "nothing")
        if self.strategy == "panda" and self.panda is None:
            what = "expected the options of strategy panda: {start: {…}} or {from: <run>}"
            raise field_error(("panda",), what, "nothing")
        brings_space = self.trial is not None and self.trial.brings_space
        if self.strategy == "caviar" and not self.search_space and not brings_space:
            what = "expected a bundled space's name (cnn, mlp, resnet), ./space.yaml or a mapping, to draw from"
            raise field_error(("search_space",), what, "nothing")
        if self.trial is not None:
            told = {key: getattr(self, key) for key in (*OF_KERAS, *OF_KERAS_AT_WILL)}
            fields = type(self).model_fields
            check_trial(
                self.trial,
                {
                    k: v
                    for k, v in told.items()
                    if v != fields[k].get_default(call_default_factory=True)
                },
                self.strategy,
                self.metric,
            )
            if self.panda is not None and self.strategy == "panda":
                self.panda.check_of_epochs_alone(self.trial.kind)
        if self.mode is not None and contradicts(self.mode, self.metric):
            right, good = ("min", "low") if self.mode == "max" else ("max", "high")
            expected = f"expected {right}, since a {good} {self.metric} is good"
            raise field_error(("mode",), expected, self.mode)
        self.strategy_options.check_beside(self.kind, self.epochs, self.folds)
        return self
