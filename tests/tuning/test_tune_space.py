"""Ray is imported here, never started."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from ray.tune.search.sample import Domain as TuneDomain
from ray.tune.search.variant_generator import generate_variants

from orchestrator.domains import OneMinusLogUniform, Space, parse_domain
from orchestrator.errors import ExperimentFileError
from orchestrator.tuning.tune_space import to_tune_space

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
    "normal(1, 2)",
    "lognormal(0.01, 3, max=0.1)",
]
WHOLE = [form for form in FORMS if "integer" in form]
QUANTILES = np.linspace(0.02, 0.98, 25)


def to_tune(form):
    return next(iter(to_tune_space({"x": form}).values()))


def theirs(form):
    domain = to_tune(form)
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
    drawn = to_tune("choice([relu, 3, true, null])").sample(size=DRAWS, random_state=0)
    counts = Counter(map(str, drawn))
    assert set(counts) == {"relu", "3", "True", "None"}
    assert min(counts.values()) > 0.2 * DRAWS


def test_a_plain_value_stays_one():
    assert to_tune(7) == 7


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


def test_ray_tunes_own_generator_draws_alpha_and_one_minus_beta_on_log_scales():
    """What a Tuner does with ``param_space``, many times."""
    space = {"alpha": "loguniform(1e-4, 1)", "momentum": "one_minus_loguniform(0.9, 0.999)"}
    states = np.random.RandomState(1)
    spec = {"config": to_tune_space(space)}
    drawn = [
        variant["config"]
        for _ in range(900)
        for _, variant in generate_variants(spec, random_state=states)
    ]
    alpha = np.log10([config["alpha"] for config in drawn])
    beta = np.log10([config["one_minus_momentum"] for config in drawn])
    assert np.quantile(alpha, [0, 0.25, 0.5, 0.75, 1]) == pytest.approx(
        [-4, -3, -2, -1, 0], abs=0.2
    )
    assert np.quantile(beta, [0, 0.5, 1]) == pytest.approx([-3, -2, -1], abs=0.1)


def test_a_bundled_space_and_a_file_go_over_by_name(tmp_path):
    (tmp_path / "space.yaml").write_text("units: integer(1, 3)\n")
    assert list(to_tune_space(tmp_path / "space.yaml")) == ["units"]
    assert set(to_tune_space("mlp")) >= {"learning_rate"}


def test_a_hyperparameter_that_exists_beside_others_alone_is_refused_in_a_sentence():
    momentum = {"domain": "uniform(0.1, 0.9)", "when": {"optimizer": "sgd"}}
    space = {"optimizer": "choice([sgd, adam])", "momentum": momentum}
    with pytest.raises(
        ExperimentFileError, match=r"search_space.momentum: expected no when, since"
    ):
        to_tune_space(space)


def test_constraints_are_refused_in_a_sentence():
    space = Space.parse({"units": "integer(1, 9)"}, constraints=["units < 4"])
    with pytest.raises(ExperimentFileError, match=r"constraints: expected none, since Ray Tune"):
        to_tune_space(space)


def test_an_unknown_distribution_is_refused_before_ray_hears_of_it():
    with pytest.raises(ExperimentFileError):
        parse_domain("x", "gaussian(0, 1)")
