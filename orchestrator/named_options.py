"""One of several kinds of options, or a class of the user's: in a file its name, or ``{name: {option: value}}``.

A field is ``Annotated[Any, Named(KINDS, "scheduler")]``. Both written forms, ``--set`` paths, what is refused and the
JSON Schema follow from the table ``KINDS`` as it stands when they are asked for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from orchestrator.fields import Options

IS_REFERENCE = re.compile(r"[/\\.:]")
"""What tells ``./mine.py:Mine`` and ``package.module:Mine`` from the name of one of ours."""


class Referenced(Options):
    """A class of the user's own: where it is, and the options that its constructor is given."""

    reference: str
    options: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True)
class Named:
    """What a field holds: options of one of ``kinds``, or Referenced; ``what`` says in messages what they are of."""

    kinds: Mapping[str, type[Options]]
    what: str

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
            raise PydanticCustomError("unknown_name", f"no such {self.what}", known)  # type: ignore[arg-type]
        if options is not None and not isinstance(options, Mapping):
            expected = f"expected the options of one {self.what}, such as {self._example}"
            raise PydanticCustomError("named_form", expected)  # type: ignore[arg-type]
        return {name: dict(options or {})}

    def read(self, written: Any) -> Options:
        """Return the options that a file writes down."""
        if isinstance(written, Options) and type(written) in (Referenced, *self.kinds.values()):
            return written
        form = self.spelt_out(written)
        [(name, options)] = form.items()
        if name not in self.kinds:
            return Referenced(reference=name, options=options)
        forms: TypeAdapter[dict[str, Options]] = TypeAdapter(dict[str, self.kinds[name]])  # type: ignore[name-defined]
        return forms.validate_python(form)[name]  # so that a fault's place begins with the name

    def write(self, options: Options) -> Any:
        """Return the form that an experiment file holds: ``none`` or ``{asha: {…}}``."""
        if isinstance(options, Referenced):
            name, values = options.reference, dict(options.options)
        else:
            name = next(name for name, kind in self.kinds.items() if type(options) is kind)
            values = options.model_dump()
        return {name: values} if values else name

    @property
    def _example(self) -> str:
        """The first kind that has options, with the first of them."""
        name, kind = next((name, kind) for name, kind in self.kinds.items() if kind.model_fields)
        option, field = next(iter(kind.model_fields.items()))
        return f"{{{name}: {{{option}: {field.get_default(call_default_factory=True)}}}}}"

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
