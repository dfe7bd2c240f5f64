"""Population based training for real: a copy's numbers come from its ancestors' states, or from the seed, alike."""

from __future__ import annotations

import shutil

import pytest

import orchestrator
from orchestrator.errors import ExperimentFileError, OrchestratorError
from orchestrator.training import trial_session
from tests.depth import in_depth
from tests.experiment.inline import InlineTuner

SIZE, EPOCHS, EVERY = 4, 6, 2


def experiment(place, **keys):
    return {
        "name": "one", "model": "mlp", "data": "digits", "epochs": EPOCHS, "seed": 1,
        "search_space": {
            "learning_rate": "loguniform(0.01, 0.3)", "momentum": "one_minus_loguniform(0.8, 0.99)", "units": 8,
            "dropout": 0.2,
        },
        "storage_path": str(place),
        "caviar": {"num_samples": SIZE, "scheduler": {"pbt": {"interval": EVERY}}, "finalists": False},
    } | keys  # fmt: skip


def curves(ended):
    rows = ended.reload().records.epochs
    return {(row["trial"], row["epoch"]): row["metrics"] for row in rows}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    place = tmp_path_factory.mktemp("population")
    return orchestrator.run(experiment(place), progress=False, executor="inline")


def test_a_copy_is_a_trial_of_its_own_with_the_epochs_after_its_fork(whole):
    copies = [trial for trial in whole.records.trials if trial.is_branch]
    assert len(copies) == 2 and len(whole.records.trials) == SIZE + 2
    for copy in copies:
        recorded = whole.records.of(copy.trial)
        fork = copy.origin["epoch"]
        assert next(row["epoch"] for row in recorded.own_epochs) == fork + 1
        assert [row["epoch"] for row in recorded.epochs] == list(range(1, len(recorded.epochs) + 1))
    stopped = [trial for trial in whole.records.trials if trial.status == "stopped"]
    assert {trial.stopped_by["scheduler"] for trial in stopped} == {"pbt"}


def test_the_table_says_of_which_trial_it_is_a_copy(whole):
    table = whole.table().set_index("trial")
    [copy, *_] = [trial for trial in whole.records.trials if trial.is_branch]
    assert (
        table.loc[copy.trial, "copy_of"] == f"{copy.origin['trial']} after {copy.origin['epoch']}"
    )
    assert table["copy_of"].notna().sum() == 2


def test_where_no_state_is_to_be_had_a_copy_trains_from_the_seed_to_the_same_numbers(
    whole, tmp_path, monkeypatch
):
    monkeypatch.setattr(trial_session, "waiting_state", lambda *which: None)
    again = orchestrator.run(experiment(tmp_path), progress=False, executor="inline")
    assert curves(again) == curves(whole)


@pytest.mark.parametrize("most", in_depth([9, 14, 19], 14))
def test_a_run_that_is_cut_off_goes_on_to_the_same_table(whole, tmp_path, most):
    tuner = InlineTuner()
    tuner.most = most
    ended = orchestrator.run(experiment(tmp_path), progress=False, executor=tuner)
    assert ended.status == "interrupted"
    if most == 14:
        shutil.rmtree(ended.path / "checkpoints")
    again = orchestrator.resume(ended, progress=False, executor="inline")
    assert again.status == "finished" and curves(again) == curves(whole)
    told = [[trial.trial, trial.status, trial.origin] for trial in again.records.trials]
    assert told == [[trial.trial, trial.status, trial.origin] for trial in whole.records.trials]


def test_a_winner_that_is_a_copy_is_trained_again_where_its_state_is_gone(whole, tmp_path):
    place = tmp_path / "one"
    shutil.copytree(whole.path, place)
    shutil.rmtree(place / "checkpoints")
    shutil.rmtree(place / "best")
    again = orchestrator.resume(place, progress=False, executor="inline")
    [winner, before] = [ended.reload().records.winner for ended in (again, whole)]
    assert whole.records.trial(before["trial"]).is_branch, "else this shows nothing"
    assert {k: winner[k] for k in ("trial", "test")} == {k: before[k] for k in ("trial", "test")}


def test_finalists_that_are_copies_race_with_other_seeds_as_whole_lineages(tmp_path):
    race = {"top": 2, "seeds": 2, "budget": 1.0}
    keys = experiment(tmp_path)
    keys["caviar"] |= {"finalists": race}
    ended = orchestrator.run(keys, progress=False, executor="inline")
    assert ended.records.state.race_result is not None
    for again in ended.records.replicates:
        assert [row["epoch"] for row in ended.records.of(again.trial).epochs] == list(
            range(1, EPOCHS + 1)
        )


def test_the_curves_for_a_simulation_are_those_of_trials_that_kept_their_hyperparameters(whole):
    assert len(set(whole.curves()["config"])) == SIZE


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: orchestrator.extend(run, epochs=9, progress=False, executor="inline"),
        lambda run: orchestrator.retry(run, progress=False, executor="inline"),
        lambda run: orchestrator.whatif(run, ["caviar.scheduler=none"]),
        lambda run: orchestrator.reevaluate(run, progress=False, executor="inline"),
    ],
)
def test_what_takes_trials_alone_is_refused(whole, ask):
    with pytest.raises(OrchestratorError, match="pbt"):
        ask(whole)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"caviar": {"num_samples": 40, "rounds": 2, "scheduler": "pbt"}}, "caviar.rounds"),
        ({"search_space": {"units": "choice([4, 8])"}}, "expected a space with a range"),
    ],
)
def test_what_no_population_can_be_made_of_is_refused_before_anything_starts(tmp_path, keys, said):
    with pytest.raises(ExperimentFileError, match=said):
        orchestrator.run(experiment(tmp_path, **keys), progress=False, executor="inline")
    assert list(tmp_path.iterdir()) == []
