"""A trial equals plain Keras: fresh, saved, on a warm worker after other trials, and resumed in the middle."""

from __future__ import annotations

import pytest

from tests.parity.cases import EXAM, REPORTED
from tests.parity.exam import examine
from tests.parity.known import FAILS, SLOW


def named(cases):
    for name, case in cases.items():
        marks = [pytest.mark.slow] if name in SLOW else []
        if name in FAILS:
            marks.append(pytest.mark.xfail(strict=True, reason=FAILS[name]))
        yield pytest.param(case, marks=marks, id=name)


@pytest.mark.parametrize("case", named(EXAM))
def test_a_trial_equals_plain_keras(case, tmp_path):
    assert examine(case, tmp_path) == {}


@pytest.mark.parametrize("case", named(REPORTED))
def test_what_people_reported_equals_plain_keras(case, tmp_path):
    assert examine(case, tmp_path) == {}


def test_every_name_of_a_known_case_is_a_case_s():
    assert {*FAILS, *SLOW} <= {*EXAM, *REPORTED}
