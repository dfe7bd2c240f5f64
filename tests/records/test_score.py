from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.records import Score, best_score, score_of


def rows(*values: object) -> list[dict]:
    return [{"epoch": i, "metrics": {"m": value}} for i, value in enumerate(values, start=1)]


def best(epochs: list[dict], mode: str = "max") -> tuple[int, float] | None:
    found = best_score(epochs, "m", mode)
    return None if found is None else (found.epoch, found.value)


@pytest.mark.parametrize(("mode", "expected"), [("max", (2, 0.9)), ("min", (3, 0.1))])
def test_the_best_epoch_follows_the_mode(mode, expected):
    assert best(rows(0.5, 0.9, 0.1), mode) == expected


def test_the_first_epoch_wins_a_tie_that_nothing_else_decides():
    assert best(rows(0.5, 0.9, 0.9)) == (2, 0.9)


def test_the_better_validation_loss_decides_a_tie():
    epochs = rows(0.9, 0.9, 0.9, 0.8)
    for row, loss in zip(epochs, (0.3, 0.2, math.nan, 0.1), strict=True):
        row["metrics"]["val_loss"] = loss
    assert best(epochs) == (2, 0.9)


def test_values_that_are_not_finite_numbers_never_win():
    assert best(rows(math.inf, math.nan, None, "x", 0.2)) == (5, 0.2)
    assert best(rows(-math.inf, 0.2), "min") == (2, 0.2)


def test_a_missing_metric_has_no_best():
    assert best_score(rows(0.5), "other", "max") is None
    assert best([]) is None


def test_numpy_values_count():
    assert best(rows(np.float32(0.5), np.float64(0.25)), "min") == (2, 0.25)


@pytest.mark.parametrize("mode", ["max", "min"])
def test_the_value_then_the_loss_then_the_size_then_the_epoch_decide(mode):
    better = 0.9 if mode == "max" else 0.1
    best_first = [
        Score(better, 9, mode, 0.9, 900),
        Score(0.5, 9, mode, 0.1, 900),
        Score(0.5, 9, mode, 0.2, 100),
        Score(0.5, 1, mode, 0.2, 200),
        Score(0.5, 2, mode, 0.2, 200),
        Score(0.5, 1, mode, 0.2, None),
        Score(0.5, 1, mode, None, 100),
    ]
    assert sorted(best_first[::-1], key=lambda score: score.rank) == best_first
    assert all(one.beats(two) and not two.beats(one) for one, two in itertools.pairwise(best_first))


def test_equal_scores_do_not_beat_one_another_and_anything_beats_nothing():
    score = Score(0.5, 1, "max")
    assert not score.beats(Score(0.5, 1, "max"))
    assert score.beats(None)


@given(
    st.floats(allow_nan=False, allow_infinity=False),
    st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False)),
    st.one_of(st.none(), st.integers(0, 2**40)),
)
def test_a_score_is_the_same_after_a_checkpoint(value, loss, parameters):
    score = Score(value, 3, "min", loss, parameters)
    assert Score.from_plain(score.to_plain()) == score


def test_a_row_has_all_that_decides():
    row = {"epoch": 2, "metrics": {"m": 0.5, "val_loss": 0.1}, "parameters": 77}
    assert score_of(row, "m", "min") == Score(0.5, 2, "min", 0.1, 77)
