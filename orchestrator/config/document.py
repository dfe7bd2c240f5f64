"""A YAML file as plain values that know their lines, read so that no file can do harm, and the YAML that we write.

It is YAML 1.2, where PyYAML speaks 1.1: ``1e-4`` is a number; only ``true`` and ``false`` are booleans,
``on``, ``off``, ``yes`` and ``no`` are words (a key that takes a boolean accepts them, a hyperparameter
refuses them); ``012`` is twelve; ``12:30`` and ``2026-11-05`` are texts. What is written reads back equal
in both versions.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from orchestrator.domains.values import shown
from orchestrator.errors import ExperimentFileError, explain

PREFIX = "tag:yaml.org,2002:"
_CORE: tuple[tuple[str, str, str], ...] = (
    ("null", r"~|null|Null|NULL|", "~nN"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("merge", r"<<", "<"),
)
_Resolvers = dict[Any, list[tuple[str, "re.Pattern[str]"]]]
KeyPath = tuple[str | int, ...]
LARGEST_FILE = 250_000  # bytes: PyYAML reads so much in about a second
MOST_VALUES = 50_000  # after aliases are followed: a few lines of them can mean billions
DEEPEST = 40
SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
"""What a run can be called: a folder is named after it."""


def _core_resolvers() -> _Resolvers:
    resolvers: _Resolvers = {"": [(PREFIX + "null", re.compile("(?:)$"))]}
    for name, pattern, firsts in _CORE:
        for first in firsts:
            resolvers.setdefault(first, []).append((PREFIX + name, re.compile(f"(?:{pattern})$")))
    return resolvers


class Loader(yaml.SafeLoader):
    """Composes nodes whose tags follow YAML 1.2; constructing values from them is ours."""

    yaml_implicit_resolvers = _core_resolvers()


class _FastLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """The same by libyaml, where PyYAML was built with it, in a tenth of the time: for what we wrote ourselves.

    The two differ in a few forms that people may write, and in what they say of a fault.
    """

    yaml_implicit_resolvers = Loader.yaml_implicit_resolvers


class Dumper(yaml.SafeDumper):
    """Quotes every text that either version of YAML would take for something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own name and shape
        first: _core_resolvers().get(first, [])
        + yaml.SafeDumper.yaml_implicit_resolvers.get(first, [])
        for first in {*_core_resolvers(), *yaml.SafeDumper.yaml_implicit_resolvers}
    }

    def ignore_aliases(self, data: Any) -> bool:
        """Return True: a value that occurs twice is written twice."""
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    """Return a text in double quotes where PyYAML would leave a Unicode line break bare."""
    style = '"' if any(mark in text for mark in "\x85\u2028\u2029\ufeff") else None
    return dumper.represent_scalar(PREFIX + "str", text, style)


Dumper.add_representer(str, _text)


Dumper.add_representer(tuple, yaml.SafeDumper.represent_list)


def dump(values: Any) -> str:
    """Return ``values`` as YAML text, keys in their own order."""
    return yaml.dump(values, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=100)


def scalar(tag: str, text: str) -> Any:
    """Return the value of a plain scalar; raise ``ValueError`` where tag and text do not fit."""
    match tag.removeprefix(PREFIX):
        case "str":
            return text
        case "null":
            return None
        case "bool":
            return {"true": True, "false": False}[text.lower()]
        case "int":
            return _integer(text)
        case "float":
            return _float(text)
    raise ValueError(f"tag {tag!r}")


def _integer(text: str) -> int:
    if text.startswith(("0o", "0x")):
        return int(text[2:], 8 if text[1] == "o" else 16)
    return int(text)


def _float(text: str) -> float:
    lower = text.lower()
    if lower.endswith(".inf"):
        return -math.inf if lower.startswith("-") else math.inf
    return math.nan if lower == ".nan" else float(text)


