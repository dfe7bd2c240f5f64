from __future__ import annotations

import pytest

from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run
from orchestrator.report import show_lines, trials_table, winner_lines
from orchestrator.report.formatting import clock, printable
from tests.fortnight import ADA, MAIN, applied, entry, make_folder, write_fortnight


def test_the_winner_has_its_scores_hyperparameters_and_hint(run):
    text = "\n".join(winner_lines(run))
    assert "Winner: trial 00000, epoch 2" in text
    assert "  val_accuracy: 0.9123\n" in text
    assert "test: loss 0.15, accuracy 0.8889" in text
    assert "  batch norm: recalibrated (as trained: val_accuracy 0.9)\n" in text
    assert "momentum 0.95, 1-momentum 0.05" in text
    assert "Hint: the best 3 sit at the high end of learning_rate (1): widen it." in text


GOOD, BAD = {"accuracy": 0.95, "loss": 0.1}, {"accuracy": 0.91234, "loss": 0.2}
TRIED = {
    "validation_before_recalibration": GOOD,
    "validation_after_recalibration": BAD,
    "test_before_recalibration": GOOD,
    "test_after_recalibration": BAD,
}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {**TRIED, "recalibrated": False},
            ["as trained (recalibrated: val_accuracy 0.9123, test 0.9123)"],
        ),
        (
            {**TRIED, "recalibrated": True},
            ["recalibrated (as trained: val_accuracy 0.95, test 0.95)"],
        ),
        ({}, []),
        ({"validation_before_recalibration": GOOD}, []),  # an older record, without the layer
    ],
)
def test_which_averages_were_kept_and_what_the_others_gave_is_one_line_where_there_were_two(
    tmp_path, write_experiment, write_trial, more, said
):
    folder = RunFolder.create(tmp_path, "one")
    write_experiment(folder)
    with RunWriter(folder) as writer:
        write_trial(writer, 0, [0.5])
        facts = {"trial": "00000", "epoch": 1, "validation": GOOD, "test": GOOD}
        writer.event("winner", metric="val_accuracy", **facts, **more)
    lines = winner_lines(read_run(folder.path))
    found = [line for line in lines if "batch norm" in line or "recalib" in line]
    assert found == [f"  batch norm: {text}" for text in said]
    assert max(map(len, found), default=0) <= 80


@pytest.mark.parametrize(
    ("metric", "mode", "value", "baseline", "said"),
    [
        ("val_accuracy", "max", 0.5, {"accuracy": 0.5}, True),
        ("val_accuracy", "max", 0.51, {"accuracy": 0.5}, False),
        ("val_mae", "min", 97.1, {"mae": 60.8}, True),
        ("val_mae", "min", 44.0, {"mae": 60.8}, False),
        ("val_f1", "max", 0.3, {"accuracy": 0.9}, False),  # not what the baseline was measured in
    ],
)
def test_a_winner_that_does_not_beat_a_guess_is_said(
    tmp_path, write_experiment, metric, mode, value, baseline, said
):
    folder = RunFolder.create(tmp_path, "one")
    write_experiment(folder, metric=metric, mode=mode)
    folder.write_manifest({"task": {"baseline": baseline}})
    with RunWriter(folder) as writer:
        writer.trial_started("00000", 0, 0, {"units": 3})
        metrics = {metric: value, "loss": 1.0}
        writer.epochs([{"trial": "00000", "epoch": 1, "metrics": metrics, "seconds": 0.1}])
        writer.trial_ended(TrialEnd("00000", "finished", 1.0))
    text = " ".join(" ".join(winner_lines(read_run(folder.path))).split())
    assert ("no better than guessing" in text) is said


def test_a_run_is_told_at_a_glance_within_80_columns(run):
    lines = show_lines(run)
    text = "\n".join(lines)
    assert "digits: finished, 11 trials, 26 epochs" in lines[0]
    assert "8 finished, 1 stopped, 1 failed, 1 diverged" in text
    assert "00009 failed: ValueError" in text
    assert "logs/00009.txt" in text
    assert "\x1b" not in text
    assert max(map(len, (line for line in lines if "/" not in line))) <= 80


def test_a_run_that_was_cut_off_tells_its_best_so_far(tmp_path, write_experiment, write_trial):
    folder = RunFolder.create(tmp_path, "going")
    write_experiment(folder)
    assert winner_lines(read_run(folder.path)) == ["No winner: no trial has a finite val_accuracy."]
    with RunWriter(folder) as writer:
        write_trial(writer, 0, [0.5])
    lines = show_lines(read_run(folder.path))
    assert lines[0] == "going: interrupted, 1 trial, 1 epoch in 0 s"
    assert "Best so far: trial 00000, epoch 1" in lines


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (59.6, "1:00"), (3723, "1:02:03")]
)
def test_durations_read_well(seconds, text):
    assert clock(seconds) == text


def test_nothing_that_drives_a_terminal_is_printed():
    assert "\x1b" not in printable("a\x1b[2J\nb\u202e")
    assert "\u202e" not in printable("a\u202e")
    assert printable("a\n b") == "a b"


@pytest.fixture
def stopped(tmp_path):
    """A panda that its sitter stopped, and a person its branch."""
    folder = make_folder(tmp_path)
    write_fortnight(folder)
    advice = {"suggests": "stop", "changes": {}, "evidence": {}}
    with RunWriter(folder) as writer:
        writer.journal(
            [
                entry("advice", 4, rule="overfitting", done=False, **advice),
                entry("advice", 4, rule="plateau", done=True, **advice),
                entry("verdict", 4, rule="plateau", text="More of the same will not help."),
                applied(6, "stop", trial="gentle"),
            ]
        )
        by = {"scheduler": "panda"}
        writer.trial_ended(TrialEnd(MAIN, "stopped", 1.0, stopped_by=by))
        writer.trial_ended(TrialEnd("gentle", "stopped", 1.0, stopped_by=by))
        writer.event("run_finished", reason="limits.max_run_time was used up")
    return read_run(folder.path)


def test_why_a_panda_stopped_is_said_by_show_and_best_and_at_the_end(stopped):
    for lines in (show_lines(stopped), winner_lines(stopped)):
        text = " ".join(" ".join(lines).split())
        assert "Stopped after day 2 of 5 by the sitter (plateau): More of the same" in text
        assert f"Branch gentle: stopped after day 3 of 5 by {ADA}" in text


def test_the_table_says_who_stopped_a_panda(stopped):
    by = trials_table(stopped).set_index("trial")["stopped_by"]
    assert by[MAIN].startswith("after day 2 of 5 by the sitter (plateau): More of the same")


def test_show_tells_what_the_sitter_did_from_what_it_only_advised(stopped):
    assert "5 days of 2 epochs" in " ".join(show_lines(stopped))
    said = "  sitter acted on: plateau 1; only advised: overfitting 2"
    assert said in show_lines(stopped)


def test_show_tells_why_a_finished_run_ended_early(stopped):
    assert "  ended early, limits.max_run_time was used up" in show_lines(stopped)
