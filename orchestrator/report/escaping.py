"""What users typed, kept from being read as a formula, as markup or as someone's password."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from orchestrator.redaction import redacted

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?(inf|nan)")
_MARKUP = re.compile(r"[\\|`*\[\]<>~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")


def without_secrets(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in whose texts and names no known secret stands."""
    return mapped(frame, redacted)


def mapped(frame: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Return a table with ``change`` made to each text in it and to its columns' names."""
    texts = [name for name in frame.columns if frame[name].dtype in ("object", "str")]
    new = frame.assign(
        **{str(name): [_changed(value, change) for value in frame[name]] for name in texts}
    )
    new.columns = [change(str(name)) for name in frame.columns]
    new.attrs = frame.attrs
    return new


def unformulaic(value: str) -> str:
    """Return a text behind an apostrophe where a spreadsheet would compute it; a number stays."""
    risky = value.startswith(_FORMULA) and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def in_markdown(text: str) -> str:
    """Return a text that Markdown shows as it is: no markup, no HTML, no end of its cell."""
    return _MARKUP.sub(lambda sign: f"\\{sign[0]}", text)


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    return change(value) if isinstance(value, str) else value
