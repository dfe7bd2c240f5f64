"""What a trial is where it is no Keras model: one of several kinds, told by its key."""

from __future__ import annotations

import re
import shlex
import string
from collections.abc import Iterator, Mapping
from copy import copy
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError

from orchestrator.fields import Flag, Named, Options, Real, Text, Whole, field_error


class TrialOptions(Options):
    """A kind of trial; its first field, of the kind's name, says what each trial runs.

    ``python_function``: the name of the function that it runs where the file names none, and how many arguments that
    takes; None where it runs none. ``brings_space``: its code says what its hyperparameters may be. ``is_keras``: it is
    a Keras model, which learns from the experiment's data and is kept. ``of_data``: the experiment's keys that it takes
    beside it, where it learns from the experiment's data.
    """

    python_function: ClassVar[tuple[str, int] | None] = None
    brings_space: ClassVar[bool] = False
    is_keras: ClassVar[bool] = False
    of_data: ClassVar[tuple[str, ...]] = ()

    @property
    def kind(self) -> str:
        """The kind's name."""
        return next(iter(type(self).model_fields))

    @property
    def runs(self) -> Any:
        """What each trial runs, as the file says it."""
        return getattr(self, self.kind)

    @property
    def text(self) -> str:
        """What each trial runs, in messages."""
        return str(self.runs)

    @property
    def why_not_live(self) -> str | None:
        """Return why its hyperparameters cannot change while it runs, None where a panda can babysit it."""
        return f"no hyperparameter of a {self.kind} can change while it runs"

    @property
    def interpreter(self) -> str | None:
        """The Python of the user's that it runs in, where it has one."""
        return getattr(self, "python", None)

    def running(self, what: Any, python: str | None = None) -> Self:
        """Return the same trial that runs something else, maybe by another interpreter: as another place finds it."""
        there = {} if python is None else {"python": python}
        return self.model_copy(update={self.kind: what, **there})


class FunctionTrial(TrialOptions):
    """A function of the user's, ``train(hp, report)``."""

    python_function = ("train", 2)

    function: Text = Field(description="The function, such as `./train.py:train`.")
    python: Text | None = Field(
        default=None,
        description="Another interpreter, of Python 3.7 or newer, that runs the function, such as `./env/bin/python`.",
    )

    @property
    def why_not_live(self) -> str | None:
        """Return nothing: its dictionary of them can change."""
        return None


CommandWords = tuple[str | tuple[str, ...], ...]
_Group = Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]
_Words = Annotated[tuple[Text | _Group, ...], Field(strict=False, min_length=1)]


def _as_lists(command: str | CommandWords) -> Any:
    if isinstance(command, str):
        return command
    return [each if isinstance(each, str) else list(each) for each in command]


