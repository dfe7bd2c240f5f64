"""A trial equals plain Keras: fresh, saved, on a warm worker after other trials, and resumed in the middle."""

from __future__ import annotations

import pytest

from tests.parity.cases import EXAM, REPORTED
from tests.parity.exam import examine


def marks(case):
    if case.slow:
        yield pytest.mark.slow
    if case.fails:
        yield pytest.mark.xfail(strict=True, reason=case.fails)


def named(cases):
    return [pytest.param(case, marks=[*marks(case)], id=name) for name, case in cases.items()]


@pytest.mark.parametrize("case", named(EXAM))
def test_a_trial_equals_plain_keras(case, tmp_path):
    assert examine(case, tmp_path) == {}


@pytest.mark.parametrize("case", named(REPORTED))
def test_what_people_reported_equals_plain_keras(case, tmp_path):
    assert examine(case, tmp_path) == {}
