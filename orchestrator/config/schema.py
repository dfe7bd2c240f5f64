"""The sections of an experiment file as the fields of Experiment declare them, and their JSON Schema for editors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from orchestrator.config.document import KeyPath
from orchestrator.config.options import OF_KERAS, Experiment
from orchestrator.domains.parse import DISTRIBUTIONS
from orchestrator.domains.prior import CONFIDENCES
from orchestrator.fields import Named, Options

_NUMBER = {"type": "number"}
_PLAIN = {"type": ["string", "number", "boolean", "null"]}
_DOMAIN: dict[str, Any] = {
    "description": "What one hyperparameter may be.",
    "anyOf": [
        {
            "type": "string",
            "description": "uniform(a, b), loguniform(a, b), one_minus_loguniform(0.9, 0.999),"
            " integer(a, b), log_integer(a, b), each with step= if needed; normal(mean, sd) and"
            " lognormal(median, factor), with min= and max= if needed;"
            " choice([a, b, c]), and prior= and confidence= if wanted; or a fixed text.",
        },
        {"type": ["number", "boolean", "null"], "description": "A fixed value."},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "distribution": {
                    "enum": list(DISTRIBUTIONS),
                    "description": "The scale on which values are drawn.",
                },
                "min": {**_NUMBER, "description": "The lowest value, included."},
                "max": {**_NUMBER, "description": "The highest value, included."},
                "step": {**_NUMBER, "description": "Only min, min + step, min + 2 step, …"},
                "mean": {**_NUMBER, "description": "The mean of normal."},
                "sd": {**_NUMBER, "description": "The standard deviation of normal."},
                "median": {**_NUMBER, "description": "The median of lognormal, e**mu."},
                "factor": {
                    **_NUMBER,
                    "description": "Two thirds of lognormal's draws lie within median/factor and"
                    " median*factor; it is e**sigma.",
                },
                "values": {
                    "type": "array",
                    "items": _PLAIN,
                    "minItems": 1,
                    "description": "The values of a choice.",
                },
                "value": {**_PLAIN, "description": "The value of a fixed hyperparameter."},
                "domain": {**_PLAIN, "description": "A short form, used together with when."},
                "prior": {**_PLAIN, "description": "A value that you believe to be good."},
                "confidence": {
                    "enum": list(CONFIDENCES),
                    "description": "How sure you are of it, by default medium.",
                },
                "when": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]},
                    "description": "Exists only if these other hyperparameters have one of these values.",
                },
            },
        },
    ],
}


def sections() -> dict[KeyPath, type[BaseModel]]:
    """Return the options at each place of a file; at that of a list, the options of its items."""
    return dict(_sections((), Experiment))


def lists() -> set[KeyPath]:
    """Return the places of lists."""
    return {
        (*path, key)
        for path, section in _sections((), Experiment)
        for key, field in _fields(section)
        if getattr(field.annotation, "__origin__", None) is tuple
    }


def keys_of(section: type[BaseModel]) -> tuple[str, ...]:
    """Return the keys that a file may hold in a section."""
    return tuple(key for key, _ in _fields(section))


def spelt_out(path: KeyPath, written: Any) -> Any:
    """Return the mapping that a short way of writing stands for, so that a key in it can be set."""
    section = sections().get(path[:-1])
    field = dict(_fields(section)).get(str(path[-1])) if section else None
    if written is None:
        return {}
    value = written
    for form in field.metadata if field is not None else ():
        try:
            if isinstance(form, Named):
                value = form.spelt_out(value)
            elif isinstance(form, BeforeValidator):
                value = form.func(value)  # type: ignore[call-arg]
        except PydanticCustomError:
            return written
    if value is None:
        return {}
    return value if isinstance(value, Mapping) else written


def _sections(path: KeyPath, section: type[BaseModel]) -> Iterator[tuple[KeyPath, type[BaseModel]]]:
    yield path, section
    for key, field in _fields(section):
        here = (*path, key)
        named = [form for form in field.metadata if isinstance(form, Named)]
        for inside, options in (pair for form in named for pair in form.sections()):
            yield from _sections((*here, *inside), options)
        for inner in _options_in(field.annotation) if not named else ():
            yield from _sections(here, inner)


def _fields(section: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    return [(field.alias or name, field) for name, field in section.model_fields.items()]


def _options_in(annotation: Any) -> Iterator[type[Options]]:
    """Yield the options that a field of this type holds, if any: one of them, or a tuple of them."""
    if isinstance(annotation, type) and issubclass(annotation, Options):
        yield annotation
    for part in get_args(annotation):
        yield from _options_in(part)


def experiment_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an experiment file."""
    schema = Experiment.model_json_schema(mode="validation")
    definitions = _tidy(schema.pop("$defs"))
    properties = _tidy(schema.pop("properties"))
    mapping = next(form for form in properties["search_space"]["anyOf"] if form["type"] == "object")
    mapping["additionalProperties"] = {"$ref": "#/$defs/Domain"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "An experiment of the orchestrator",
        "description": schema["description"],
        "type": "object",
        "additionalProperties": False,
        "anyOf": [{"required": ["trial"]}, {"required": list(OF_KERAS)}],
        "properties": properties,
        "$defs": {**definitions, "Domain": _DOMAIN},
    }


def _tidy(schema: Any) -> Any:
    """Return the schema without the titles that pydantic derives from Python's names."""
    if isinstance(schema, list):
        return [_tidy(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: _tidy(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }
