"""What a trial is where it is no Keras model: one of several kinds, told by its key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from orchestrator.fields import Options, Text, field_error


class TrialOptions(Options):
    """A kind of trial; its first field, of the kind's name, says what each trial runs.

    ``python_function``: the name of the function that it runs where the file names none, and how many arguments that
    takes; None where it runs none. ``brings_space``: its code says what its hyperparameters may be. ``is_keras``: it is
    a Keras model, which learns from the experiment's data and is kept.
    """

    python_function: ClassVar[tuple[str, int] | None] = None
    brings_space: ClassVar[bool] = False
    is_keras: ClassVar[bool] = False

    @property
    def kind(self) -> str:
        """The kind's name."""
        return next(iter(type(self).model_fields))

    @property
    def runs(self) -> Any:
        """What each trial runs, as the file says it."""
        return getattr(self, self.kind)

    def running(self, what: Any) -> Self:
        """Return the same trial that runs something else: its code as another place finds it."""
        return self.model_copy(update={self.kind: what})


class FunctionTrial(TrialOptions):
    """A function of the user's, ``train(hp, report)``."""

    python_function = ("train", 2)

    function: Text = Field(description="The function, such as `./train.py:train`.")


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

    keras_tuner: Text = Field(
        description="A KerasTuner builder or HyperModel, such as `./hypermodel.py:build_model`."
    )


@dataclass(frozen=True)
class _TrialForms:
    """What ``trial`` holds: options of one of ``kinds``; a text alone is a function."""

    kinds: Mapping[str, type[TrialOptions]] = field(hash=False)

    def read(self, written: Any) -> TrialOptions:
        """Return the options that a file writes down."""
        if isinstance(written, TrialOptions):
            return written
        if isinstance(written, str) and written:
            written = {"function": written}
        if not isinstance(written, Mapping):
            expected = "expected a function such as ./train.py:train"
            raise PydanticCustomError("named_form", expected)
        said = [name for name in self.kinds if written.get(name) is not None]
        if len(said) != 1:
            listed = ", ".join(self.kinds)
            expected = f"expected what each trial runs, under one of the keys {listed}"
            raise field_error(("trial",), expected, ", ".join(map(str, written)) or "nothing")
        forms: TypeAdapter[TrialOptions] = TypeAdapter(self.kinds[said[0]])
        return forms.validate_python(dict(written))

    def write(self, options: TrialOptions) -> Any:
        """Return the form that an experiment file holds."""
        said = options.model_dump(exclude_defaults=True)
        return options.runs if list(said) == ["function"] else said

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        options = [handler(kind.__pydantic_core_schema__) for kind in self.kinds.values()]
        return {"anyOf": [{"type": "string", "minLength": 1}, *options]}


TRIAL_KINDS: Mapping[str, type[TrialOptions]] = {
    "function": FunctionTrial,
    "keras_tuner": KerasTunerTrial,
    "optuna": OptunaTrial,
}
"""The kinds of trial beside Keras models; ``experiment/prepared.py`` says how each is prepared."""
Trial = Annotated[TrialOptions, _TrialForms(TRIAL_KINDS)]


def is_keras(written: Any) -> bool:
    """Return whether what stands under ``trial``, as it is written or read, is a kind of Keras model."""
    kinds = [type(written)] if isinstance(written, TrialOptions) else []
    if isinstance(written, Mapping):
        kinds = [kind for name, kind in TRIAL_KINDS.items() if written.get(name) is not None]
    return any(kind.is_keras for kind in kinds if issubclass(kind, TrialOptions))
