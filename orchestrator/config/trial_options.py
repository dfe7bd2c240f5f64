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
    takes; None where it runs none. ``brings_space``: its code says what its hyperparameters may be. ``is_live``: they
    can change while it runs, so that a panda can babysit it.
    """

    python_function: ClassVar[tuple[str, int] | None] = None
    brings_space: ClassVar[bool] = False
    is_live: ClassVar[bool] = False

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
    is_live = True

    function: Text = Field(description="The function, such as `./train.py:train`.")


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


TRIAL_KINDS: Mapping[str, type[TrialOptions]] = {"function": FunctionTrial}
"""The kinds of trial beside Keras models; ``experiment/prepared.py`` says how each is prepared."""
Trial = Annotated[TrialOptions, _TrialForms(TRIAL_KINDS)]
