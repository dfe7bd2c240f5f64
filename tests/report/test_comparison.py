from __future__ import annotations

import math

import pandas as pd
import pytest

from orchestrator.records import RunWriter, read_run
from orchestrator.report import compare_lines, compare_table
from orchestrator.report.comparison import difference_noise
from tests.fortnight import make_folder, row, write_fortnight


@pytest.fixture
def panda(tmp_path):
    return write_fortnight(make_folder(tmp_path / "runs", "babysat"))


def with_best(tmp_path, name, value, **changes):
    folder = make_folder(tmp_path / "runs", name, **{"strategy": "caviar", **changes})
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started("00000", 0, 7, {"learning_rate": 0.2})
        writer.epochs([row(1, value)])
    return read_run(folder.path)


def test_a_panda_its_branches_and_caviars_stand_in_one_table(panda, tmp_path):
    table = compare_table([with_best(tmp_path, "many", 0.7), panda])
    assert list(table["run"]) == ["many", "babysat", "babysat/gentle"]
    assert list(table["best"]) == [0.7, 0.85, 0.9]
    assert list(table["strategy"]) == ["caviar", "panda", "panda"]


def test_effort_counts_what_was_abandoned_too(panda):
    assert list(compare_table([panda])["epochs"]) == [7, 2]


def test_a_babysat_models_hyperparameters_are_those_in_force(panda):
    assert list(compare_table([panda])["learning_rate"]) == [0.1, 0.03]


def test_how_far_behind_the_best_a_row_is_stands_beside_the_noise(panda):
    table = compare_table([panda])
    assert table["behind"].round(6).tolist() == [0.05, 0.0]
    noise = math.sqrt(0.85 * 0.15 / 400 + 0.9 * 0.1 / 400)
    assert table["noise"][0] == pytest.approx(noise)
    assert pd.isna(table["noise"][1])


def test_the_winner_is_told_with_its_lead_over_the_noise(panda):
    assert compare_lines([panda], width=200) == [
        "babysat/gentle leads: val_accuracy 0.9, 0.05 better than babysat,"
        " beyond the noise (2.1 x the standard error 0.02332)."
    ]


def test_a_lead_within_two_standard_errors_is_within_the_noise(tmp_path):
    runs = [with_best(tmp_path, name, value) for name, value in (("a", 0.9), ("b", 0.89))]
    assert "within the noise" in " ".join(compare_lines(runs))


def test_runs_judged_by_different_metrics_are_not_set_against_one_another(tmp_path):
    loss = with_best(tmp_path, "a", 0.9, metric="val_loss", mode="min")
    runs = [loss, with_best(tmp_path, "b", 0.9)]
    assert compare_table(runs)["behind"].tolist() == [0.0, 0.0]
    assert compare_lines(runs) == []


def test_a_lower_loss_wins_and_its_noise_is_not_known(tmp_path):
    options = {"metric": "val_loss", "mode": "min"}
    runs = [with_best(tmp_path, name, v, **options) for name, v in (("a", 0.6), ("b", 0.9))]
    assert compare_table(runs)["behind"].round(6).tolist() == [0.3, 0.0]
    assert "noise is not known" in " ".join(compare_lines(runs, 200))


def test_equal_runs_are_level(tmp_path):
    runs = [with_best(tmp_path, name, 0.9) for name in "ab"]
    assert compare_lines(runs) == ["a leads: val_accuracy 0.9, level with b."]


def test_a_run_without_a_finite_value_is_behind_nothing(tmp_path):
    runs = [with_best(tmp_path, "a", math.nan), with_best(tmp_path, "b", 0.9)]
    assert compare_table(runs)["behind"].isna().tolist() == [True, False]


def test_noise_needs_shares_and_known_rows():
    assert difference_noise(0.5, 0.5, [100, None]) is None
    assert difference_noise(1.5, 0.5, [100, 100]) is None
    assert difference_noise(0.5, 0.5, [100, 100]) == pytest.approx(math.sqrt(0.005))
