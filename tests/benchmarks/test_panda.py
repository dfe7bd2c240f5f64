"""What the sitter's benchmark makes of its runs, and which α it starts them from."""

from __future__ import annotations

import pytest

REFERENCE = {"test_accuracy": 0.9, "val_accuracy": 0.9}


def row(contestant, test, seed=0, start="good", reached=2.0):
    return {
        "start": start, "learning_rate": 0.1, "contestant": contestant, "seed": seed,
        "test_accuracy": test, "epochs": 10.0, "epochs_to_level": reached,
    }  # fmt: skip


def runs(contestant, tests, **more):
    return [row(contestant, test, seed, **more) for seed, test in enumerate(tests)]


def cells(rows):
    import panda_table

    lines = panda_table.table(panda_table.summaries(rows, REFERENCE))
    assert all(len(line) <= 80 for line in lines)
    return [cell.strip() for cell in lines[2].strip("|").split("|")]


def test_a_share_is_held_against_the_good_rate_s_test_accuracy():
    assert cells(runs("sitter", [0.9, 0.89, 0.86, 0.5]))[2:4] == ["75", "25"]


def test_where_most_runs_never_got_there_the_median_says_never():
    rows = [*runs("sitter", [0.9]), *runs("sitter", [0.5, 0.5], reached=None)]
    assert cells(rows)[4] == "never"


@pytest.mark.parametrize(
    ("start", "ours", "theirs", "verdict"),
    [
        ("good", [0.90, 0.91], [0.91, 0.90], "met"),
        ("good", [0.80, 0.81], [0.90, 0.91], "MISSED"),
        ("too large", [0.90, 0.10], [0.10, 0.10], "met"),
        ("too large", [0.90, 0.90], [0.90, 0.90], "MISSED"),
    ],
)
def test_the_bar_is_to_win_from_far_off_and_to_lose_nothing_elsewhere(start, ours, theirs, verdict):
    import panda_table

    rows = [*runs("sitter, test", ours, start=start), *runs("Keras, loss", theirs, start=start)]
    (line,) = panda_table.verdicts(rows, panda_table.summaries(rows, REFERENCE))
    assert line.startswith(f"- {verdict}: {start}")


def test_differences_are_paired_by_seed():
    import panda_table

    rows = [*runs("sitter", [0.5, 0.9]), *runs("Keras, acc", [0.4, 0.8])]
    assert panda_table.difference(rows, "good", "sitter", "Keras, acc") == pytest.approx((0.1, 0))


@pytest.mark.parametrize(
    ("means", "fine"),
    [
        ({"0.01": 0.94, "0.03": 0.945, "0.1": 0.95, "0.3": 0.90}, 0.03),
        ({"0.01": 0.60, "0.03": 0.70, "0.1": 0.95, "0.3": 0.90}, 0.3),
    ],
)
def test_the_also_fine_rate_is_within_the_noise_or_the_second_best(means, fine):
    import panda

    found = panda.starts(means, validation_rows=1000)
    assert (found["good"], found["fine"]) == (0.1, fine)
    assert found["too large"] / found["good"] >= 100
    assert found["good"] / found["too small"] >= 100