class CommandTrial(TrialOptions):
    """A program of the user's, in any language."""

    command: Annotated[Text | _Words, PlainSerializer(_as_lists)] = Field(
        description="The program and its arguments, such as `./train --lr {learning_rate}`, as one text or as a list."
        " In braces: hyperparameters, `{seed}`, `{epochs}`, `{trial}`, `{config}` (a JSON file of the hyperparameters)"
        " and `{checkpoint}` (a folder for the trial's state). A list in the list is left out where one of its"
        " hyperparameters does not exist."
    )
    python: Text | None = Field(
        default=None,
        description="The interpreter that `python` in the command stands for, such as `./env/bin/python`.",
    )
    shell: Flag = Field(
        default=False, description="`true`: `/bin/sh` runs the text, with pipes and variables."
    )
    metrics: dict[str, Text] = Field(
        default_factory=dict,
        description="For a program that prints no JSON: metrics, and regular expressions with one group that find their"
        " numbers in its output, each once an epoch.",
    )
    epoch: Text | None = Field(
        default=None,
        description="A regular expression with one group that finds the number of the epoch; without it, reports are"
        " counted.",
    )
    first_epoch: Whole = Field(
        default=1,
        description="What the program calls its first epoch: `0` where it counts from zero.",
    )
    grace_seconds: Real = Field(
        default=10,
        ge=0,
        description="How long after SIGTERM the program may take to end, before SIGKILL.",
    )

    @property
    def text(self) -> str:
        """The command on one line."""
        if isinstance(self.command, str):
            return " ".join(self.command.split())
        words = (
            word for each in self.command for word in ([each] if isinstance(each, str) else each)
        )
        return shlex.join(words)

    @property
    def words(self) -> CommandWords:
        """The command, word by word; the whole text where a shell runs it."""
        if not isinstance(self.command, str):
            return self.command
        return (self.command,) if self.shell else tuple(shlex.split(self.command))

    @property
    def why_not_live(self) -> str | None:
        """Return why it cannot be started again from a state, with other hyperparameters."""
        if "checkpoint" in self._named():
            return None
        return (
            "a command takes other hyperparameters only where it is started again from a state of its own, and this"
            " one names no {checkpoint}"
        )

    def _named(self) -> list[str]:
        """Return what is named in braces. Raises ValueError for a brace without its other one."""
        return [
            name
            for each in self.words
            for word in ([each] if isinstance(each, str) else each)
            for name in named_in(word)
        ]

    @model_validator(mode="after")
    def _can_be_run(self) -> CommandTrial:
        here = ("trial", "command")
        if self.shell and not isinstance(self.command, str):
            raise field_error(here, "expected one text beside shell: true", self.text)
        try:
            named = self._named()
        except ValueError as error:
            expected = (
                f"expected names in braces, {{{{ and }}}} for braces, and quotes in pairs ({error})"
            )
            raise field_error(here, expected, self.text) from None
        if not self.words or not isinstance(self.words[0], str):
            raise field_error(here, "expected a program as the first word", self.text)
        if self.shell and (quoted := _in_quotes(self.text)):
            expected = (
                f"expected {{{quoted}}} outside of quotes: it is one argument, whatever its value"
            )
            raise field_error(here, expected, self.text)
        self._check_epoch("checkpoint" in named)
        return self

    def _check_epoch(self, resumes: bool) -> None:
        """Refuse an expression of the epoch that is needed and not there, or that would not be looked for."""
        if resumes and self.metrics and self.epoch is None:
            expected = (
                "expected a regular expression of the epoch's number, since a program with"
                " {checkpoint} may go on later"
            )
            raise field_error(("trial", "epoch"), expected, "nothing")
        if self.epoch is not None and not self.metrics:
            expected = "expected none without trial.metrics: JSON lines name their epoch"
            raise field_error(("trial", "epoch"), expected, self.epoch)

    @field_validator("metrics", "epoch")
    @classmethod
    def _expressions(cls, written: Any) -> Any:
        """Refuse what is no regular expression with one group."""
        for text in written.values() if isinstance(written, dict) else [written or "()"]:
            try:
                groups = re.compile(text).groups
            except re.error as error:
                expected = f"expected a regular expression ({error})"
                raise field_error(("trial", "metrics"), expected, text) from None
            if groups != 1:
                expected = "expected a regular expression with one group, (...), around the number"
                raise field_error(("trial", "metrics"), expected, text)
        return written


def named_in(text: str) -> Iterator[str]:
    """Yield the names in braces. Raises ValueError for a brace without its other one, and for more than a name."""
    for _, name, form, conversion in string.Formatter().parse(text):
        if name is not None:
            if form or conversion or not name:
                raise ValueError("a name alone")
            yield name


def _in_quotes(text: str) -> str | None:
    """Return the first name in braces that stands within quotes of a shell."""
    quote = ""
    for at, sign in enumerate(text):
        if sign in "\"'" and quote in ("", sign) and text[at - 1 : at] != "\\":
            quote = "" if quote else sign
        elif (
            sign == "{"
            and quote
            and text[at - 1 : at] != "{"
            and (name := re.match(r"{(\w+)}", text[at:]))
        ):
            return name[1]
    return None


class OptunaTrial(TrialOptions):
    """An Optuna objective of the user's, ``objective(trial)``, as it stands."""

    python_function = ("objective", 1)
    brings_space = True

    optuna: Text = Field(description="An Optuna objective, such as `./objective.py:objective`.")


class KerasTunerTrial(TrialOptions):
    """A builder of the user's that is written for KerasTuner, ``build_model(hp)``, or a HyperModel, as it stands."""

    python_function = ("build_model", 1)
    brings_space = True
    is_keras = True
    of_data = (
        *("data", "callbacks", "task", "metrics", "checkpoint_every", "recalibrate_batch_norm"),
        "backend",
    )

    keras_tuner: Text = Field(
        description="A KerasTuner builder or HyperModel, such as `./hypermodel.py:build_model`."
    )


class SklearnTrial(TrialOptions):
    """A function of the user's that returns a scikit-learn estimator or pipeline, ``make(hp)``."""

    python_function = ("make", 1)
    of_data = ("data", "task", "metrics")

    sklearn: Text = Field(
        description="A function that returns a scikit-learn estimator or pipeline, such as `./pipe.py:make`."
    )
    save: Flag = Field(
        default=False,
        description="`true`: the winner is saved as `best/checkpoint/estimator.joblib`, a pickle. Load it only"
        " where you trust whoever could write to the run's folder.",
    )


