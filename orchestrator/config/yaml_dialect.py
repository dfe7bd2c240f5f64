"""The YAML that we read and write: the plain values of version 1.2, where PyYAML speaks 1.1.

``1e-4`` is a number; only ``true`` and ``false`` are booleans, ``on``, ``off``, ``yes`` and ``no``
are words (a key that takes a boolean accepts them, a hyperparameter refuses them); ``012`` is
twelve; ``12:30`` and ``2026-11-05`` are texts. What is written reads back equal in both versions.
"""

from __future__ import annotations

import math
import re
from typing import Any

import yaml

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


def _core_resolvers() -> _Resolvers:
    resolvers: _Resolvers = {"": [(PREFIX + "null", re.compile("(?:)$"))]}
    for name, pattern, firsts in _CORE:
        for first in firsts:
            resolvers.setdefault(first, []).append((PREFIX + name, re.compile(f"(?:{pattern})$")))
    return resolvers


class Loader(yaml.SafeLoader):
    """Composes nodes whose tags follow YAML 1.2; constructing values from them is ours."""

    yaml_implicit_resolvers = _core_resolvers()


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
