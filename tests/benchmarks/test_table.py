"""What the benchmark's figures are turned into."""

from __future__ import annotations

import pytest


def row(peer, seconds, **more):
    return {
        "peer": peer, "case": "digits-mlp", "asked": 64, "run": 64, "trials": 64, "epochs": 256,
        "concurrent": 2, "seconds": seconds, "peak_rss_mb": 900.0, "peak_pss_mb": None,
        "best_val_accuracy": 0.98, "notes": {}, **more,
    }  # fmt: skip


def cells(text, peer):
    (line,) = (line for line in text.splitlines() if line.startswith(f"| {peer} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_ratios_say_how_many_times_ours_a_peer_took_a_trial():
    import table

    text = table.markdown([row("ours", 16.0), row("ray-tune", 256.0)])
    assert cells(text, "ours")[-2:] == ["1.0", "1.0"]
    assert cells(text, "ray-tune")[-2:] == ["16.0", "16.0"]


def test_a_capped_peer_is_compared_by_the_trials_it_ran_and_the_cap_is_stated():
    import table

    capped = row("ray-tune", 64.0, run=16, trials=16, epochs=64)
    text = table.markdown([row("ours", 16.0), capped])
    assert cells(text, "ray-tune")[-2:] == ["16.0", "16.0"]
    assert "ray-tune: 16 of 64 trials run" in text


def test_a_missed_bar_says_missed():
    import table

    met, missed = table.verdicts([row("ours", 16.0), row("ray-tune", 200.0), row("optuna", 60.0)])
    assert met.startswith("- met: digits-mlp, 64 trials: 12.5x ray-tune")
    assert missed.startswith("- MISSED: digits-mlp, 64 trials: 3.8x optuna")


def test_where_nobody_can_be_many_times_as_fast_an_epoch_is_what_is_compared():
    import table

    wide = {"case": "letters-wide", "asked": 8, "run": 8, "trials": 8}
    rows = [row("ours", 20.0, **wide, epochs=40), row("optuna", 65.0, **wide, epochs=100)]
    assert table.verdicts(rows) == [
        "- met: letters-wide, 8 trials: 1.3x optuna per trial-epoch (bar: 1.3x)"
    ]


def test_optuna_is_held_to_the_faster_of_its_two_ways():
    import table

    rows = [row("ours", 16.0), row("optuna", 160.0), row("optuna-threads", 48.0)]
    assert table.verdicts(rows)[0].startswith("- MISSED: digits-mlp, 64 trials: 3.0x optuna")


def test_a_failed_contestant_is_a_row_with_its_reason_and_no_ratio():
    import table

    failed = {"peer": "ray-tune", "case": "digits-mlp", "asked": 64, "run": 64, "error": "a\nb c"}
    text = table.markdown([row("ours", 16.0), failed])
    assert "failed: b c" in cells(text, "ray-tune")


def test_growth_is_the_largest_of_one_worker_between_trial_64_and_256():
    import table

    marks = {"64": {"a": 500.0, "b": 510.0}, "256": {"a": 530.0, "b": 620.0, "c": 900.0}}
    assert table.memory_growth_mb(marks) == 110.0
    assert table.memory_growth_mb({"64": {"a": 500.0}}) is None
    rows = [row("ours", 16.0, notes={"worker_rss_mb": marks})]
    assert table.verdicts(rows)[0].startswith("- MISSED: digits-mlp, 64 trials: a worker grew")


def test_a_workers_memory_is_its_last_by_the_64th_ended_trial(monkeypatch):
    import ours

    ended = [{"worker": index % 2, "rss_mb": 400.0 + index} for index in range(70)]
    assert ours.worker_memory(ended) == {"64": {"0": 462.0, "1": 463.0}}


def test_the_best_value_passes_over_nan_and_infinity_as_records_write_them():
    import ours

    assert ours.best([0.5, "NaN", "Infinity", 0.75]) == 0.75


def test_the_compiled_share_is_epochs_over_workers_times_wall():
    import ours

    assert ours.compiled_share([{"seconds": 1.5}, {"seconds": 2.5}], 2, 4.0) == 0.5


def test_the_space_of_ours_draws_momentum_through_one_minus_beta():
    import cases

    document = cases.CASES["digits-mlp"].document()
    assert document["momentum"] == "one_minus_loguniform(0.9, 0.999)"
    assert document["learning_rate"] == "loguniform(0.001, 1.0)"
    assert document["hidden_layers"] == "integer(1, 3)"
    assert document["batch_norm_momentum"] == 0.9


def test_a_case_is_a_name_and_a_number_of_trials():
    import run

    assert run.case("digits-mlp:64") == ("digits-mlp", 64)
    with pytest.raises(ValueError, match=r"Received: 'digits:64'\. Known: digits-mlp"):
        run.case("digits:64")
