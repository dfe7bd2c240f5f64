"""Where models come from: branches, promoted trials, and recipes that train a babysat model again."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.config import parse_experiment
from orchestrator.experiment.warm_start import find_ancestor, living_changes, promoted, replayed
from orchestrator.trials import load_checkpoint
from tests.training.panda.life import Life


def again(life, trial=None):
    """Train the recipe of a life; return it."""
    reference = f"{life.folder.path}/{trial or life.trial}"
    recipe = replayed(reference, str(life.folder.path.parent))
    name = f"replay-{trial or 'main'}"
    return Life.begun(life.folder.path.parent, life.trainer, recipe | {"name": name}).to_end()


def test_a_schedule_applies_at_its_epochs(panda):
    schedule = [
        {"epoch": 0, "set": {"learning_rate": 0.1}},
        {"epoch": 3, "set": {"learning_rate": 0.01, "dropout": 0.5}},
    ]
    life = panda(schedule=schedule, days=2, start={"learning_rate_decay": 0.0}).to_end()
    assert [row["learning_rate"] for row in life.metrics()] == [0.1, 0.1, 0.1, 0.01]
    changes = life.entries("applied", by="schedule")
    assert [(e["epoch"], e["how"]) for e in changes] == [(0, "live"), (3, "rebuilt")]


def test_a_rollback_comes_to_the_schedule_again(panda):
    schedule = [{"epoch": 3, "set": {"learning_rate": 0.01}}]
    life = panda(schedule=schedule)
    life.to_day(2)
    before = life.metrics()
    life.ask("rollback", to_day=1)
    life.to_day(2)
    assert life.metrics() == before
    assert len(life.entries("applied", by="schedule")) == 2


def test_a_babysat_run_trains_again_to_the_same_curve(panda, same):
    life = panda(sitter="advise", days=6)
    life.set(at_day=2, learning_rate=0.3)
    life.to_day(3)
    life.ask("rollback", to_day=1)
    life.set(learning_rate=0.02, dropout=0.1)
    life.set(at_day=4, momentum=0.5, batch_size=100)
    life.to_end()
    curve, end = life.metrics(), life.state()
    again_life = again(life)
    assert again_life.metrics() == curve
    same(again_life.state(), end)


def test_what_the_sitter_did_is_in_the_recipe(panda):
    far_off = {"learning_rate": 40.0, "momentum": 0.0, "activation": "tanh"}
    life = panda(start=far_off, sitter="act", days=3).to_end()
    assert life.entries("applied", by="sitter:divergence")
    curve = life.metrics()
    assert again(life).metrics() == curve


def test_a_comparison_of_branches_is_in_the_recipe(panda):
    sitter = {
        "mode": "act", "patience": 2, "plateau": {"standard_errors": 50},
        "branch_and_compare": {"epochs": 2, "factors": [1, 0.1, 1000], "budget_share": 1.0},
    }  # fmt: skip
    life = panda(start={"learning_rate": 1e-5}, sitter=sitter, days=9, day="1 epoch").to_end()
    assert life.entries("applied", action="branch_and_compare")
    curve = life.metrics()
    assert again(life).metrics() == curve


def test_a_branch_shares_the_days_up_to_its_fork_and_starts_from_its_weights(panda, same):
    life = panda(days=4)
    life.to_day(2)
    at_2 = life.state()
    life.ask("branch", name="same", at_day=2)
    life.ask("branch", name="gentle", at_day=2, changes={"learning_rate": 0.001, "dropout": 0.0})
    life.to_end()
    whole, end = life.metrics(), life.state()
    same_life = life.branch("same")
    same_life.ask("pause")
    same_life.advance()
    same(same_life.state(), at_2)
    same_life.ask("continue")
    same_life.to_end()
    assert same_life.metrics() == whole
    same(same_life.state(), end)
    gentle = life.branch("gentle").to_end()
    assert gentle.metrics()[:4] == whole[:4] and gentle.metrics() != whole
    assert gentle.hyperparameters["dropout"] == 0.0
    assert [day["day"] for day in gentle.records.of("gentle").days] == [1, 2, 3, 4]
    assert len(gentle.records.of("gentle").own_epochs) == 4
    applied = life.entries("applied", branch="gentle")[0]
    assert applied["changes"] == {"learning_rate": [0.05, 0.001], "dropout": [0.2, 0.0]}


def test_a_branch_has_its_fork_whatever_the_panda_does_meanwhile(panda, same):
    life = panda(days=5, keep_days=1, start={"learning_rate": 0.2})
    life.to_day(3)
    at_3 = life.state()
    life.ask("branch", name="gentle")
    life.ask("rollback", to_day=0)
    life.set(learning_rate=0.001)
    life.to_end()
    branch = life.branch("gentle")
    branch.ask("pause")
    branch.advance()
    same(branch.state(), at_3)


def test_a_branch_can_be_rolled_back_beyond_its_fork(panda):
    life = panda(days=5)
    life.set(at_day=2, learning_rate=0.01)
    life.to_day(3)
    life.ask("branch", name="gentle", changes={"momentum": 0.5})
    life.advance()
    branch = life.branch("gentle")
    branch.to_day(4)
    fork = branch.ask("rollback", to_day=3)
    branch.ask("pause")
    branch.advance()
    assert branch.answer(fork)["to_day"] == 3
    assert branch.hyperparameters["momentum"] == 0.5
    assert branch.records.of("gentle").current_hyperparameters == branch.chosen
    beyond = branch.ask("rollback", to_day=1)
    branch.ask("continue")
    branch.to_end()
    assert branch.answer(beyond)["to_epoch"] == 2
    rows = branch.records.of("gentle").epochs
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    assert branch.hyperparameters["momentum"] == 0.9
    assert branch.records.of("gentle").current_hyperparameters == branch.chosen
    curve = branch.metrics()
    assert again(branch, "gentle").metrics() == curve


def test_a_sitter_may_take_a_branch_back_beyond_its_fork(panda):
    sitter = {"mode": "act", "divergence": {"loss_factor": 1.0001, "sigmas": 0, "smallest_rise": 0}}
    start = {"learning_rate": 0.02, "dropout": 0.0, "weight_decay": 1e-6}
    life = panda(days=6, sitter=sitter, start=start)
    life.to_day(3)
    life.ask("branch", name="wild", changes={"weight_decay": 100.0})
    life.ask("stop")
    life.advance()
    branch = life.branch("wild").to_end()
    assert [e["to_day"] for e in branch.entries("applied", action="rollback")][:2] == [3, 2]
    assert branch.hyperparameters["weight_decay"] == 1e-6, "as it was before the fork"


def test_the_recipe_of_a_branch_is_that_of_its_fork(panda):
    life = panda(days=4)
    life.set(at_day=2, learning_rate=0.01)
    life.to_day(3)
    life.ask("branch", name="gentle", changes={"momentum": 0.5})
    life.ask("rollback", to_day=0)
    life.to_end()
    branch = life.branch("gentle").to_end()
    assert living_changes(life.records, life.trial) == []
    assert living_changes(life.records, "gentle") == [
        {"epoch": 2, "set": {"learning_rate": 0.01}},
        {"epoch": 6, "set": {"momentum": 0.5}},
    ]
    curve = branch.metrics()
    assert again(life, "gentle").metrics() == curve


def test_a_branch_of_a_scheduled_panda_goes_on_in_its_schedule(panda):
    schedule = [
        {"epoch": 1, "set": {"learning_rate": 0.1}},
        {"epoch": 6, "set": {"momentum": 0.5}},
    ]
    life = panda(days=4, schedule=schedule)
    life.to_day(2)
    life.ask("branch", name="gentle", changes={"learning_rate": 0.001})
    life.advance()
    branch = life.branch("gentle").to_end()
    assert branch.hyperparameters["learning_rate"] == 0.001
    assert [e["epoch"] for e in branch.entries("applied", by="schedule")] == [6]


def test_two_branches_of_one_name_are_refused(panda):
    life = panda()
    life.to_day(1)
    first, second = life.ask("branch", name="twin"), life.ask("branch", name="twin")
    life.advance()
    assert life.answer(first)["kind"] == "applied"
    assert life.answer(second)["kind"] == "refused"
    assert len(life.branches) == 1


def test_a_promoted_trial_starts_at_day_0_from_its_best_weights(panda, same):
    life = panda("first", days=3)
    life.set(at_day=2, learning_rate=0.01)
    life.set(at_day=3, learning_rate=0.0, momentum=0.1)
    life.to_end()
    epoch = life.records.of(life.trial).best.epoch
    kept = load_checkpoint(life.folder.checkpoints / f"{life.trial}.npz")
    recipe = promoted(str(life.folder.path), str(life.folder.path.parent))
    recipe["panda"] |= {"day": "2 epochs", "days": 1, "sitter": "off"}
    ancestor = find_ancestor(parse_experiment(recipe))
    assert (
        ancestor.hyperparameters["learning_rate"] == kept.about["hyperparameters"]["learning_rate"]
    )
    second = Life.begun(life.folder.path.parent, life.trainer, recipe)
    second.ask("pause")
    second.advance()
    same(second.state()[: len(kept.model)], kept.model)
    assert second.trainer.epoch == 0
    assert second.session.panda.days.kept(0) == [0]
    second.ask("continue")
    second.to_end()
    assert [row["epoch"] for row in second.records.of(second.trial).epochs] == [1, 2]
    trial = second.records.trial(second.trial)
    assert (trial.origin["trial"], trial.origin["epoch"]) == (life.trial, epoch)
    assert second.records.of(second.trial).current_hyperparameters == second.chosen


def test_the_recipe_of_a_promoted_panda_starts_from_the_same_weights(panda):
    life = panda("first", days=1).to_end()
    recipe = promoted(str(life.folder.path), str(life.folder.path.parent))
    recipe["panda"] |= {"day": "2 epochs", "days": 2, "sitter": "off"}
    second = Life.begun(life.folder.path.parent, life.trainer, recipe)
    second.set(at_day=2, learning_rate=0.001)
    second.to_end()
    curve = second.metrics()
    assert again(second).metrics() == curve
    assert not np.isnan(curve[-1]["loss"])


@pytest.mark.parametrize("days", ["3 steps", "40 steps"])
def test_a_day_of_steps_ends_with_the_epoch_in_which_they_run_out(panda, days):
    life = panda(day=days, days=2).to_end()
    assert life.trainer.steps_per_epoch == 17
    assert [e["epoch"] for e in life.entries("day")] == ([1, 2] if days == "3 steps" else [3, 6])
