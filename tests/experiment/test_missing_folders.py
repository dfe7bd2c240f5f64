"""Folders that are gone from a run's folder, as git, zip and ``rsync -m`` leave them, or somebody who needed room."""

from __future__ import annotations

import json
import shutil

import pytest

from orchestrator.errors import PlaceError, RecordError
from orchestrator.experiment import extend, open_run, resume, run
from orchestrator.records import RunFolder
from orchestrator.records.requests import Request, write_request
from tests.experiment.inline import InlineTuner

FOLDERS = ("checkpoints", "logs", "best")
ASHA = {"asha": {"promote": False, "grace_period": 1, "reduction_factor": 2}}
FAILS_WHILE_TRAINING = """
import keras

class Net(keras.Model):
    def train_step(self, data):
        raise ValueError("no step")

def build(hp, input_shape, num_classes):
    hp["units"]
    inputs = keras.Input(input_shape)
    flat = keras.layers.Flatten()(inputs)
    return Net(inputs, keras.layers.Dense(num_classes, activation="softmax")(flat))
"""
PANDA = {
    "strategy": "panda", "search_space": {},
    "panda": {
        "start": {"learning_rate": 0.05, "units": 8, "batch_size": 256}, "day": "1 epoch", "days": 3,
        "sitter": "off", "learning_rate_test": False,
    },
}  # fmt: skip


@pytest.fixture
def tuner():
    return InlineTuner()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folders of runs that several tests begin with, by what was asked: each takes a copy and trains none anew."""
    return {}, tmp_path_factory.mktemp("trained")


@pytest.fixture
def begin(tuner, trained, tmp_path):
    """`begin(reports=999, scheduler="none")`: a run cut off after so many reports."""
    known, place = trained

    def trains(storage, reports, scheduler, keys):
        caviar = (
            {} if "strategy" in keys else {"caviar": {"num_samples": 3, "scheduler": scheduler}}
        )
        asked = {
            "name": "one", "model": "mlp", "data": "digits", "epochs": 3, "seed": 4,
            "search_space": {
                "learning_rate": "loguniform(1e-2, 0.3)", "units": "choice([8])", "batch_size": "choice([256])",
            },
            "storage_path": str(storage),
        } | caviar  # fmt: skip
        tuner.most = reports
        ended = run(asked | keys, progress=False, executor=tuner)
        tuner.most = 999
        return ended

    def begun(reports=999, scheduler="none", **keys):
        if tuner.before:
            return trains(tmp_path / "runs", reports, scheduler, keys)
        asked = repr((reports, scheduler, keys))
        if asked not in known:
            known[asked] = trains(place / str(len(known)), reports, scheduler, keys).path
        return open_run(shutil.copytree(known[asked], tmp_path / "runs" / "one"))

    return begun


def curves(ended):
    rows = ended.reload().records.epochs
    return {(row["trial"], row["epoch"]): row["metrics"]["val_accuracy"] for row in rows}


def states(ended):
    return {trial.trial: trial.status for trial in ended.reload().records.trials}


def winner(ended):
    told = ended.reload().records.winner
    return (told["trial"], told["epoch"], told["validation"], told["test"])


def drop(ended, *folders):
    for folder in folders:
        shutil.rmtree(ended.path / folder, ignore_errors=True)


@pytest.mark.parametrize("scheduler", ["none", ASHA], ids=["none", "asha"])
def test_a_run_that_was_cut_off_ends_as_if_nothing_had_been_gone(begin, tmp_path, scheduler):
    whole = begin(scheduler=scheduler)
    expected = (curves(whole), states(whole), winner(whole))
    shutil.rmtree(whole.path)
    cut_off = begin(reports=4, scheduler=scheduler)
    finished = {name for name, status in states(cut_off).items() if status != "interrupted"}
    assert finished
    drop(cut_off, *FOLDERS)
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert (curves(ended), states(ended), winner(ended)) == expected
    assert ended.model_file.is_file()
    if winner(ended)[0] in finished:
        assert "trained_again" in [event["event"] for event in ended.records.events]


@pytest.mark.parametrize("more", [{"num_samples": "+1"}, {"epochs": "+1"}], ids=str)
def test_an_extension_ends_as_if_nothing_had_been_gone(begin, tmp_path, more):
    first = begin()
    copy = shutil.copytree(first.path, tmp_path / "copy" / "one")
    kept = extend(copy, progress=False, executor="inline", **more)
    drop(first, *FOLDERS)
    extended = extend(first.path, progress=False, executor="inline", **more)
    assert curves(extended) == curves(kept)
    assert states(extended) == states(kept)
    assert set(states(extended).values()) == {"finished"}
    assert winner(extended) == winner(kept)


def test_a_failing_trial_has_its_log_where_the_folder_is_gone(begin, tuner, tmp_path):
    (tmp_path / "net.py").write_text(FAILS_WHILE_TRAINING)

    def without_logs():
        shutil.rmtree(tmp_path / "runs" / "one" / "logs")

    tuner.before["00000", 0] = without_logs
    failed = begin(model=f"{tmp_path}/net.py")
    assert set(states(failed).values()) == {"failed"}
    assert "ValueError" in (failed.path / failed.records.trials[0].error_file).read_text()


def test_a_folder_that_goes_away_while_its_trial_trains_is_made_again(begin, tuner, tmp_path):
    for trial in ("00000", "00001", "00002"):
        tuner.before[trial, 1] = lambda: shutil.rmtree(tmp_path / "runs/one/checkpoints")
    ended = begin()
    assert set(states(ended).values()) == {"finished"}
    best = ended.records.contenders[0].trial
    if not (ended.path / "checkpoints" / f"{best}.npz").exists():
        ended = resume(ended.path, progress=False, executor="inline")
    assert winner(ended)[0] == best


def test_what_the_runs_own_folder_refuses_is_one_sentence_and_leaves_trials_open(
    begin, tuner, tmp_path
):
    """A file in a folder's place refuses root too, whom no permission stops."""
    checkpoints = tmp_path / "runs" / "one" / "checkpoints"

    def in_its_place():
        shutil.rmtree(checkpoints)
        checkpoints.write_text("none of ours")

    whole = begin()
    expected = (curves(whole), winner(whole))
    shutil.rmtree(whole.path)
    tuner.before["00001", 0] = in_its_place
    with pytest.raises(PlaceError, match="cannot read or write the run's folder") as said:
        begin()
    assert "checkpoints" in str(said.value)
    assert f"orchestrator resume {checkpoints.parent}" in str(said.value)
    cut_off = RunFolder(checkpoints.parent)
    events = [json.loads(line)["event"] for line in cut_off.events_file.read_text().splitlines()]
    assert events[-1] == "run_interrupted"
    with pytest.raises(PlaceError):
        resume(cut_off.path, progress=False, executor="inline")
    checkpoints.unlink()
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert (curves(ended), winner(ended)) == expected


