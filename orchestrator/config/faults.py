"""What pydantic found wrong, in the house's sentences, with the line of the file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.document import Document, KeyPath, dotted
from orchestrator.config.sections import keys_of, lists, sections
from orchestrator.config.synonyms import way_out
from orchestrator.domains.values import shown
from orchestrator.errors import explain, near_miss

NEARLY = 0.85
"""How alike two words are that differ by a slip of the pen."""
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text (in quotes if it looks like something else)",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "literal_error": "{expected}",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "too_short": "at least {min_length} of them",
    "model_type": "a mapping of options",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}


def sentences(error: ValidationError, document: Document) -> list[str]:
    """Return one sentence for each key that is wrong, in the order of the experiment's fields."""
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        grouped.setdefault(_path(details, document.content), []).append(details)
    return [_sentence(path, found, document) for path, found in grouped.items()]


def _path(details: ErrorDetails, content: Mapping[str, Any]) -> KeyPath:
    """Return the key path in the file, without the marks that pydantic adds for unions."""
    ctx = details.get("ctx", {})
    if "path" in ctx:
        return tuple(ctx["path"])
    path: list[str | int] = []
    inside: Any = content
    for part in details["loc"]:
        listed = isinstance(inside, list | tuple) and isinstance(part, int) and part < len(inside)
        if listed or (isinstance(inside, Mapping) and part in inside):
            inside = inside[part]
            path.append(part)
    if details["type"] == "missing" and isinstance(inside, Mapping):
        path.append(details["loc"][-1])
    return tuple(path)


def _sentence(path: KeyPath, found: list[ErrorDetails], document: Document) -> str:
    first, where = found[0], document.where(path)
    ctx = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, where, document.content.get("strategy") == "panda")
    if first["type"] == "missing":
        return explain(where, f"expected {_description(path)}", "nothing")
    if first["type"] == "unknown_name":
        return explain(where, first["msg"], shown(ctx["name"]), ctx["known"])
    received = ctx.get("received", first["input"])
    if all(details["type"] in _EXPECTED for details in found):
        expected = "expected " + " or ".join(dict.fromkeys(_expected(found)))
        return explain(where, expected, shown(received))
    return explain(where, first["msg"], shown(received))


def _expected(found: list[ErrorDetails]) -> Iterator[str]:
    for details in found:
        yield _EXPECTED[details["type"]].format(**details.get("ctx", {}))


def _unknown_key(path: KeyPath, where: str, babysat: bool) -> str:
    """Return what to write: first as for a slip of the pen, then for another tool's word, then for another section."""
    key = str(path[-1])
    section = _section(path[:-1])
    known = keys_of(section) if section else ()
    # Targets share words with one another and with the rest.
    if _nearly(key, known) or path[0] == "target":
        return explain(where, "unknown key", key, known)
    instead = way_out(key, babysat)
    if instead:
        return f"{explain(where, 'unknown key', key)} {instead}"
    of_items = (
        lists()
    )  # nobody who writes ``set`` or ``epoch`` elsewhere means an item of panda.schedule
    others = {
        place: keys_of(model)
        for place, model in sections().items()
        if place[:1] != ("target",) and place not in of_items
    }
    homes = [place for place, keys in others.items() if key in keys]
    if homes:
        home = dotted(homes[0]) or "the top level"
        return explain(where, f"unknown key here; it belongs to {home}", key)
    meant = [
        dotted((*place, near)) for place, keys in others.items() for near in _nearly(key, keys)
    ]
    if meant and not near_miss(key, known):
        return f"{explain(where, 'unknown key', key)} Did you mean {meant[0]!r}?"
    return explain(where, "unknown key", key, known)


def _nearly(key: str, known: Iterable[str]) -> list[str]:
    """Return the known key that differs by a slip of the pen: a letter left out, its case, a sign."""
    return difflib.get_close_matches(key.lower(), list(known), n=1, cutoff=NEARLY)


def _description(path: KeyPath) -> str:
    section = _section(path[:-1])
    described = section.model_fields[str(path[-1])].description if section else None
    text = (described or "a value").rstrip(".")
    return text[0].lower() + text[1:]


def _section(path: KeyPath) -> type[BaseModel] | None:
    """Return the options at ``path``; every item of a list has the same ones."""
    return sections().get(tuple(part for part in path if isinstance(part, str)))
