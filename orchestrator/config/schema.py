"""The JSON Schema by which an editor completes and checks an experiment file."""

from __future__ import annotations

from typing import Any

from orchestrator.config.options import OF_KERAS, Experiment
from orchestrator.domains.parse import DISTRIBUTIONS

_NUMBER = {"type": "number"}
_PLAIN = {"type": ["string", "number", "boolean", "null"]}
_DOMAIN: dict[str, Any] = {
    "description": "What one hyperparameter may be.",
    "anyOf": [
        {
            "type": "string",
            "description": "uniform(a, b), loguniform(a, b), one_minus_loguniform(0.9, 0.999),"
            " integer(a, b), log_integer(a, b), each with step= if need be;"
            " choice([a, b, c]); or a fixed text.",
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
                "values": {
                    "type": "array",
                    "items": _PLAIN,
                    "minItems": 1,
                    "description": "The values of a choice.",
                },
                "value": {**_PLAIN, "description": "The value of a fixed hyperparameter."},
                "domain": {**_PLAIN, "description": "A short form, beside when."},
                "when": {
                    "type": "object",
                    "minProperties": 1,
                    "additionalProperties": {"anyOf": [_PLAIN, {"type": "array", "items": _PLAIN}]},
                    "description": "There only if these others have one of these values.",
                },
            },
        },
    ],
}


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
