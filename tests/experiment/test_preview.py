from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestrator.config import AshaOptions, MedianOptions, NoSchedulerOptions
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.preview import expected_to_go_on, forecast, preview_experiment
from orchestrator.schedulers.asha import Asha
from orchestrator.strategies import make_plan

EXPERIMENT = {
    "model": "mlp",
    "data": "digits",
    "search_space": "mlp",
    "caviar": {"num_samples": 9},
    "epochs": 27,
}


def passing(trials: int, factor: int, seed: int) -> int:
    """How many of the trials that come with values in random order pass a rung of our ASHA."""
    asha = Asha((1,), factor, "max")
    values = random.Random(seed)
    return sum(not asha.report(str(i), 1, values.random()).stop for i in range(trials))


@pytest.mark.parametrize(("trials", "factor"), [(1, 3), (4, 3), (20, 3), (64, 3), (30, 4)])
def test_as_many_are_expected_to_pass_a_rung_as_pass_asha_on_average(trials, factor):
    average = sum(passing(trials, factor, seed) for seed in range(500)) / 500
    assert expected_to_go_on(trials, factor) == pytest.approx(average, abs=0.25)


def test_a_plan_without_a_scheduler_costs_every_epoch():
    plan = replace(preview_experiment(EXPERIMENT).plan, scheduler=NoSchedulerOptions())
    assert forecast(plan).epochs_expected == forecast(plan).epochs_at_most == 9 * 27


def test_the_median_rule_cannot_be_forecast():
    plan = replace(preview_experiment(EXPERIMENT).plan, scheduler=MedianOptions())
    assert forecast(plan).epochs_expected is None


def test_asha_costs_each_rungs_trials_up_to_the_next():
    plan = replace(preview_experiment(EXPERIMENT).plan, scheduler=AshaOptions(grace_period=9))
    told = forecast(plan)
    [rung] = told.rungs
    assert (rung.epoch, rung.reaching) == (9, 9)
    assert told.epochs_expected == pytest.approx(9 * 9 + rung.going_on * 18)


def test_a_single_trial_is_never_stopped_by_asha():
    plan = preview_experiment({**EXPERIMENT, "caviar": {"num_samples": 1}}).plan
    assert forecast(plan).epochs_expected == 27


def test_the_draws_are_the_plans_trials():
    seen = preview_experiment(EXPERIMENT)
    planned = [dict(spec.hyperparameters) for spec in make_plan(seen.experiment, seen.space).trials]
    assert seen.draws(12)[:9] == planned


def test_what_a_users_builder_may_read_is_left_to_the_run(tmp_path):
    (tmp_path / "net.py").write_text("def build(hp, shape, classes):\n    return dict(**hp)\n")
    space = {"learning_rate": 0.1, "my_width": "integer(1, 9)"}
    changes = {"model": str(tmp_path / "net.py"), "search_space": space}
    assert preview_experiment({**EXPERIMENT, **changes}).unsure == ("my_width",)
    with pytest.raises(ExperimentFileError, match="my_width"):
        preview_experiment({**EXPERIMENT, "search_space": space})
