"""``${ENV:NAME}`` in the texts of an experiment: read from the environment, written as it stood."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.config.document import Document, KeyPath
from orchestrator.domains.values import shown
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.redaction import REFERENCE, conceal, conceal_those_in, redacted

PLAIN = ("name", "metric", "mode", "strategy")
"""Keys by which a run is found and its records are read, with whatever environment."""
_BEGUN = re.compile(r"\$\{ENV\b")


def resolved(document: Document) -> tuple[Document, dict[KeyPath, Any]]:
    """Return a document with its references replaced by their values, and the texts that held them.

    The values are secrets from here on: ``redaction`` keeps them out of whatever is written. Raises
    ExperimentFileError, a line for each reference that is misspelt, not set or out of place. Those of a target are
    its own to read, when something is submitted to it: they are left as they stand.
    """
    _check_unicode(document, document.content, ())
    texts = (each for each in _texts(document.content, ()) if each[0][0] != "target")  # read there
    written = {path: text for path, text in texts if _BEGUN.search(text)}
    faults = [fault for path, text in written.items() for fault in _faults(document, path, text)]
    if faults:
        raise ExperimentFileError("\n".join(faults))
    names = {name for text in written.values() for name in REFERENCE.findall(text)}
    values = {name: os.environ[name] for name in names}
    conceal(values)
    conceal_those_in(text for _, text in _texts(document.content, ()))
    if not written:
        return document, {}
    kept = dict(_kept(document.content, path, text) for path, text in written.items())
    content = {
        key: item if key == "target" else _with_values(item, values)
        for key, item in document.content.items()
    }
    return replace(document, content=content), kept


def as_written(content: dict[str, Any], kept: Mapping[KeyPath, Any]) -> dict[str, Any]:
    """Return a complete experiment's content for a file: its references back, no secret in any other text."""
    for path, text in kept.items():
        _put_back(content, path, text)
    return redacted(content) | {key: content[key] for key in PLAIN}  # type: ignore[no-any-return]


def _kept(content: Mapping[str, Any], path: KeyPath, text: str) -> tuple[KeyPath, Any]:
    """Return where a text goes back to: a source by itself, and a domain as a whole."""
    if path == ("data",):
        return ("data", "source"), text
    if path[0] == "search_space" and len(path) > 1:
        return path[:2], content["search_space"][path[1]]
    return path, text


def _put_back(content: Any, path: KeyPath, text: Any) -> None:
    inside = content
    for part in path[:-1]:
        inside = _at(inside, part)
    before = _at(inside, path[-1])
    if isinstance(before, str) or (before is not None and path[0] == "search_space" != path[-1]):
        inside[path[-1]] = text


def _at(inside: Any, part: str | int) -> Any:
    """Return what lies under a key or an index, None where the form has changed."""
    if isinstance(inside, dict):
        return inside.get(part)
    fits = isinstance(inside, list) and isinstance(part, int) and part < len(inside)
    return inside[part] if fits else None


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _texts(item, (*path, index))


def _faults(document: Document, path: KeyPath, text: str) -> Iterator[str]:
    where = document.where(path)
    if path[0] in PLAIN:
        expected = "expected a plain text, not a reference, since the run's records show it"
        yield explain(where, expected, shown(text))
        return
    if len(_BEGUN.findall(text)) != len(REFERENCE.findall(text)):
        yield explain(where, "expected a reference such as ${ENV:DATA_TOKEN}", shown(text))
    for name in REFERENCE.findall(text):
        if name not in os.environ:
            expected = f"expected the environment variable {name} to be set"
            yield f"{where}: {expected}. Received: no value for ${{ENV:{name}}}."


def _check_unicode(document: Document, value: Any, path: KeyPath) -> None:
    """Raise ExperimentFileError for a key or text, of a command line say, that no file in UTF-8 can hold."""
    inside: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inside = value.items()
    elif isinstance(value, list | tuple):
        inside = enumerate(value)
    for key, item in inside:
        for text in (key, item):
            if isinstance(text, str) and not _is_unicode(text):
                where = document.where((*path, key))
                raise ExperimentFileError(explain(where, "expected text in Unicode", shown(text)))
        _check_unicode(document, item, (*path, key))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _with_values(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return REFERENCE.sub(lambda reference: values[reference[1]], value)
    if isinstance(value, Mapping):
        return {key: _with_values(item, values) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_with_values(item, values) for item in value]
    return value
