"""What the fields of an experiment are made of: strict values, and options under one of several names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
    WrapSerializer,
)
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Options(BaseModel):
    """One section of the file: typed, frozen, and without room for an unknown key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _whole(value: Any) -> Any:
    """Let ``1e3`` through as 1000, since a file may write a whole number so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_AtLeast0 = Annotated[int, Field(ge=0, lt=2**32)]
_AtLeast1 = Annotated[int, Field(ge=1)]
Whole = Annotated[_AtLeast0, BeforeValidator(_whole, json_schema_input_type=_AtLeast0)]
Count = Annotated[_AtLeast1, BeforeValidator(_whole, json_schema_input_type=_AtLeast1)]
Real = Annotated[float, Field(allow_inf_nan=False)]
Shrinking = Annotated[Real, Field(gt=0, lt=1)]  # a factor that makes a thing smaller
Flag = Annotated[bool, Field(strict=False)]  # on, off, yes and no are words in YAML 1.2
Text = Annotated[str, Field(min_length=1)]
AS_LIST = WrapSerializer(lambda values, write: list(write(values)))  # a tuple, in JSON's terms


def field_error(path: tuple[str, ...], expected: str, received: Any) -> PydanticCustomError:
    """Return the refusal of a key whose value does not go with the others'."""
    return PydanticCustomError("field_error", expected, {"path": path, "received": received})  # type: ignore[arg-type]


IS_REFERENCE = re.compile(r"[/\\.:]")
"""What tells ``./mine.py:Mine`` and ``package.module:Mine`` from the name of one of ours."""


class Referenced(Options):
    """A class of the user's own: where it is, and the options that its constructor is given."""

    reference: str
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Named:
    """What a field holds: options of one of ``kinds``, or Referenced; ``what`` says in messages what they are of."""

    kinds: Mapping[str, type[Options]] = field(hash=False)
    what: str

    def sections(self) -> Iterator[tuple[tuple[str, ...], type[Options]]]:
        """Yield below which keys of what is written the options of each kind stand."""
        yield from (((name,), kind) for name, kind in self.kinds.items())

    def spelt_out(self, written: Any) -> Any:
        """Return ``{name: {options}}`` for each form in which a file may write it; raise where it has none of them."""
        if isinstance(written, str):
            written = {written: None}
        if not isinstance(written, Mapping) or len(written) != 1:
            expected = f"expected one of {', '.join(self.kinds)}, or {self._example}"
            raise PydanticCustomError("named_form", expected)  # type: ignore[arg-type]
        [(name, options)] = written.items()
        if name not in self.kinds and not _is_reference(name):
            known = {"known": tuple(self.kinds), "name": name}
            raise PydanticCustomError("unknown_name", f"unknown {self.what}", known)  # type: ignore[arg-type]
        if options is not None and not isinstance(options, Mapping):
            expected = f"expected the options of one {self.what}, such as {self._example}"
            raise PydanticCustomError("named_form", expected)  # type: ignore[arg-type]
        return {name: dict(options or {})}

    def read(self, written: Any) -> Any:
        """Return the options that a file writes down."""
        if isinstance(written, Options) and type(written) in (Referenced, *self.kinds.values()):
            return written
        form = self.spelt_out(written)
        [(name, options)] = form.items()
        if name not in self.kinds:
            return Referenced(reference=name, options=options)
        forms: TypeAdapter[dict[str, Options]] = TypeAdapter(dict[str, self.kinds[name]])  # type: ignore[name-defined]
        return forms.validate_python(form)[name]  # so that a fault's place begins with the name

    def write(self, options: Any) -> Any:
        """Return the form that an experiment file holds: ``none`` or ``{asha: {…}}``."""
        if isinstance(options, Referenced):
            name, values = options.reference, dict(options.options)
        else:
            name = next(name for name, kind in self.kinds.items() if type(options) is kind)
            values = options.model_dump()
        return {name: values} if values else name

    @property
    def _example(self) -> str:
        """The first kind that has options, with the first of them; a class of one's own where none has any."""
        having = [(name, kind) for name, kind in self.kinds.items() if kind.model_fields]
        if not having:
            return "a class of your own as ./mine.py:Mine"
        name, kind = having[0]
        option, first = next(iter(kind.model_fields.items()))
        return f"{{{name}: {{{option}: {first.get_default(call_default_factory=True)}}}}}"

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        written = core_schema.plain_serializer_function_ser_schema(self.write)
        return core_schema.no_info_plain_validator_function(self.read, serialization=written)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        options = {
            name: handler(kind.__pydantic_core_schema__)
            for name, kind in self.kinds.items()
            if kind.model_fields
        }
        own = f"^[^{{}}]*{IS_REFERENCE.pattern}"
        return {
            "anyOf": [
                {"enum": list(self.kinds)},
                {"type": "string", "pattern": own},
                {
                    "type": "object",
                    "minProperties": 1,
                    "maxProperties": 1,
                    "additionalProperties": False,
                    "properties": options,
                    "patternProperties": {own: {"type": ["object", "null"]}},
                },
            ]
        }


def _is_reference(name: Any) -> bool:
    return isinstance(name, str) and IS_REFERENCE.search(name) is not None
