from __future__ import annotations

import pytest

from orchestrator.training.backend import CHUNK_SECONDS, EpochChunker


def test_the_first_chunk_is_one_step():
    assert EpochChunker().steps(32) == 1


@pytest.mark.parametrize(
    ("seconds_a_step", "steps"),
    [(CHUNK_SECONDS / 100, 100), (CHUNK_SECONDS / 2.5, 2), (60 * CHUNK_SECONDS, 1)],
)
def test_a_chunk_takes_about_ten_seconds_and_has_a_step_at_least(seconds_a_step, steps):
    chunker = EpochChunker()
    chunker.note(32, 5, 5 * seconds_a_step)
    assert chunker.steps(32) == pytest.approx(steps, abs=1)


def test_steps_too_short_to_measure_make_a_long_part():
    chunker = EpochChunker()
    chunker.note(32, 5, 0.0)
    assert chunker.steps(32) > 1e6


@pytest.mark.parametrize(("batch_size", "steps"), [(16, 100), (32, 100), (64, 50)])
def test_another_batch_size_makes_no_part_longer(batch_size, steps):
    chunker = EpochChunker()
    chunker.note(32, 1, CHUNK_SECONDS / 100)
    assert chunker.steps(batch_size) == steps
