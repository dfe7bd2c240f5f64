"""Predictions as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


def predictions_table(columns: Mapping[str, Any], files: Sequence[str] = ()) -> pd.DataFrame:
    """Return one row for each row that was predicted, in their order; ``files`` names the picture of each."""
    import pandas as pd

    named = {"file": list(files)} if files else {}
    return pd.DataFrame({**named, **columns})
