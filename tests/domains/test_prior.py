from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domains import Fixed, parse_domain
from orchestrator.domains.parse import write_domain
from orchestrator.domains.prior import WIDTHS
from orchestrator.errors import ExperimentFileError

SHARES = st.floats(0, 1, exclude_max=True)
EVENLY = (np.arange(400) + 0.5) / 400
WRITTEN = [
    "uniform(-2, 3, prior=-2, confidence=high)",
    "uniform(0, 1, step=0.25, prior=0.5)",
    "loguniform(1e-4, 1, prior=0.1, confidence=high)",
    "one_minus_loguniform(0.9, 0.999, prior=0.9, confidence=low)",
    "integer(1, 3, prior=2)",
    "log_integer(1, 300, prior=20, confidence=high)",
    "lognormal(0.01, 3, max=0.1, prior=0.02)",
    "choice([32, 64, 128], prior=64)",
    "choice([a, true, 1], prior=1, confidence=high)",
]
BELIEVED = [parse_domain("x", text) for text in WRITTEN]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_prior_reads_back_equal_from_what_is_written(text):
    domain = parse_domain("x", text)
    assert domain.prior is not None
    assert parse_domain("x", write_domain(domain)) == domain


def test_a_mapping_and_a_short_form_say_the_same_and_medium_is_the_confidence_that_is_not_said():
    mapping = {"distribution": "loguniform", "min": 1e-4, "max": 1, "prior": 0.1}
    assert parse_domain("x", mapping) == parse_domain("x", "loguniform(1e-4, 1, prior=0.1)")
    assert parse_domain("x", mapping) == parse_domain("x", {**mapping, "confidence": "medium"})


def test_a_prior_survives_a_condition():
    written = {"when": {"optimizer": "sgd"}, "domain": "uniform(0, 1, prior=0.9)"}
    domain = parse_domain("x", written)
    assert parse_domain("x", write_domain(domain)) == domain
    assert domain.prior.value == 0.9


@pytest.mark.parametrize("domain", BELIEVED, ids=str)
@given(u=SHARES)
def test_a_draw_from_the_prior_is_a_value_of_the_domain_with_some_density(domain, u):
    value = domain.prior_from_unit(u)
    assert domain.contains(value)
    assert domain.prior_pdf(value) > 0


@pytest.mark.parametrize("domain", BELIEVED, ids=str)
def test_the_density_is_1_over_all_plain_draws(domain):
    densities = [domain.prior_pdf(domain.from_unit(float(u))) for u in EVENLY]
    assert np.mean(densities) == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("domain", BELIEVED, ids=str)
def test_draws_follow_the_density(domain):
    drawn = [domain.prior_from_unit(float(u)) for u in EVENLY]
    for share in (0.2, 0.5, 0.8):
        bound = domain.to_unit(domain.from_unit(share))
        expected = np.mean([
            domain.prior_pdf(value) * (domain.to_unit(value) <= bound)
            for value in (domain.from_unit(float(u)) for u in EVENLY)
        ])  # fmt: skip
        assert np.mean([domain.to_unit(v) <= bound for v in drawn]) == pytest.approx(
            expected, abs=1e-2
        )


def test_a_prior_lies_on_the_scale_of_its_domain():
    domain = parse_domain("x", "loguniform(1e-4, 1, prior=0.01, confidence=high)")
    middle = [domain.to_unit(domain.prior_from_unit(float(u))) for u in EVENLY]
    assert domain.prior_from_unit(0.5) == pytest.approx(0.01)
    assert np.std(middle) == pytest.approx(WIDTHS["high"], rel=0.01)


def test_the_surer_the_likelier():
    densities = [
        parse_domain("x", f"choice([1, 2, 3], prior=2, confidence={sure})").prior_pdf(2)
        for sure in ("low", "medium", "high")
    ]
    assert densities == pytest.approx([6 / 4, 12 / 6, 24 / 10])


@pytest.mark.parametrize("written", ["uniform(0, 1)", "integer(1, 3)", "choice([a, b])"])
@given(u=SHARES)
def test_without_a_prior_it_is_a_plain_draw(written, u):
    domain = parse_domain("x", written)
    assert domain.prior_from_unit(u) == domain.from_unit(u)
    assert domain.prior_pdf(domain.from_unit(u)) == 1


def test_what_is_not_of_the_domain_has_no_density():
    assert parse_domain("x", "uniform(0, 1, prior=0.5)").prior_pdf(2) == 0
    assert parse_domain("x", "choice([a, b], prior=a)").prior_pdf("c") == 0
    assert Fixed(3).prior_pdf(4) == 0


def test_a_prior_of_a_single_number_is_that_number():
    domain = parse_domain("x", "uniform(2, 2, prior=2)")
    assert (domain.prior_from_unit(0.3), domain.prior_pdf(2)) == (2, 1)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("loguniform(1e-4, 1, prior=2)", "expected a prior that loguniform(1e-4, 1) can take. Received: 2."),
        ("choice([1, 2], prior=3)", "expected a prior that choice([1, 2]) can take. Received: 3."),
        ("integer(1, 3, prior=1.5)", "expected a prior that integer(1, 3) can take. Received: 1.5."),
        ("uniform(0, 1, confidence=high)", "expected a prior beside confidence. Received: 'high'."),
        ("uniform(0, 1, prior=1, confidence=hihg)", "Did you mean 'high'?"),
        ("uniform(0, 1, prior=[1])", "expected one value of the domain for prior. Received: [1]."),
        ({"distribution": "fixed", "value": 1, "prior": 1}, "unknown key for fixed. Received: 'prior'."),
    ],
)  # fmt: skip
def test_a_prior_that_cannot_be_is_refused_in_a_sentence(written, said):
    with pytest.raises(ExperimentFileError) as refusal:
        parse_domain("x", written)
    assert said in str(refusal.value)
