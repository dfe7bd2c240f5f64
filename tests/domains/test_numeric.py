from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domains import (
    Integer,
    InvalidDomain,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Uniform,
)

SHARES = st.floats(0, 1, exclude_max=True)
CONTINUOUS = [Uniform(-2, 3), LogUniform(1e-4, 1), OneMinusLogUniform(0.9, 0.999)]
COUNTABLE = [
    Uniform(0, 0.5, step=0.1),
    LogUniform(0.1, 1.05, step=0.1),
    Integer(1, 7),
    Integer(-3, 12, step=4),
    LogInteger(1, 300),
    LogInteger(16, 256, step=16),
]


@pytest.mark.parametrize("domain", CONTINUOUS, ids=str)
@given(u=SHARES)
def test_a_share_comes_back_from_the_continuous_value_it_gave(domain, u):
    assert domain.to_unit(domain.from_unit(u)) == pytest.approx(u, abs=1e-9)


@pytest.mark.parametrize("domain", CONTINUOUS + COUNTABLE, ids=str)
@given(u=SHARES)
def test_every_share_gives_a_contained_value_that_its_own_share_gives_again(domain, u):
    value = domain.from_unit(u)
    assert domain.contains(value)
    assert domain.from_unit(domain.to_unit(value)) == pytest.approx(value, rel=1e-9)


@given(low=st.floats(-1e9, 1e9), span=st.floats(0, 1e9), u=SHARES)
def test_uniform_never_leaves_its_bounds(low, span, u):
    domain = Uniform(low, low + span)
    assert domain.contains(domain.from_unit(u))


@given(low=st.integers(1, 10**9), span=st.integers(0, 10**9), u=SHARES)
def test_log_integer_never_leaves_its_bounds(low, span, u):
    domain = LogInteger(low, low + span)
    assert domain.contains(domain.from_unit(u))


@pytest.mark.parametrize("domain", COUNTABLE, ids=str)
def test_both_ends_are_reached(domain):
    assert domain.from_unit(0) == domain.min
    assert domain.edge(domain.from_unit(1 - 1e-12)) == "high"


def test_integers_are_exactly_equally_likely():
    counts = Counter(Integer(1, 4).from_unit(i / 1000) for i in range(1000))
    assert counts == {1: 250, 2: 250, 3: 250, 4: 250}


def test_integers_are_integers():
    assert type(Integer(1, 3).from_unit(0.5)) is int
    assert type(LogInteger(1, 300).from_unit(0.5)) is int


def test_a_step_gives_the_numbers_one_would_write():
    values = {Uniform(0, 0.5, step=0.1).from_unit(i / 50) for i in range(50)}
    assert values == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}


def test_loguniform_spends_as_much_on_each_order_of_magnitude():
    assert LogUniform(1e-4, 1).from_unit(0.5) == pytest.approx(1e-2)


def test_beta_has_the_quartiles_of_its_scale():
    beta = OneMinusLogUniform(0.9, 0.999)
    quartiles = [beta.from_unit(u) for u in (0.25, 0.5, 0.75)]
    assert quartiles == pytest.approx([0.9684, 0.9900, 0.99684], abs=5e-5)


def test_one_minus_beta_keeps_its_digits_where_beta_has_lost_them():
    beta = OneMinusLogUniform(0.9, 0.9999999999)
    exact = 10 ** (-1 - 9 * 0.99)
    assert beta.complement_from_unit(0.99) == pytest.approx(exact, rel=1e-12, abs=0)
    assert 1 - beta.from_unit(0.99) != pytest.approx(exact, rel=1e-12, abs=0)


@given(u=SHARES)
def test_one_minus_beta_stays_within_its_decimal_bounds(u):
    assert 0.001 <= OneMinusLogUniform(0.9, 0.999).complement_from_unit(u) <= 0.1


@pytest.mark.parametrize(
    ("domain", "value", "edge"),
    [
        (LogUniform(1e-4, 1), 1.1e-4, "low"),
        (LogUniform(1e-4, 1), 0.9, "high"),
        (LogUniform(1e-4, 1), 0.1, None),
        (Uniform(0, 100), 2.1, None),
        (Uniform(0, 100), 1.9, "low"),
        (Integer(1, 3), 1, "low"),
        (Integer(1, 3), 2, None),
        (Integer(1, 3), 3, "high"),
        (Integer(3, 3), 3, None),
        (Uniform(0, 0.55, step=0.1), 0.5, "high"),
        (OneMinusLogUniform(0.9, 0.999), 0.99895, "high"),
        (OneMinusLogUniform(0.9, 0.999), 0.95, None),
        (LogUniform(1e-4, 1), 0.0, "low"),
        (LogUniform(1e-4, 1), None, None),
    ],
)
def test_an_edge_is_within_two_percent_of_the_scale_or_an_end_of_the_grid(domain, value, edge):
    assert domain.edge(value) == edge


@pytest.mark.parametrize("value", [True, "1", None, math.nan, 1.5, 0, 8])
def test_integer_contains_whole_numbers_in_range_alone(value):
    assert not Integer(1, 7).contains(value)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda: Uniform(2, 1), "min no larger than max"),
        (lambda: LogUniform(0, 1), "above 0"),
        (lambda: LogInteger(0, 4), "above 0"),
        (lambda: OneMinusLogUniform(0.9, 1), "below 1"),
        (lambda: OneMinusLogUniform(-0.1, 0.9), "at least 0"),
        (lambda: Uniform(0, 1, step=0), "step above 0"),
        (lambda: Uniform(0, 1, step=2), "no larger than max - min"),
        (lambda: Integer(0, 1.5), "whole number"),
        (lambda: Uniform(0, math.inf), "finite"),
        (lambda: Uniform(0, math.nan), "finite"),
        (lambda: Uniform(0, True), "a number for max"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(build, reason):
    with pytest.raises(InvalidDomain, match=reason):
        build()
