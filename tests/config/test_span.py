from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Span


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("1 epoch", Span(1, "epoch")),
        ("3 epochs", Span(3, "epoch")),
        ("1 epochs", Span(1, "epoch")),
        ("20 minutes", Span(20, "minute")),
        ("500 steps", Span(500, "step")),
        ("2 hours", Span(2, "hour")),
    ],
)
def test_a_day_is_a_number_and_a_unit(text, day):
    assert Span.parse(text) == day


@pytest.mark.parametrize(
    "text", ["", "3", "epochs", "0 epochs", "-1 steps", "3 weeks", "3  epochs"]
)
def test_anything_else_is_no_day(text):
    with pytest.raises(ValueError):
        Span.parse(text)


@given(
    st.builds(
        Span,
        st.integers(1, 10**9 - 1),
        st.sampled_from(["epoch", "second", "minute", "hour", "step"]),
    )
)
def test_a_day_is_written_as_it_is_read(day):
    assert Span.parse(str(day)) == day


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
    assert not Span.parse(day).reached(*before)
    assert Span.parse(day).reached(*at)
