"""What a torn or damaged record takes away is trained again."""

from __future__ import annotations

import contextlib
import json

import pytest

from orchestrator.config import parse_experiment
from orchestrator.experiment import prepare
from orchestrator.experiment.recorder import Recorder
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunFolder, RunState, RunWriter, TrialEnd, read_run
from orchestrator.report import NullView
from orchestrator.trials import Checkpoint, save_checkpoint
from tests.experiment.coming import coming

EPOCHS = 4
EXPERIMENT = {
    "name": "torn", "model": "mlp", "data": "digits", "epochs": EPOCHS,
    "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
    "caviar": {"num_samples": 3, "scheduler": {"asha": {"promote": False, "grace_period": 1}}},
}  # fmt: skip


@pytest.fixture
def cut_off(tmp_path):
    """A run of three trials, the first one finished, the second one stopped at its first epoch, the third in flight."""
    prepared = prepare(parse_experiment(EXPERIMENT | {"storage_path": str(tmp_path)}))
    folder = RunFolder.create(tmp_path, "torn")
    folder.write_experiment(prepared.document)
    folder.write_manifest({})
    with Recorder(folder, prepared.plan, NullView(), lambda: False) as recorder:
        recorder.event("run_started")
        for spec, values in zip(
            prepared.plan.draws(), ([0.9] * EPOCHS, [0.1], [0.95]), strict=True
        ):
            recorder.started(spec)
            for epoch, value in enumerate(values, start=1):
                recorder.epochs([row(spec.trial, epoch, value)])
            (folder.checkpoints / f"{spec.trial}.npz").write_bytes(b"best")
            (folder.checkpoints / f"{spec.trial}.last.npz").write_bytes(b"last")
        recorder.ended(TrialEnd("00000", "finished", 1.0), None)
        stop = {"scheduler": "asha", "epoch": 1, "value": 0.1, "cutoff": 0.9}
        recorder.ended(TrialEnd("00001", "stopped", 1.0, stopped_by=stop), None)
    return folder


def row(trial, epoch, value):
    metrics = {"loss": 1.0, "val_accuracy": value}
    return {"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}


def without(file, *numbers):
    """Take lines out, as a repair does."""
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join(line for at, line in enumerate(lines, 1) if at not in numbers))


@contextlib.contextmanager
def taken_up(folder, resumed):
    with Recorder(folder, resumed.prepared.plan, NullView(), lambda: False) as recorder:
        recorder.begin(resumed.trials_in_all, resumed.recorded)
        recorder.remember(resumed.records)
        yield recorder


def left(folder):
    return [spec.trial for spec in coming(prepare_to_resume(folder).search)]


def test_a_run_without_gaps_trains_only_what_is_in_flight(cut_off):
    assert left(cut_off) == ["00002"]


@pytest.mark.parametrize(("line", "trial"), [(2, "00000"), (4, "00000"), (5, "00001")])
def test_a_trial_that_lacks_an_epoch_is_trained_again(cut_off, line, trial):
    without(cut_off.epochs_file, line)
    assert left(cut_off) == [trial, "00002"]


def test_a_trial_that_goes_on_beyond_a_gap_begins_anew_not_from_its_last_state(cut_off):
    with RunWriter(cut_off) as writer:
        writer.epochs([row("00002", 3, 0.95)])
    resumed = prepare_to_resume(cut_off)
    last = cut_off.checkpoints / "00002.last.npz"
    half = cut_off.checkpoints / ".00002.npz.77.part"
    half.write_bytes(b"bes")
    with taken_up(cut_off, resumed):
        assert not last.exists()
        assert not half.exists()


def test_what_comes_late_does_not_stop_a_trial_that_went_beyond(cut_off):
    without(cut_off.epochs_file, 1)
    scheduler = prepare_to_resume(cut_off).search.scheduler
    assert not scheduler.report("00000", 1, 0.0).stop
    assert scheduler.report("00002", 3, float("nan")).stop


def test_the_best_of_a_trial_whose_beginning_was_lost_is_remembered(cut_off):
    lines = cut_off.trials_file.read_text().splitlines(keepends=True)
    kept = [line for line in lines if json.loads(line)["trial"] != "00002"]
    cut_off.trials_file.write_text("".join(kept))
    resumed = prepare_to_resume(cut_off)
    with taken_up(cut_off, resumed) as recorder:
        recorder.started(coming(resumed.search)[0])
        recorder.epochs([row("00002", 1, 0.95)])  # told again
        recorder.ended(TrialEnd("00002", "finished", 1.0), None)
        assert recorder.verdict().checkpoint.name == "00002.npz"
    assert len(read_run(cut_off.path).epochs) == EPOCHS + 2


@pytest.mark.parametrize(("rows", "stays"), [([1, 2, 3], True), ([2, 3], True), ([3], False)])
def test_a_last_state_beyond_what_is_recorded_and_told_again_is_not_gone_on_from(
    cut_off, rows, stays
):
    last = cut_off.checkpoints / "00002.last.npz"
    about = {"epoch": 3, "rows": [row("00002", epoch, 0.95) for epoch in rows]}
    save_checkpoint(last, Checkpoint((), (), about))
    with taken_up(cut_off, prepare_to_resume(cut_off)):
        assert last.exists() == stays


def test_what_was_in_training_when_a_driver_died_is_open_again_once_it_begins(cut_off):
    resumed = prepare_to_resume(cut_off)
    assert resumed.records.state.open
    state = RunState("val_accuracy", "max")
    for event in resumed.recorded:
        state.apply(event)
    assert (state.open, state.done) == (frozenset(), resumed.records.state.done)
    with taken_up(cut_off, resumed) as recorder:
        recorder.started(coming(resumed.search)[0])
        assert recorder.state.open == {coming(resumed.search)[0].trial}
