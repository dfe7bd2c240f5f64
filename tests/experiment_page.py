"""The tables of docs/experiment-file.md, written from the options' own fields: ``python -m tests.experiment_page``.

Keys, their order, defaults and meanings follow from the fields. A row that ends in ``OWN`` says more than its field's
description does: its meaning is the page's own and stays.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BeforeValidator, TypeAdapter
from pydantic.fields import FieldInfo

from orchestrator.config.options import OF_KERAS
from orchestrator.config.schema import sections
from orchestrator.fields import Named, Options

PAGE = Path(__file__).parents[1] / "docs" / "experiment-file.md"
OWN = "<!-- own words -->"
_TABLE = re.compile(
    r"(<!-- keys(?: of (\w+))?: make docs -->\n)(.*?)(<!-- end of keys -->)", re.DOTALL
)
_ROW = re.compile(rf"^\| `([^`]+)` \|[^|]*\| (.*?) {OWN} \|$", re.MULTILINE)
_HEAD = "| key | default | meaning |\n|---|---|---|\n"
_SECTIONS = sections()


def keys(path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, FieldInfo]]:
    """Yield every key that an experiment file may hold, dotted, in the order of the fields.

    One that holds options is a row of its own where it can be written in another way: by a name, or left out.
    """
    for name, field in _SECTIONS[path].model_fields.items():
        here = (*path, field.alias or name)
        inner = [place for place in _SECTIONS if here in (place, place[:-1]) and place != path]
        inner = [here] if here in inner else inner
        if not inner or not _is_options(field) or _has_forms(field):
            yield ".".join(map(str, here)), field
        for place in inner:
            yield from keys(place)


def _is_options(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, Options)


def _has_forms(field: FieldInfo) -> bool:
    return any(isinstance(form, Named | BeforeValidator) for form in field.metadata)


def default(key: str, field: FieldInfo) -> str:
    """Return what a file would say to get a key's default; empty for a key that has none."""
    if key == "name":
        return "the file's own name"
    if field.is_required() or key in OF_KERAS:  # left out beside trial alone
        return ""
    value = field.get_default(call_default_factory=True)
    if any(isinstance(form, Named) for form in field.metadata) and value is not None:
        form = _written(field, value)
        return f"`{form if isinstance(form, str) else next(iter(form))}`"
    if isinstance(value, Options):
        return "`auto`" if _written(field, value) == "auto" else ""
    if isinstance(value, tuple):
        value = [{} if isinstance(each, Options) else each for each in value]
    return f"`{_text(value if isinstance(value, list) else _written(field, value))}`"


def _written(field: FieldInfo, value: Any) -> Any:
    kind = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return TypeAdapter(kind).dump_python(value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    if isinstance(value, float):
        return f"{value:g}"
    return (
        value if isinstance(value, str) else yaml.safe_dump(value).removesuffix("\n...\n").strip()
    )


def written(page: str) -> str:
    """Return the page with its tables as the fields say."""
    own = dict(_ROW.findall(page))

    def row(key: str, field: FieldInfo) -> str:
        said = field.description or ""
        meaning = said if own.get(key, said) == said else f"{own[key]} {OWN}"
        return f"| `{key}` | {default(key, field)} | {meaning} |\n".replace("|  |", "| |")

    def table(match: re.Match[str]) -> str:
        begin, section, _, end = match.groups()
        rows = [row(key, field) for key, field in keys() if _is_in(key, section)]
        return begin + _HEAD + "".join(rows) + end

    return _TABLE.sub(table, page)


def _is_in(key: str, section: str | None) -> bool:
    """Tell whether a key belongs into the table of a section; None: of all that have no table of their own."""
    top, dot, _ = key.partition(".")
    return (
        (top == section and bool(dot))
        if section
        else not (dot and top in ("trial", "panda", "target"))
    )


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
