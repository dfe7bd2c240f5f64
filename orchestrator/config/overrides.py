"""``--set key.path=value``: one key of a document changed, and who said so remembered."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace
from typing import Any

from orchestrator.config.document import Document, KeyPath, dotted, legible, parse_value
from orchestrator.config.sections import spelt_out
from orchestrator.domains.refusal import shown
from orchestrator.errors import ExperimentFileError, explain


def with_overrides(document: Document, overrides: Iterable[str]) -> Document:
    """Return the document with each ``key.path=value`` set; the value is read as YAML.

    Whether the keys exist and the values fit is judged later, with the rest of the document.
    """
    content = deepcopy(dict(document.content))
    origins = dict(document.origins)
    for override in overrides:
        origin = f"--set {legible(override)}"
        key, equals, written = override.partition("=")
        path: KeyPath = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise ExperimentFileError(explain(origin, "expected key.path=value", override))
        value, _ = parse_value(written, origin)
        _put(content, path, value, origin)
        origins = {known: said for known, said in origins.items() if known[: len(path)] != path}
        origins[path] = origin
    return replace(document, content=content, origins=origins)


def _put(content: dict[str, Any], path: KeyPath, value: Any, origin: str) -> None:
    inside: Any = content
    for depth, part in enumerate(path[:-1], start=1):
        inner = spelt_out(path[:depth], inside.get(part))
        if not isinstance(inner, dict):
            expected = f"expected a mapping at {dotted(path[:depth])}, to set a key inside it"
            raise ExperimentFileError(explain(origin, expected, shown(inner)))
        inside[part] = inner
        inside = inner
    inside[path[-1]] = value