@dataclass(frozen=True)
class Document:
    """The mapping that a file holds, and where each of its keys stands."""

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    origins: Mapping[KeyPath, str] = field(default_factory=dict)

    def where(self, path: KeyPath = ()) -> str:
        """Return ``digits.yaml, line 7, caviar.epochs``, or the ``--set …`` that put it there."""
        for length in range(len(path), 0, -1):
            origin = self.origins.get(path[:length])
            if origin is not None:
                return origin if length == len(path) else f"{origin}, {dotted(path)}"
        inside = [said for known, said in self.origins.items() if known[: len(path)] == path]
        if path and path not in self.lines and inside:
            return inside[0]
        line = next(
            (self.lines[path[:n]] for n in range(len(path), 0, -1) if path[:n] in self.lines), None
        )
        parts = [str(self.path), f"line {line}" if line else "", dotted(path)]
        return ", ".join(part for part in parts if part)

    def under(self, prefix: KeyPath) -> Callable[[KeyPath], str]:
        """Return ``where`` for the keys below ``prefix``."""
        return lambda path: self.where((*prefix, *path))


@dataclass(frozen=True)
class Places:
    """Where an experiment's keys stand. Any two are equal: what an experiment is does not depend on it."""

    where: Callable[[KeyPath], str] = field(default=lambda path: dotted(path), compare=False)

    def under(self, prefix: KeyPath) -> Callable[[KeyPath], str]:
        """Return ``where`` for the keys below ``prefix``."""
        return lambda path: self.where((*prefix, *path))


def dotted(path: KeyPath) -> str:
    """Return ``caviar.num_samples`` for ``("caviar", "num_samples")``."""
    return ".".join(legible(str(part)) for part in path)


def legible(text: str) -> str:
    """Return what was written as a sentence can hold it: what would break its line, or is empty, in quotes."""
    return text if text and text.isprintable() else repr(text)


def next_name(base: str, place: Path) -> str:
    """Return ``base-1``, or the number after the highest one that something in the folder ``place`` has."""
    there = [entry.name for entry in place.iterdir()] if place.is_dir() else []
    found = (re.fullmatch(rf"{re.escape(base)}-([1-9][0-9]*)", name) for name in there)
    return f"{base}-{max((int(match[1]) for match in found if match), default=0) + 1}"


def read_document(path: str | Path) -> Document:
    """Return the mapping in a YAML file; raise ``ExperimentFileError`` where there is none."""
    path = Path(path)
    return parse_document(_read_text(path), path)


