"""What sets an extended run's trials apart: refused, or, where forced, a group of its own."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.extension import Growth, prepare_to_extend, write_down
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunWriter, read_run
from tests.experiment.coming import coming

CAVIAR = {"scheduler": {"asha": {"promote": False, "reduction_factor": 3}}, "num_samples": 4}
FOUR = [(index, [0.1, 0.2, 0.3 + index / 10], "finished") for index in range(4)]
COSINE = {
    "learning_rate": "loguniform(1e-3, 1)",
    "learning_rate_decay": 0.5,
    "decay_schedule": "cosine",
}
NET = """
import keras
def build(hp, input_shape, num_classes):
    units = hp.get("units", {})
    x = keras.Input(input_shape)
    return keras.Model(x, keras.layers.Dense(num_classes, activation="softmax")(keras.layers.Flatten()(x)))
"""
PANDA = {
    "strategy": "panda",
    "search_space": {},
    "panda": {"start": {"learning_rate": 0.1}, "days": 3, "day": "1 epoch"},
}


def extend(run, *overrides, force=False, **more):
    return prepare_to_extend(run.folder, Growth(more, overrides), force)


def pending(resumed):
    return [spec.trial for spec in coming(resumed.search)]


def commit(run, resumed):
    with RunWriter(run.folder) as writer:
        write_down(resumed, run.folder, writer)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["metric=val_loss", "mode=min"], "metric: val_accuracy -> val_loss; mode: max -> min"),
        (["recalibrate_batch_norm=every_validation"], "recalibrate_batch_norm: auto -> every"),
        (["data.validation=0.3"], r"data.validation: 0.2 -> 0.3; data \(rows\): 1079 train, 359"),
        (["data.scale=none"], "data.scale: auto -> none"),
        (["model=cnn"], "model: mlp -> cnn"),
    ],
)
def test_what_makes_trials_incomparable_is_named_and_refused_unless_forced(
    written, overrides, said
):
    space = {"learning_rate": "loguniform(1e-3, 1)"}
    run = written(caviar=CAVIAR, search_space=space).writes(*FOUR)
    before = run.files
    with pytest.raises(ExperimentFileError, match=said) as refusal:
        extend(run, *overrides, num_samples="+2")
    assert "--force" in str(refusal.value)
    assert run.files == before
    forced = extend(run, *overrides, force=True, num_samples="+2")
    assert pending(forced) == ["00004", "00005"]
    assert {spec.group for spec in coming(forced.search)} == {2}
    assert said.split(" ->")[0].partition(";")[0] in forced.extension.event["forced"][0]


def test_what_becomes_of_the_winner_s_averages_sets_no_trial_apart(written):
    space = {"learning_rate": "loguniform(1e-3, 1)"}
    run = written(caviar=CAVIAR, search_space=space).writes(*FOUR)
    assert pending(extend(run, "recalibrate_batch_norm=off", num_samples=5)) == ["00004"]


def test_a_learning_rate_that_looks_ahead_makes_more_epochs_another_matter(written):
    run = written(caviar=CAVIAR, search_space=COSINE).writes(*FOUR)
    with pytest.raises(ExperimentFileError, match=r"look ahead.*, 3 -> 9 .*trial 00000 and 3 more"):
        extend(run, epochs=9)
    assert pending(extend(run, num_samples=5)) == ["00004"]
    forced = extend(run, epochs=9, num_samples=5, force=True)
    assert (pending(forced), forced.extension.event["going_on"]) == (["00004"], [])


def test_other_code_of_the_model_is_refused_by_extend_and_by_resume(written, tmp_path):
    (tmp_path / "net.py").write_text(NET.format(8))
    run = written(model="./net.py", caviar=CAVIAR).writes(*FOUR[:3], event="run_interrupted")
    (tmp_path / "net.py").write_text(NET.format(16))
    with pytest.raises(
        ExperimentFileError, match=r"code of model ./net.py \(fingerprint\): \w+ ->"
    ):
        extend(run, num_samples="+2")
    with pytest.raises(ExperimentFileError, match=r"another name.*orchestrator extend .* --force"):
        prepare_to_resume(run.folder)
    forced = extend(run, force=True)
    assert pending(forced) == ["00003"]
    commit(run, forced)
    assert pending(prepare_to_resume(run.folder)) == ["00003"]
    assert pending(extend(run, num_samples=6)) == ["00003", "00004", "00005"]


def test_other_code_of_the_callbacks_is_refused_by_extend_and_by_resume(written, tmp_path):
    (tmp_path / "stops.py").write_text("def callbacks(hp):\n    return []\n")
    run = written(callbacks="./stops.py:callbacks", caviar=CAVIAR)
    run = run.writes(*FOUR[:3], event="run_interrupted")
    assert pending(prepare_to_resume(run.folder)) == ["00003"]
    (tmp_path / "stops.py").write_text("def callbacks(hp):\n    return [1]\n")
    said = r"code of callbacks ./stops.py:callbacks \(fingerprint\).*changed: stops.py"
    with pytest.raises(ExperimentFileError, match=said):
        extend(run, num_samples="+2")
    with pytest.raises(ExperimentFileError, match=said):
        prepare_to_resume(run.folder)
    forced = extend(run, force=True)
    commit(run, forced)
    assert pending(prepare_to_resume(run.folder)) == ["00003"]


def test_a_group_needs_trials_of_its_own(written):
    run = written(caviar=CAVIAR).writes(*FOUR)
    with pytest.raises(ExperimentFileError, match="a new group without trials of its own"):
        extend(run, "metric=val_loss", "mode=min", force=True)


def test_force_without_a_difference_is_a_plain_extension(written):
    run = written(caviar=CAVIAR).writes(*FOUR)
    event = extend(run, num_samples=5, force=True).extension.event
    assert (event["forced"], event["group"], "now" in event) == ([], 1, False)


def test_older_groups_neither_go_on_nor_are_compared_with(written):
    run = written(caviar=CAVIAR | {"num_samples": 5})
    run.writes(*FOUR[:3], (3, [0.5], None), event=None)
    (run.folder.checkpoints / "00003.last.npz").write_bytes(b"state")
    forced = extend(run, "metric=val_loss", "mode=min", force=True, epochs=9)
    assert pending(forced) == ["00004"]
    assert {end.trial: end.status for end in forced.endings} == {"00003": "interrupted"}
    assert not any(map(forced.search.scheduler.review, forced.search.scheduler.milestones))
    commit(run, forced)
    assert not list(run.folder.checkpoints.iterdir())
    records = read_run(run.folder.path)
    assert (records.metric, records.state.group, records.contenders) == ("val_loss", 2, ())
    assert records.manifest["extensions"][0]["data_before"] == records.manifest["data"]


def test_a_finished_panda_is_given_more_days(written):
    run = written(**PANDA).writes((0, [0.1, 0.2, 0.3], "finished"))
    extended = extend(run, days="+2")
    assert pending(extended) == ["00000"]
    assert extended.prepared.plan.nursery.days == 5
    commit(run, extended)
    assert pending(prepare_to_resume(run.folder)) == ["00000"]


@pytest.mark.parametrize(
    ("overrides", "more", "said"),
    [
        ([], {"days": 3}, "--days 3: expected more than the 3"),
        ([], {"num_samples": 3}, "--num-samples 3: expected an option that extends a panda"),
        (["epochs=50"], {}, "epochs: expected what the run began with"),
        (["panda.start.learning_rate=0.2"], {"days": 5}, "panda.start: expected what"),
        (["metric=val_loss", "mode=min"], {"days": 5}, "orchestrator promote"),
    ],
)
def test_a_panda_stays_the_panda_it_was(written, overrides, more, said):
    run = written(**PANDA).writes((0, [0.1, 0.2, 0.3], "finished"))
    with pytest.raises(ExperimentFileError, match=said):
        extend(run, *overrides, force=True, **more)


def test_a_panda_that_was_stopped_stays_stopped(written):
    run = written(**PANDA).writes((0, [0.1, 0.2], "stopped"))
    with pytest.raises(ExperimentFileError, match="was stopped"):
        extend(run, days="+2")


def test_a_pandas_learning_rate_that_looks_ahead_needs_force_and_no_group(written):
    start = {"learning_rate": 0.1, "learning_rate_decay": 0.5, "decay_schedule": "cosine"}
    panda = PANDA["panda"] | {"start": start}
    run = written(**PANDA | {"panda": panda}).writes((0, [0.1, 0.2, 0.3], "finished"))
    with pytest.raises(ExperimentFileError, match=r"look ahead to the last epoch, 3 -> 5"):
        extend(run, days=5)
    forced = extend(run, days=5, force=True)
    assert (pending(forced), forced.extension.event["group"]) == (["00000"], 1)
