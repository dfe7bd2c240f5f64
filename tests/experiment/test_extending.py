"""What a finished run has left to do once it is extended, from records written by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import yaml

from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.extension import Growth, prepare_to_extend, write_down
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunWriter, Score, TrialEnd, read_run
from orchestrator.trials import Checkpoint, load_checkpoint, save_checkpoint
from tests.experiment.coming import coming

NONE = {"scheduler": "none", "num_samples": 4}
ASHA = {"scheduler": {"asha": {"promote": False, "reduction_factor": 3}}, "num_samples": 6}
FOUR = [(index, [0.1, 0.2, 0.3 + index / 10], "finished") for index in range(4)]


def extend(run, *overrides, force=False, **more):
    return prepare_to_extend(run.folder, Growth(more, overrides), force)


def pending(resumed):
    return [spec.trial for spec in coming(resumed.search)]


def ends(resumed):
    return {end.trial: end.status for end in resumed.endings}


def commit(run, resumed):
    with RunWriter(run.folder) as writer:
        write_down(resumed, run.folder, writer)


def test_the_new_trials_are_the_next_draws_of_the_seed(written):
    run = written(caviar=NONE).writes(*FOUR)
    extended = extend(run, num_samples="+3")
    assert pending(extended) == ["00004", "00005", "00006"]
    space = Space.parse(extended.prepared.experiment.search_space)
    drawn = [space.draw(4, index) for index in range(7)]
    assert [s.hyperparameters for s in coming(extended.search)] == drawn[4:]
    assert [spec.hyperparameters for spec in run.plan.draws()] == drawn[:4]


def test_a_changed_space_is_that_of_trials_not_yet_started(written):
    run = written(caviar=NONE).writes(*FOUR[:2], (2, [0.1], "interrupted"), event="run_interrupted")
    extended = extend(run, "search_space.units=choice([64])", num_samples=5)
    units = {spec.trial: spec.hyperparameters["units"] for spec in coming(extended.search)}
    assert units == {
        "00002": list(run.plan.draws())[2].hyperparameters["units"],
        "00003": 64,
        "00004": 64,
    }
    assert extended.extension.event["changes"]["search_space"][1]["units"] == "choice([64])"


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]], ids=str)
def test_the_old_end_is_a_rung_decided_as_a_whole_in_whatever_order_it_was_reached(written, order):
    run = written(caviar=ASHA)
    run.writes(*[(index, [0.5, 0.5, 0.5 + index / 10], "finished") for index in order])
    extended = extend(run, epochs=9)
    assert sorted(extended.extension.event["going_on"]) == ["00004", "00005"]
    assert pending(extended) == ["00004", "00005"]
    assert ends(extended) == dict.fromkeys(["00000", "00001", "00002", "00003"], "stopped")
    [by] = [end.stopped_by for end in extended.endings if end.trial == "00003"]
    assert (by["scheduler"], by["epoch"], by["value"], by["cutoff"]) == ("asha", 3, 0.8, 0.9)
    assert {(end.parameters, end.path, end.seconds) for end in extended.endings} == {
        (99, "compiled", 1.5)
    }


def test_where_the_new_ladder_lacks_the_old_end_all_that_came_there_go_on(written):
    run = written(caviar=ASHA, epochs=4).writes(*[(i, [0.1] * 4, "finished") for i in range(3)])
    assert pending(extend(run, epochs="+4"))[:3] == ["00000", "00001", "00002"]


def test_trials_that_ended_earlier_stay_ended(written):
    run = written(caviar=ASHA)
    told = [(0, [0.1], "stopped"), (1, [0.3] * 3, "finished"), (2, [0.2, math.nan], "diverged")]
    run.writes(*told, (3, [], "failed"), (4, [0.1] * 3, "failed"), (5, [0.1], "stopped"))
    extended = extend(run, epochs=9)
    assert (pending(extended), ends(extended)) == (["00001"], {})


def test_no_figure_passes_the_old_end_and_a_tie_goes_to_who_came_first(written):
    run = written(caviar=ASHA | {"num_samples": 3})
    run.writes(*[(i, [0.1, 0.1, v], "finished") for i, v in enumerate([math.nan, 0.4, 0.4])])
    assert pending(extend(run, epochs=9)) == ["00001"]


def test_a_changed_scheduler_decides_nothing_that_is_past_but_remembers_it(written):
    run = written(epochs=9, caviar=NONE | {"num_samples": 3})
    run.writes((0, [0.9] * 9, "finished"), (1, [0.1] * 4, "interrupted"), event="run_interrupted")
    extended = extend(run, scheduler="{asha: {reduction_factor: 2, promote: false}}")
    assert (pending(extended), ends(extended)) == (["00001", "00002"], {})
    assert set(extended.search.scheduler.review(4)) == {"00000", "00001"}
    assert extended.search.scheduler.report("00001", 8, 0.1).stop


def test_what_the_old_scheduler_had_decided_when_the_driver_died_holds(written):
    run = written(caviar=ASHA | {"num_samples": 3})
    run.writes((0, [0.9] * 3, "finished"), (1, [0.1], None), (2, [0.1], "stopped"), event=None)
    extended = extend(run, scheduler="none", num_samples=4)
    assert (pending(extended), ends(extended)) == (["00003"], {"00001": "stopped"})


def test_the_event_alone_makes_the_extension_whatever_died_after_it(written):
    run = written(caviar=ASHA)
    run.writes(*[(index, [0.5, 0.5, 0.5 + index / 10], "finished") for index in range(6)])
    extended = extend(run, num_samples="+2", epochs=9)
    with RunWriter(run.folder) as writer:
        writer.event("extended", **extended.extension.event)
    again = prepare_to_resume(run.folder)
    assert pending(again) == pending(extended)
    assert again.prepared.plan.epochs == 9
    assert again.search.scheduler.milestones == (1, 3)
    assert again.search.scheduler.review(3) == extended.search.scheduler.review(3) != {}
    commit(run, again)
    assert yaml.safe_load(run.folder.experiment_file.read_text())["caviar"]["num_samples"] == 8


def test_a_trial_that_went_on_to_the_new_end_is_over(written):
    run = written(caviar=NONE).writes(*FOUR)
    commit(run, extend(run, epochs=5))
    run.writes((1, [0.1, 0.2, 0.4, 0.5, 0.6], "finished"), event="run_interrupted")
    assert pending(prepare_to_resume(run.folder)) == ["00000", "00002", "00003"]
    assert pending(extend(run, epochs=7)) == ["00000", "00001", "00002", "00003"]


def test_the_experiment_is_rewritten_whole_and_reads_back(written):
    run = written(caviar=NONE).writes(*FOUR)
    extended = extend(run, num_samples="+1", scheduler={"asha": {"reduction_factor": 4}})
    before = yaml.safe_load(run.folder.experiment_file.read_text())
    commit(run, extended)
    after = yaml.safe_load(run.folder.experiment_file.read_text())
    asha = {"asha": {"grace_period": 1, "reduction_factor": 4, "promote": "auto", "noise": False}}
    assert after == before | {"caviar": before["caviar"] | {"num_samples": 5, "scheduler": asha}}
    records = read_run(run.folder.path)
    assert records.status == "interrupted"
    [event] = records.state.extensions
    assert event["changes"] == {
        "caviar.num_samples": [4, 5],
        "caviar.scheduler": ["none", asha],
    }
    assert len(records.manifest["extensions"]) == 1


def test_a_kept_checkpoint_of_the_last_epoch_is_gone_on_from_and_no_other(written):
    run = written(caviar=NONE).writes(*FOUR)
    for index, epoch in ((0, 3), (1, 2)):
        about = {"trial": f"0000{index}", "epoch": epoch, "metrics": {"val_accuracy": 0.3}}
        file = run.folder.checkpoints / f"0000{index}.npz"
        save_checkpoint(file, Checkpoint((np.zeros(2),), (), about))
    commit(run, extend(run, epochs=5))
    [last] = run.folder.checkpoints.glob("*.last.npz")
    assert last.name == "00000.last.npz"
    assert load_checkpoint(last).about == {
        "trial": "00000", "epoch": 3, "metrics": {"val_accuracy": 0.3}, "rows": [],
        "best": Score(0.3, 3, "max").to_plain(),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("more", "overrides", "said"),
    [
        ({}, [], "expected something to change"),
        ({"num_samples": 4}, [], "--num-samples 4: expected more than the 4 there are"),
        ({"num_samples": "+0"}, [], "expected more than the 4"),
        ({"num_samples": "many"}, [], "expected a new total, or a number to add"),
        ({"epochs": 2}, [], "--epochs 2: expected more than the 3"),
        ({}, ["epochs=2"], "epochs: expected more than the 3"),
        ({"days": "+5"}, [], "--days .*that extends a caviar. Known: --num-samples, --epochs"),
        ({"num_samples": 8}, ["seed=5"], "seed: expected what the run began with, 4"),
        ({"num_samples": 8}, ["name=two"], "name: expected what the run began with"),
        ({"num_samples": 8}, ["storage_path=/tmp"], "storage_path: expected what"),
        ({"num_samples": 8}, ["strategy=panda", "panda.start={}"], "strategy: expected what"),
        ({"num_samples": 8}, ["epochz=9"], "--set epochz=9.*Did you mean 'epochs'"),
        ({"scheduler": "ahsa"}, [], "--scheduler ahsa.*Did you mean 'asha'"),
        ({"num_samples": 8}, ["search_space.unit=3"], "unit.*Did you mean 'units'"),
        ({"scheduler": "asha"}, [], "expected trials to start or to continue"),
        ({}, ["keep_checkpoints=3"], "expected trials to start or to continue"),
    ],
)
def test_what_is_no_extension_is_refused_and_nothing_is_written(written, more, overrides, said):
    run = written(caviar=NONE).writes(*FOUR)
    before = run.files
    with pytest.raises(ExperimentFileError, match=said):
        extend(run, *overrides, **more)
    assert run.files == before


def test_an_interrupted_trial_goes_on_with_the_new_ones(written):
    run = written(caviar=NONE).writes(*FOUR[:2], (2, [0.1], None), event=None)
    assert pending(extend(run, num_samples=5, epochs=9)) == [
        "00000", "00001", "00002", "00003", "00004",
    ]  # fmt: skip


def test_resume_of_an_extended_run_gives_up_nothing_it_had_finished(written):
    run = written(caviar=NONE).writes(*FOUR)
    commit(run, extend(run, num_samples="+1"))
    assert pending(prepare_to_resume(run.folder)) == ["00004"]
    with RunWriter(run.folder) as writer:
        spec = coming(prepare_to_resume(run.folder).search)[0]
        writer.trial_started(spec.trial, spec.index, spec.seed, spec.hyperparameters)
        writer.trial_ended(TrialEnd(spec.trial, "failed", 0.1))
    assert pending(prepare_to_resume(run.folder)) == []


def test_a_trial_that_lost_an_epoch_is_trained_from_its_beginning_others_stay(written):
    run = written(caviar=NONE).writes(*FOUR)
    commit(run, extend(run, epochs=5))
    run.writes((1, [0.1, 0.2, 0.4, 0.5, 0.6], "finished"), (2, [0.1, 0.2, 0.5, 0.6], "finished"))
    lines = run.folder.epochs_file.read_text().splitlines()
    kept = [line for line in lines if '"00003", "epoch": 2' not in line]
    run.folder.epochs_file.write_text("\n".join(kept) + "\n")
    assert pending(extend(run, num_samples=5)) == ["00000", "00002", "00003", "00004"]


def test_a_stopped_panda_is_not_advised_what_was_just_typed(written):
    options = {"start": {"units": 8}, "day": "1 epochs", "days": 3}
    run = written(strategy="panda", panda=options).writes((0, [0.5], "stopped"))
    with pytest.raises(ExperimentFileError) as caught:
        prepare_to_extend(run.folder, Growth({"days": "+2"}))
    text = str(caught.value)
    assert "Received: one that was stopped after day" in text
    assert "orchestrator promote" in text and "--days" not in text