def test_what_is_put_back_is_gone_on_from(begin, tmp_path):
    cut_off = begin(reports=4)
    away = shutil.move(cut_off.path / "checkpoints", tmp_path / "away")
    shutil.copytree(away, cut_off.path / "checkpoints")
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert "trained_again" not in [event["event"] for event in ended.records.events]
    assert ended.records.winner


def test_a_panda_that_nobody_asked_anything_lives_its_days_again(begin):
    whole = begin(**PANDA)
    expected = (curves(whole), winner(whole))
    shutil.rmtree(whole.path)
    cut_off = begin(reports=2, **PANDA)
    drop(cut_off, *FOLDERS)
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert (curves(ended), winner(ended)) == expected
    assert list(states(ended).values()) == ["finished"]


def test_a_panda_of_which_something_was_asked_is_not_begun_anew(begin, tmp_path):
    cut_off = begin(reports=2, **PANDA)
    name = cut_off.records.trials[0].trial
    write_request(cut_off.folder, Request("note", name, {"text": "looks well"}))
    away = shutil.move(cut_off.path / "checkpoints", tmp_path / "away")
    before = cut_off.folder.events_file.read_bytes()
    with pytest.raises(RecordError, match="expected the last state of") as said:
        resume(cut_off.path, progress=False, executor="inline")
    assert "put it back" in str(said.value)
    assert "orchestrator replay" in str(said.value)
    assert cut_off.folder.events_file.read_bytes() == before
    shutil.move(away, cut_off.path / "checkpoints")
    assert list(states(resume(cut_off.path, progress=False, executor="inline")).values()) == [
        "finished"
    ]


def test_more_days_of_a_panda_without_its_state_are_refused_and_it_stays_finished(begin, tmp_path):
    first = begin(**PANDA)
    away = shutil.move(first.path / "checkpoints", tmp_path / "away")
    with pytest.raises(RecordError, match="expected the last state of"):
        extend(first.path, days="+1", progress=False, executor="inline")
    assert list(states(first).values()) == ["finished"]
    shutil.move(away, first.path / "checkpoints")
    assert len(curves(extend(first.path, days="+1", progress=False, executor="inline"))) == 4


def test_a_best_state_that_is_gone_has_its_trial_trained_from_its_seed_again(begin):
    whole = begin()
    expected = (curves(whole), winner(whole))
    shutil.rmtree(whole.path)
    cut_off = begin(reports=5)
    for best in cut_off.folder.checkpoints.glob("0000?.npz"):
        best.unlink()
    ended = resume(cut_off.path, progress=False, executor="inline")
    assert (curves(ended), winner(ended)) == expected


@pytest.mark.parametrize("damage", ["gone", "cut short"])
def test_a_winners_model_that_is_not_as_it_was_saved_is_saved_again_by_resume(begin, damage):
    ended = begin()
    before = winner(ended)
    model = ended.folder.best / "model.keras"
    if damage == "gone":
        drop(ended, "best")
    else:
        model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(RecordError, match="expected the winner's model as it was saved") as said:
        _ = ended.model_file
    assert f"orchestrator resume {ended.path}" in str(said.value)
    again = resume(ended.path, progress=False, executor="inline")
    assert winner(again) == before
    assert again.model_file == model
    assert len(curves(again)) == 9
