"""Random models, three of forty in `make test-all`, and all in which ours once differed from plain Keras."""

from __future__ import annotations

import pytest

from tests.parity.found import FOUND
from tests.parity.fuzz import differences
from tests.parity.grammar import draw

SEED = 2026
NUMBERS = [*range(3), *(pytest.param(number, marks=pytest.mark.slow) for number in range(3, 40))]
"""Seven seconds each; `make parity` draws a thousand."""


@pytest.mark.parametrize("number", NUMBERS)
def test_a_random_model_trains_as_by_plain_keras(number):
    found = differences(draw(SEED, number))
    if found is None:
        pytest.skip("plain Keras refuses it")
    assert found == {}


@pytest.mark.parametrize("name", FOUND)
def test_what_once_differed_is_equal(name):
    assert differences(FOUND[name]) == {}
