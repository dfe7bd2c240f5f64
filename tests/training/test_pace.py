from __future__ import annotations

import pytest

from orchestrator.training.backend import PART_SECONDS, Pace


def test_the_first_part_of_all_is_one_step():
    assert Pace().steps(32) == 1


@pytest.mark.parametrize(
    ("seconds_a_step", "steps"),
    [(PART_SECONDS / 100, 100), (PART_SECONDS / 2.5, 2), (60 * PART_SECONDS, 1)],
)
def test_a_part_takes_about_ten_seconds_and_has_a_step_at_least(seconds_a_step, steps):
    pace = Pace()
    pace.note(32, 5, 5 * seconds_a_step)
    assert pace.steps(32) == pytest.approx(steps, abs=1)


def test_steps_too_short_to_measure_make_a_long_part():
    pace = Pace()
    pace.note(32, 5, 0.0)
    assert pace.steps(32) > 1e6


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 100), (32, 100), (64, 50)])
def test_another_batch_size_makes_no_part_longer(batch_size, steps):
    pace = Pace()
    pace.note(32, 1, PART_SECONDS / 100)
    assert pace.steps(batch_size) == steps
