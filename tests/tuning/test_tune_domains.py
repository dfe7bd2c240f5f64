"""Ray is imported here, never started."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ray.tune.search.sample import Domain as TuneDomain

from orchestrator.domains import OneMinusLogUniform, Space, parse_domain
from orchestrator.errors import ExperimentFileError
from orchestrator.tuning.domains import to_tune, to_tune_space

DRAWS = 4_000
FORMS = [
    "uniform(-2, 5)",
    "uniform(0.5, 0.5)",
    "uniform(0.1, 1, step=0.3)",
    "loguniform(1e-4, 1)",
    "loguniform(0.5, 8.5, step=2)",
    "one_minus_loguniform(0.9, 0.999)",
    "one_minus_loguniform(0, 0.99)",
    "integer(1, 6)",
    "integer(3, 3)",
    "integer(1, 9, step=2)",
    "log_integer(1, 128)",
    "log_integer(10, 40, step=10)",
]
WHOLE = [form for form in FORMS if "integer" in form]
QUANTILES = np.linspace(0.02, 0.98, 25)


def theirs(form):
    domain = to_tune(parse_domain("x", form))
    return domain, domain.sample(size=DRAWS, random_state=0)


def ours(form):
    """The value at each share of the probability; Ray draws 1-β where the scale is that of 1-β."""
    domain = parse_domain("x", form)
    values = np.array([domain.from_unit((at + 0.5) / DRAWS) for at in range(DRAWS)], float)
    return 1 - values if isinstance(domain, OneMinusLogUniform) else values


@pytest.mark.parametrize("form", FORMS)
def test_rays_draws_have_our_distribution(form):
    _, drawn = theirs(form)
    expected = ours(form)
    for value in np.unique(np.quantile(expected, QUANTILES, method="inverted_cdf")):
        share = (np.array(drawn) <= value * (1 + 1e-9)).mean()
        assert share == pytest.approx((expected <= value * (1 + 1e-9)).mean(), abs=0.03)


@pytest.mark.parametrize("form", WHOLE)
def test_whole_numbers_stay_whole_and_reach_both_ends(form):
    _, drawn = theirs(form)
    domain = parse_domain("x", form)
    assert {type(value) for value in drawn} <= {int, np.int64}
    assert (min(drawn), max(drawn)) == (domain.min, domain.max)
    assert all(domain.contains(int(value)) for value in drawn)


@pytest.mark.parametrize("form", FORMS)
def test_rays_domain_takes_its_own_draws_for_valid_and_draws_one_at_a_time(form):
    domain, drawn = theirs(form)
    assert all(domain.is_valid(value) for value in drawn)
    assert np.ndim(domain.sample(random_state=1)) == 0


def test_a_choice_gives_each_of_its_values_equally_often():
    drawn = to_tune(parse_domain("x", "choice([relu, 3, true, null])")).sample(
        size=DRAWS, random_state=0
    )
    counts = Counter(map(str, drawn))
    assert set(counts) == {"relu", "3", "True", "None"}
    assert min(counts.values()) > 0.2 * DRAWS


def test_a_plain_value_stays_one():
    assert to_tune(parse_domain("x", 7)) == 7


def test_a_space_goes_over_name_by_name_and_a_beta_as_its_complement():
    space = Space.parse(
        {
            "momentum": "one_minus_loguniform(0.9, 0.99)",
            "units": "integer(1, 3)",
            "optimizer": "sgd",
        }
    )
    over = to_tune_space(space)
    assert list(over) == ["one_minus_momentum", "units", "optimizer"]
    assert isinstance(over["units"], TuneDomain)
    assert over["optimizer"] == "sgd"


def test_an_unknown_distribution_is_refused_before_ray_hears_of_it():
    with pytest.raises(ExperimentFileError):
        parse_domain("x", "normal(0, 1)")
