from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Duration


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1 epoch", Duration(1, "epoch")),
        ("3 epochs", Duration(3, "epoch")),
        ("1 epochs", Duration(1, "epoch")),
        ("20 minutes", Duration(20, "minute")),
        ("500 steps", Duration(500, "step")),
        ("2 hours", Duration(2, "hour")),
    ],
)
def test_a_day_is_a_number_and_a_unit(text, day):
    assert Duration.parse(text) == day


@pytest.mark.parametrize(
    "text", ["", "3", "epochs", "0 epochs", "-1 steps", "3 weeks", "3  epochs"]
)
def test_anything_else_is_no_day(text):
    with pytest.raises(ValueError):
        Duration.parse(text)


@given(
    st.builds(
        Duration,
        st.integers(1, 10**9 - 1),
        st.sampled_from(["epoch", "second", "minute", "hour", "step"]),
    )
)
def test_a_day_is_written_as_it_is_read(day):
    assert Duration.parse(str(day)) == day


@pytest.mark.parametrize(
    ("day", "before", "at"),
    [
        ("3 epochs", (2, 1e9, 10**9), (3, 0.0, 0)),
        ("500 steps", (99, 1e9, 499), (1, 0.0, 500)),
        ("20 minutes", (99, 1199.9, 10**9), (1, 1200.0, 0)),
        ("2 hours", (99, 7199.0, 10**9), (1, 7200.5, 0)),
    ],
)
def test_a_day_is_over_when_its_own_unit_has_run_out(day, before, at):
    assert not Duration.parse(day).reached(*before)
    assert Duration.parse(day).reached(*at)