def read_written(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file that ``dump`` wrote; raise ``ExperimentFileError`` where there is none."""
    text = _read_text(path)
    try:
        node = _FastLoader(text).get_single_node()
    except yaml.YAMLError:
        node = None
    if not isinstance(node, yaml.MappingNode):  # somebody has edited it
        return dict(parse_document(text, path).content)
    return dict(_Reading(str(path)).value(node, ()))


def read_list(path: Path, key: str) -> tuple[list[Any], Callable[[KeyPath], str]]:
    """Return the list in a YAML file, as if it stood at ``key``, and where its items stand."""
    content, lines = parse_value(_read_text(path), str(path))
    if not isinstance(content, list | None):
        raise ExperimentFileError(explain(str(path), "expected a list", shown(content)))
    document = Document(path, {}, {(key, *below): line for below, line in lines.items()})
    return content or [], document.under((key,))


def parse_document(text: str, path: Path) -> Document:
    """Return the mapping in ``text``, which came from ``path``."""
    content, lines = parse_value(text, str(path))
    if content is None:
        raise ExperimentFileError(explain(str(path), "expected keys and values", "an empty file"))
    if not isinstance(content, dict):
        raise ExperimentFileError(
            explain(str(path), "expected keys and values, such as model: mlp", shown(content))
        )
    return Document(path, content, lines)


def parse_value(text: str, place: str) -> tuple[Any, dict[KeyPath, int]]:
    """Return the value in one piece of YAML, and the line of each key path in it."""
    reading = _Reading(place)
    try:
        node = Loader(text).get_single_node()
        return (None if node is None else reading.value(node, ())), reading.lines
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, text, place) from None
    except yaml.YAMLError as error:
        reason = getattr(error, "reason", "unreadable")
        raise ExperimentFileError(
            explain(
                place, "expected plain text in YAML", f"{reason} at character {_position(error)}"
            )
        ) from None
    except RecursionError:
        raise ExperimentFileError(_too_deep(place)) from None
    except (OverflowError, ValueError) as error:  # PyYAML's own, for an escape such as \UFFFFFFFF
        raise ExperimentFileError(
            explain(place, "expected plain text in YAML", str(error))
        ) from None


class _Reading:
    """Turns the nodes of one document into values, noting lines and refusing what is unsafe."""

    def __init__(self, place: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._place = place
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MOST_VALUES:
            expected = f"expected at most {MOST_VALUES} values, aliases followed"
            raise ExperimentFileError(explain(self._place, expected, "more"))
        if len(path) > DEEPEST:
            raise ExperimentFileError(_too_deep(self._place))
        self.lines.setdefault(path, _line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == PREFIX + "map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == PREFIX + "seq":
            return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            if isinstance(node, yaml.ScalarNode):
                return scalar(node.tag, node.value)
        except (ValueError, KeyError):
            pass
        tag = node.tag.replace(PREFIX, "!!")
        raise self._error(node, path, "expected a plain value, a list or a mapping", tag)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key_node, value_node in sorted(node.value, key=_merges_first):
            if key_node.tag == PREFIX + "merge":
                merged = {**self._merged(value_node, path), **merged}
                continue
            key = self._key(key_node, path)
            here = (*path, key)
            if key in own:
                expected = f"expected each key once, and line {self.lines[here]} has it already"
                raise self._error(key_node, here, expected, key)
            self.lines[here] = _line(key_node)
            own[key] = self.value(value_node, here)
        return {**merged, **own}

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """Return what ``<<: *anchor`` brings; the mapping's own keys take precedence."""
        value = self.value(node, path)
        parts = value if isinstance(value, list) else [value]
        merged: dict[str, Any] = {}
        for part in parts:
            if not isinstance(part, dict):
                raise self._error(node, (*path, "<<"), "expected a mapping to merge", shown(part))
            merged = {**part, **merged}
        return merged

    def _key(self, node: yaml.Node, path: KeyPath) -> str:
        if isinstance(node, yaml.ScalarNode) and node.tag == PREFIX + "str":
            return str(node.value)
        written = node.value if isinstance(node, yaml.ScalarNode) else "a list or a mapping"
        raise self._error(node, path, "expected a text as a key, in quotes if needed", written)

    def _error(
        self, node: yaml.Node, path: KeyPath, expected: str, received: Any
    ) -> ExperimentFileError:
        parts = [self._place, f"line {_line(node)}", dotted(path)]
        place = ", ".join(part for part in parts if part)
        return ExperimentFileError(explain(place, expected, shown(received)))


def _merges_first(pair: tuple[yaml.Node, yaml.Node]) -> bool:
    return pair[0].tag != PREFIX + "merge"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _position(error: yaml.YAMLError) -> int:
    return int(getattr(error, "position", 0)) + 1


def _too_deep(place: str) -> str:
    return explain(place, f"expected at most {DEEPEST} levels of nesting", "more")


_UNQUOTED = re.compile(r"""(?<!["'])\b([a-z_]+\((?:\[[^\]]*\]|[^()\[\]"'])*\))(?!["'])""")
"""A domain such as ``choice([a, b])`` without quotes."""


def _syntax_error(error: yaml.MarkedYAMLError, text: str, place: str) -> ExperimentFileError:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines()
    if mark is None:
        return ExperimentFileError(explain(place, "expected YAML", error.problem))
    received = lines[mark.line].strip() if mark.line < len(lines) else "the end of the text"
    context = f"{error.context}: " if error.context else ""
    expected = f"expected YAML, but {context}{error.problem}"
    if found := _UNQUOTED.search(
        received
    ):  # in braces, a bracket or a comma ends a text that has no quotes
        expected += f' (within braces, write "{found[1]}" in quotes)'
    return ExperimentFileError(explain(f"{place}, line {mark.line + 1}", expected, shown(received)))


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise ExperimentFileError(_absent(path)) from None
    except IsADirectoryError:
        raise ExperimentFileError(explain(str(path), "expected a file", "a folder")) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ExperimentFileError(explain(str(path), "expected a readable file", reason)) from None
    if len(raw) > LARGEST_FILE:
        raise ExperimentFileError(
            explain(str(path), f"expected a file of at most {LARGEST_FILE} bytes", "a larger one")
        )
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ExperimentFileError(
            explain(str(path), "expected text in UTF-8", f"byte {raw[error.start]:#04x}")
        ) from None


def _absent(path: Path) -> str:
    folder = path.parent
    known = sorted(
        str(folder / item.name) for pattern in ("*.yaml", "*.yml") for item in folder.glob(pattern)
    )
    return explain(str(path), "expected a file", "no such file", ()) + (
        f" Files there: {', '.join(known[:10])}." if known else ""
    )
