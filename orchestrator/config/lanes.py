"""How many trials one worker trains side by side, as both strategies write it."""

from __future__ import annotations

from typing import Literal

from orchestrator.fields import Count, field_error

Lanes = Count | Literal["auto"]


def check_lanes(strategy: str, lanes: Lanes, kind: str) -> None:
    """Refuse several lanes of trials of a ``kind`` whose training is not ours."""
    if lanes != 1 and kind != "keras":
        expected = (
            "expected 1, since lanes are of Keras models and these trials are of another kind"
        )
        raise field_error((strategy, "lanes"), expected, lanes)
