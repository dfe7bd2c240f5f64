"""What a run's listener writes, shows and keeps, told by hand."""

from __future__ import annotations

import math

import pytest

from orchestrator.experiment import disk
from orchestrator.records import RunFolder, TrialEnd, TrialStarted, read_run
from tests.experiment.told import Told


@pytest.fixture
def tell(tmp_path):
    """`tell(keep, mode, epochs=9)`: a recorder in a new run's folder."""
    made = []

    def make(keep=1, mode="max", **keys):
        made.append(Told(RunFolder.create(tmp_path, f"run{len(made)}"), keep, mode, keys))
        return made[-1]

    yield make
    for told in made:
        told.recorder.__exit__()


def test_the_best_checkpoints_over_all_trials_stay_not_those_of_each(tell):
    told = tell(keep=2)
    for index, value in enumerate([0.5, 0.9, 0.1, 0.7, 0.95]):
        told.trial(index, value)
        assert len(told.kept) <= 2
    assert told.kept == [1, 4]


def test_with_mode_min_the_lowest_stay(tell):
    told = tell(keep=2, mode="min")
    for index, value in enumerate([0.5, 0.9, 0.1, 0.7]):
        told.trial(index, value)
    assert told.kept == [0, 2]


def test_a_trials_best_epoch_counts_and_the_first_of_equals_stays(tell):
    told = tell()
    told.trial(0, 0.2, 0.8, 0.1)
    told.trial(1, 0.7, 0.7, 0.7)
    told.trial(2, 0.1, 0.8)
    assert told.kept == [0]


def test_what_has_no_finite_figure_keeps_no_checkpoint(tell):
    told = tell(keep=3)
    told.trial(0, math.nan, status="diverged")
    told.trial(1, math.inf)
    told.trial(2, status="failed")
    assert told.kept == []
    assert told.recorder.verdict() is None


def test_a_failed_trial_that_had_the_best_epoch_is_kept_like_any(tell):
    told = tell()
    told.trial(0, 0.5)
    told.trial(1, 0.9, status="failed", traceback="Traceback\nValueError: late")
    assert told.kept == [1]
    assert told.recorder.verdict().checkpoint.name == "00001.npz"


def test_the_verdict_is_on_the_best_and_on_no_other_where_its_checkpoint_is_gone(tell):
    told = tell(keep=2)
    told.trial(0, 0.5)
    told.trial(1, 0.9)
    assert told.recorder.verdict().checkpoint == (told.folder.checkpoints / "00001.npz").resolve()
    (told.folder.checkpoints / "00001.npz").unlink()
    assert told.recorder.verdict() is None
    [event] = read_run(told.folder.path).events
    assert event["event"] == "not_examined"
    assert "the state of trial 00001, the best, is gone" in event["reason"]


def test_what_a_worker_kept_of_a_trial_that_the_records_lack_is_no_state_of_a_later_one(tell):
    told = tell(keep=2)
    told.trial(0, 0.5)
    for name in ("00001.npz", "00001.last.npz"):
        (told.folder.checkpoints / name).write_bytes(b"begun, and never heard of")
    told.recorder.remember(read_run(told.folder.path))
    assert [file.name for file in told.folder.checkpoints.iterdir()] == ["00000.npz"]


def test_the_records_hold_what_was_told(tell):
    told = tell()
    told.trial(0, 0.5, 0.6)
    told.trial(1, status="failed", traceback="Traceback\nValueError: no")
    told.recorder.judged({"trial": "00000", "epoch": 2, "test": {"accuracy": 0.5}})
    records = read_run(told.folder.path)
    assert [trial.status for trial in records.trials] == ["finished", "failed"]
    assert records.trials[0].hyperparameters == next(told.plan.draws()).hyperparameters
    assert records.trials[0].seed == next(told.plan.draws()).seed
    best = records.of("00000").best
    assert (best.epoch, best.value) == (2, 0.6)
    assert (told.folder.path / records.trials[1].error_file).read_text().endswith("ValueError: no")
    assert records.winner["metric"] == 0.6
    assert records.winner["test"] == {"accuracy": 0.5}


