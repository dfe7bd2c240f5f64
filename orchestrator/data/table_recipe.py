"""What was learnt of a table's columns, as a plain document: enough to prepare rows that come later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class ColumnRecipe:
    """A column as it lies in the file, and what is made of it.

    ``number``: one feature. ``flag``: true/false, one feature of 1 and 0. ``text``: one feature for
    each of ``categories``, in their order, 1 where the text is that one; a text that is none of
    them is 0 in all. ``fill`` stands for a gap, found on the training rows: a number, 1 or 0 for a
    flag, a text; None where gaps are refused. ``gaps`` are the texts that were read as gaps beside
    an empty one, ``decimal`` is the sign before a number's fraction, in a CSV file.
    """

    name: str
    kind: Literal["number", "flag", "text"]
    fill: float | str | None = None
    categories: tuple[str, ...] = ()
    decimal: str = "."
    gaps: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the features that the column becomes: ``age``, or ``colour=red``."""
        if self.kind != "text":
            return (self.name,)
        return tuple(f"{self.name}={text}" for text in self.categories)


@dataclass(frozen=True)
class TableRecipe:
    """A table's feature columns in order, how its gaps are filled, and what was noticed.

    ``notes`` are sentences for the user: columns that look like identifiers, numbers read with a
    decimal comma, gaps that were filled.
    """

    columns: tuple[ColumnRecipe, ...]
    label: str | None = None
    sample_weight: str | None = None
    missing: str = "refuse"
    notes: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """The names of all features, in their order."""
        return tuple(name for column in self.columns for name in column.features)

    def to_plain(self) -> dict[str, Any]:
        """Return it as mappings, lists, texts and numbers: what JSON holds."""
        plain = asdict(self)
        plain["columns"] = [
            {**column, "categories": list(column["categories"]), "gaps": list(column["gaps"])}
            for column in plain["columns"]
        ]
        return {**plain, "notes": list(self.notes)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> TableRecipe:
        """Return the recipe that ``to_plain`` wrote."""
        columns = tuple(
            ColumnRecipe(
                **{
                    **column,
                    "categories": tuple(column["categories"]),
                    "gaps": tuple(column["gaps"]),
                }
            )
            for column in plain["columns"]
        )
        return cls(**{**plain, "columns": columns, "notes": tuple(plain["notes"])})
