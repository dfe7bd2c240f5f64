from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.records import best_epoch, is_better


def rows(*values: object) -> list[dict]:
    return [{"epoch": i, "metrics": {"m": value}} for i, value in enumerate(values, start=1)]


@pytest.mark.parametrize(("mode", "expected"), [("max", (2, 0.9)), ("min", (3, 0.1))])
def test_the_best_epoch_follows_the_mode(mode, expected):
    assert best_epoch(rows(0.5, 0.9, 0.1), "m", mode) == expected


def test_the_first_epoch_wins_a_tie():
    assert best_epoch(rows(0.5, 0.9, 0.9), "m", "max") == (2, 0.9)


def test_values_that_are_not_finite_numbers_never_win():
    assert best_epoch(rows(math.inf, math.nan, None, "x", 0.2), "m", "max") == (5, 0.2)
    assert best_epoch(rows(-math.inf, 0.2), "m", "min") == (2, 0.2)


def test_a_missing_metric_has_no_best():
    assert best_epoch(rows(0.5), "other", "max") is None
    assert best_epoch([], "m", "max") is None


def test_numpy_values_count():
    assert best_epoch(rows(np.float32(0.5), np.float64(0.25)), "m", "min") == (2, 0.25)


def test_nan_beats_nothing():
    assert not is_better(math.nan, None, "max")
    assert is_better(0.1, None, "max")
    assert not is_better(0.1, 0.1, "max")
