from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.sitter import learning_rates, suggest

RATES = learning_rates()


def curve(rate, seed=0, noise=0.0):
    """A loss that is best at 0.1 and explodes beyond it; ln 10 where nothing is learnt."""
    learnt = 2.0 / (1 + (0.005 / rate) ** 2)
    blown = max(0.0, math.log10(rate / 0.1)) ** 2 * 20
    return 2.3 - learnt + blown + noise * random.Random(f"{seed}{rate}").gauss(0, 1)


def test_the_rates_are_a_geometric_series_with_both_ends():
    rates = learning_rates(1e-4, 1.0, 5)
    assert rates == pytest.approx((1e-4, 1e-3, 1e-2, 1e-1, 1.0))
    assert rates[-1] == 1.0


@pytest.mark.parametrize("wrong", [(0.0, 1.0, 5), (1.0, 0.1, 5), (0.1, 1.0, 1), (0.1, math.inf, 5)])
def test_rates_that_make_no_series_are_refused(wrong):
    with pytest.raises(ValueError, match="expected 0 < low < high"):
        learning_rates(*wrong)


def test_a_tenth_of_the_rate_of_the_lowest_loss_is_suggested():
    found = suggest(RATES, [curve(rate) for rate in RATES])
    assert found.learning_rate == pytest.approx(found.evidence["learning_rate_of_lowest_loss"] / 10)
    assert 0.005 < found.learning_rate < 0.03
    assert found.evidence["diverged"]


@pytest.mark.parametrize("seed", range(20))
def test_noise_moves_it_little(seed):
    found = suggest(RATES, [curve(rate, seed, noise=0.2) for rate in RATES])
    assert 0.003 < found.learning_rate < 0.05


def test_what_comes_after_a_nan_is_not_looked_at():
    losses = [curve(rate) if rate < 1 else math.nan for rate in RATES]
    assert suggest(RATES, losses).learning_rate < 0.1
    losses[-1] = 0.0
    assert suggest(RATES, losses).learning_rate < 0.1


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [2.3],
        [math.nan] * 100,
        [2.3] * 100,
        [2.3 + 0.1 * i for i in range(100)],
        [2.3] * 50 + [math.nan] * 50,
    ],
    ids=["nothing", "one", "nan", "flat", "rising", "flat then nan"],
)
def test_where_nothing_was_learnt_nothing_is_suggested(losses):
    assert suggest(RATES[: len(losses)], losses) is None


def test_noise_alone_is_hardly_ever_taken_for_learning():
    found = 0
    for seed in range(200):
        draw = random.Random(seed)
        found += suggest(RATES, [2.3 + draw.gauss(0, 0.2) for _ in RATES]) is not None
    assert found <= 2


@given(st.lists(st.floats(), max_size=100))
def test_any_losses_give_a_rate_of_the_test_or_none(losses):
    found = suggest(RATES[: len(losses)], losses)
    assert found is None or RATES[0] / 10 <= found.learning_rate <= RATES[-1] / 10
