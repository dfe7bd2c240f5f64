"""Submitted jobs as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("job", "state", "run", "trials_done", "trials", "best", "submitted", "results")


def jobs_table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return one row a job; what is not known of one is empty."""
    import pandas as pd

    frame = pd.DataFrame(list(rows), columns=list(COLUMNS))
    frame.attrs["importance"] = list(COLUMNS)
    return frame