def test_the_view_hears_all_of_it_after_the_records(tell):
    told = tell()
    told.trial(0, 0.5, 0.6)
    shown = [event for call, events in told.view.told if call == "show" for event in events]
    assert [type(event) for event in shown] == [TrialStarted, dict, dict, TrialEnd]
    records = read_run(told.folder.path)
    assert [event["epoch"] for event in shown[1:3]] == [1, 2]
    assert tuple(shown) == (records.trial_lines[0], *records.epochs, records.trial_lines[1])


def test_trials_that_were_running_at_the_end_are_interrupted_and_keep_their_best(tell):
    told = tell()
    told.trial(0, 0.5)
    told.trial(1, 0.9, status=None)
    told.recorder.close()
    records = read_run(told.folder.path)
    assert [trial.status for trial in records.trials] == ["finished", "interrupted"]
    assert told.kept == [1]


def test_what_only_a_worker_knew_when_the_run_was_cut_off_can_win_after_a_resume(tell):
    told = tell()
    told.trial(0, 0.9, 0.9, 0.9)
    told.trial(1, 0.8, status=None)  # its worker's last state, and best one, are of 0.95
    told.again()
    assert told.kept == [0, 1]
    told.trial(1, 0.8, 0.95, checkpoint=False)  # told again, not written again
    assert told.kept == [1]
    assert told.recorder.verdict().checkpoint.name == "00001.npz"


def test_a_checkpoint_that_is_missing_takes_no_others_place(tell):
    told = tell()
    told.trial(0, 0.5)
    told.trial(1, 0.9, checkpoint=False)
    told.trial(2, 0.4)
    assert told.kept == [0]


def test_a_trial_that_was_cut_off_and_does_not_go_on_can_win(tell):
    told = tell()
    told.trial(0, 0.9, status=None)
    told.again()
    assert told.recorder.verdict().checkpoint.name == "00000.npz"


def test_a_trial_of_an_older_group_that_was_cut_off_keeps_no_checkpoint_beside_the_best(tell):
    told = tell()
    told.trial(0, 0.9, status=None)
    told.group = 2
    told.trial(1, 0.1)
    told.recorder.ended(TrialEnd("00000", "interrupted", 1.0), None)
    assert told.kept == [1]


def test_the_newest_group_keeps_the_checkpoints_and_has_the_winner(tell):
    told = tell(keep=2)
    told.trial(0, 0.9)
    told.trial(1, 0.8)
    told.group = 2
    told.trial(2, 0.1)
    assert told.kept == [0, 2]
    assert told.recorder.verdict().checkpoint.name == "00002.npz"
    assert [trial.group for trial in read_run(told.folder.path).trials] == [1, 1, 2]


def test_an_older_groups_best_is_no_winner_of_a_newer_one(tell):
    told = tell(keep=2)
    told.trial(0, 0.9)
    told.group = 2
    told.trial(1, status="failed")
    assert told.recorder.verdict() is None


def test_epochs_that_a_worker_tells_again_are_written_once(tell):
    told = tell()
    told.trial(0, 0.5, 0.6, status=None)
    row = {"trial": "00000", "metrics": {"loss": 1.0, "val_accuracy": 0.9}, "seconds": 0.1}
    assert told.recorder.epochs([row | {"epoch": 2}, row | {"epoch": 3}]) == 1
    records = read_run(told.folder.path)
    assert [line["epoch"] for line in records.of("00000").epochs] == [1, 2, 3]
    best = records.of("00000").best
    assert (best.epoch, best.value) == (3, 0.9)


def test_a_panda_ends_whose_records_were_damaged_meanwhile(tell):
    told = tell(strategy="panda", panda={"start": {"learning_rate": 0.1}, "days": 1})
    told.trial(0, 0.9, 0.5, status=None)
    content = told.folder.epochs_file.read_bytes()
    told.folder.epochs_file.write_bytes(b"\xff" + content)
    told.recorder.ended(TrialEnd("00000", "finished", 1.0), None)
    assert told.recorder.verdict().checkpoint.name == "00000.npz"


def test_it_warns_of_a_disk_that_fills_up_while_trials_train(tell, monkeypatch):
    monkeypatch.setattr(disk, "WARN_SECONDS", 0.0)
    told = tell()
    told.trial(0, 0.5, status=None)
    monkeypatch.setattr(disk, "LOW", (2**60,))
    told.recorder.epochs([])
    notes = [note for event, *rest in told.view.told if event == "note" for note in rest]
    assert any("left for" in note for note in notes)