class _TrialForms(Named):
    """What ``trial`` holds: the options of one kind, which its own key tells; a text alone is a function."""

    def sections(self) -> Iterator[tuple[tuple[str, ...], type[Options]]]:
        """Yield the one section in which the options of all kinds stand, each said to be of its kind."""
        fields: dict[str, Any] = {}
        said: dict[str, list[str]] = {}
        for kind, options in self.kinds.items():
            for name, field in options.model_fields.items():
                beside = "" if name == kind else f"Beside `{kind}`: "
                said.setdefault(name, []).append(f"{beside}{field.description}")
                fields[name] = (field.annotation, copy(field))
        form = create_model("TrialForm", __base__=Options, **fields)
        # Afterwards: pydantic 2.12 takes a copied field's description from where the field was declared.
        for name, described in form.model_fields.items():
            described.description = " ".join(said[name])
        yield (), form

    def spelt_out(self, written: Any) -> dict[str, Any]:
        """Return ``{function: ./train.py:train}`` for ``./train.py:train``; raise where it is neither."""
        if isinstance(written, str) and written:
            written = {"function": written}
        if not isinstance(written, Mapping):
            expected = "expected a function such as ./train.py:train"
            raise PydanticCustomError("named_form", expected)
        return dict(written)

    def read(self, written: Any) -> Any:
        """Return the options that a file writes down."""
        if isinstance(written, TrialOptions) or written is None:
            return written
        form = self.spelt_out(written)
        said = [name for name in self.kinds if form.get(name) is not None]
        if not said:
            self._check_known(form)
        if len(said) != 1:
            listed = ", ".join(self.kinds)
            expected = f"expected what each trial runs, under one of the keys {listed}"
            raise field_error(("trial",), expected, ", ".join(map(str, form)) or "nothing")
        known = self.kinds[said[0]].model_fields
        for name in form:
            if name not in known:
                ctx = {"known": tuple(known), "name": name}
                raise PydanticCustomError("unknown_name", "unknown key", ctx)
        return self.kinds[said[0]].model_validate(form)

    def _check_known(self, form: Mapping[str, Any]) -> None:
        """Refuse a key of no kind, which may be one with a slip of the pen."""
        keys = {key for kind in self.kinds.values() for key in kind.model_fields}
        for name in form:
            if name not in keys:
                ctx = {"known": tuple(self.kinds), "name": name}
                raise PydanticCustomError("unknown_name", "unknown kind of trial", ctx)

    def write(self, options: TrialOptions | None) -> Any:
        """Return the form that an experiment file holds."""
        if options is None:
            return None
        said = options.model_dump(exclude_defaults=True)
        return options.runs if list(said) == ["function"] else said

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        options = [handler(kind.__pydantic_core_schema__) for kind in self.kinds.values()]
        return {"anyOf": [{"type": "string", "minLength": 1}, *options, {"type": "null"}]}


TRIAL_KINDS: Mapping[str, type[TrialOptions]] = {
    "function": FunctionTrial,
    "command": CommandTrial,
    "keras_tuner": KerasTunerTrial,
    "optuna": OptunaTrial,
    "sklearn": SklearnTrial,
}
"""The kinds of trial beside Keras models; ``experiment/kinds`` says how each is prepared."""
Trial = Annotated[TrialOptions | None, _TrialForms(TRIAL_KINDS, "kind of trial")]


def is_keras(written: Any) -> bool:
    """Return whether what stands under ``trial``, as it is written or read, is a kind of Keras model."""
    kind = _kind_of(written)
    return kind is not None and kind.is_keras


def learns_from_data(written: Any) -> bool:
    """Return whether what stands under ``trial``, as it is written or read, learns from the experiment's data."""
    kind = _kind_of(written)
    return kind is not None and bool(kind.of_data)


def _kind_of(written: Any) -> type[TrialOptions] | None:
    if isinstance(written, TrialOptions):
        return type(written)
    said = written if isinstance(written, Mapping) else {}
    return next((kind for name, kind in TRIAL_KINDS.items() if said.get(name) is not None), None)


def check_trial(trial: TrialOptions, beside: Mapping[str, Any], strategy: str, metric: str) -> None:
    """Refuse ``beside`` a trial what its kind does not take, and what has to be said where it has none."""
    for key, value in beside.items():
        if key not in trial.of_data:
            brings = "model" if trial.of_data else "model and data"
            expected = (
                f"expected no such key beside trial, whose {trial.kind} brings its own {brings}"
            )
            raise field_error((key,), expected, "data" if key == "data" else value)
    if strategy == "panda" and trial.why_not_live:
        expected = f"expected caviar, since {trial.why_not_live}"
        raise field_error(("strategy",), expected, strategy)
    if metric == "auto" and not trial.of_data:
        expected = f"expected the name of a metric that the {trial.kind} reports, by which trials are judged"
        raise field_error(("metric",), expected, "nothing")
