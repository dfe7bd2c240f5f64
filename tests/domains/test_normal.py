from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domains import LogNormal, Normal, extremes, parse_domain
from orchestrator.domains.parse import write_domain
from orchestrator.domains.truncated_normal import TruncatedNormal
from orchestrator.errors import ExperimentFileError

SHARES = st.floats(0, 1, exclude_max=True)
EVENLY = (np.arange(2000) + 0.5) / 2000
BELLS = [
    Normal(0, 1),
    Normal(3, 0.1, min=2.9),
    Normal(0, 1, min=3.5, max=4),
    Normal(0, 1, max=-3),
    LogNormal(0.01, 10),
    LogNormal(1, 2, min=0.5, max=100),
]


@pytest.mark.parametrize("domain", BELLS, ids=str)
@given(u=SHARES)
def test_a_share_gives_a_contained_value_within_the_ends_that_has_the_share(domain, u):
    value = domain.from_unit(u)
    assert domain.contains(value)
    assert domain.ends[0] <= value <= domain.ends[1]
    assert domain.to_unit(value) == pytest.approx(u, abs=1e-9)


@given(
    mean=st.floats(-1e6, 1e6),
    sd=st.floats(1e-3, 1e6),
    low=st.none() | st.floats(-4, 4),
    span=st.none() | st.floats(0.01, 8),
)
def test_a_normal_reads_back_equal_whatever_its_bounds(mean, sd, low, span):
    least = None if low is None else mean + low * sd
    most = None if span is None else mean + ((-4 if low is None else low) + span) * sd
    domain = Normal(mean, sd, least, most)
    assert parse_domain("x", write_domain(domain)) == domain


@given(median=st.floats(1e-9, 1e9), factor=st.floats(1.001, 1e3), u=SHARES)
def test_a_lognormal_reads_back_equal_and_draws_within_its_ends(median, factor, u):
    domain = LogNormal(median, factor)
    assert parse_domain("x", write_domain(domain)) == domain
    assert domain.ends[0] <= domain.from_unit(u) <= domain.ends[1]


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("normal(0, 1)", Normal(0, 1)),
        ("normal(0, 1, min=-2, max=2)", Normal(0, 1, -2, 2)),
        ("normal(mean=0, sd=1)", Normal(0, 1)),
        ({"distribution": "normal", "mean": 0, "sd": 1, "max": 2}, Normal(0, 1, max=2)),
        ({"distribution": "lognormal", "median": 0.01, "factor": 3}, LogNormal(0.01, 3)),
        ("lognormal(0.01, 3, max=1)", LogNormal(0.01, 3, max=1)),
    ],
)
def test_both_written_forms(written, domain):
    assert parse_domain("x", written) == domain


def test_two_thirds_of_a_normal_lie_within_one_standard_deviation():
    values = np.array([Normal(2, 3).from_unit(float(u)) for u in EVENLY])
    assert np.mean(abs(values - 2) < 3) == pytest.approx(0.6827, abs=2e-3)
    assert [np.mean(values), np.std(values)] == pytest.approx([2, 3], abs=0.02)


def test_two_thirds_of_a_lognormal_lie_within_a_factor_of_the_median():
    values = np.array([LogNormal(0.01, 10).from_unit(float(u)) for u in EVENLY])
    assert np.median(values) == pytest.approx(0.01, rel=0.01)
    assert np.mean((values > 0.001) & (values < 0.1)) == pytest.approx(0.6827, abs=2e-3)
    assert np.std(np.log(values)) == pytest.approx(math.log(10), rel=0.01)


def test_bounds_cut_off_and_do_not_squeeze():
    bounded, plain = Normal(0, 1, min=-1, max=1), NormalDist()
    share = (plain.cdf(0.5) - plain.cdf(-1)) / (plain.cdf(1) - plain.cdf(-1))
    assert bounded.to_unit(0.5) == pytest.approx(share)


@pytest.mark.parametrize("sign", [1, -1])
def test_shares_far_out_in_a_tail_are_told_apart(sign):
    tail = TruncatedNormal(0, 1, *sorted((sign * 20.0, sign * 21.0)))
    values = [tail.quantile(u) for u in (0.1, 0.5, 0.9)]
    assert values == sorted(set(values))
    assert [tail.share(value) for value in values] == pytest.approx([0.1, 0.5, 0.9], rel=1e-6)


def test_an_open_side_has_an_end_to_draw_to_but_holds_whatever_lies_beyond():
    domain = Normal(0, 1, min=-1)
    assert domain.ends == (-1, 5)
    assert domain.contains(1e6) and not domain.contains(-1.1)
    assert not any(domain.contains(value) for value in (math.nan, math.inf, True, "0"))
    assert not LogNormal(1, 2).contains(0)
    assert [each.value for each in extremes(domain)][:2] == [-1, 5]


def test_only_a_bound_is_an_edge():
    assert Normal(0, 1, min=-1).edge(-0.95) == "low"
    assert Normal(0, 1, min=-1).edge(4.99) is None
    assert LogNormal(1, 2, max=4).edge(3.9) == "high"
    assert [Normal(0, 1).edge(value) for value in (-5, 0, 5, 9)] == [None] * 4


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("normal(0, 0)", "expected sd above 0"),
        ("normal(0)", "expected normal(mean, sd, min, max). Received: 'no sd'."),
        ("normal(0, 1, min=2, max=1)", "expected min below max"),
        ("normal(0, 1, min=6)", "expected bounds at most 5 standard deviations off the middle"),
        ("normal(a, 1)", "expected a number for mean"),
        ("normal(0, 1, max=a)", "expected a number for max"),
        ("lognormal(0, 1)", "expected median above 0"),
        ("lognormal(1, 1)", "expected factor above 1"),
        ("lognormal(1, 2, min=0)", "expected min above 0"),
        ("lognormal(mu=0, sigma=1)", "expected median, which is e**mu, and factor, e**sigma"),
        ("log_normal(1, 2)", "Did you mean 'lognormal'?"),
        ("normal(0, 1, max=1, prior=2)", "expected a prior that normal(0, 1, max=1) can take"),
    ],
)
def test_what_is_no_normal_is_refused_in_a_sentence(written, said):
    with pytest.raises(ExperimentFileError) as refusal:
        parse_domain("x", written)
    assert said in str(refusal.value)
