"""A search on recorded curves: what it decides, what it costs in virtual seconds, and that it is the same each time."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import make_plan
from orchestrator.simulation import Costs, Simulator, curves_between, curves_of

SPACE = {"learning_rate": "loguniform(1e-3, 1)", "units": "choice([8, 16])"}


def plan_of(epochs=3, **caviar):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy",
            "search_space": SPACE, "epochs": epochs, "caviar": caviar,
        }
    )  # fmt: skip
    return make_plan(experiment, Space.parse(experiment.search_space))


def table_of(curves, plan, seconds=1.0):
    """Return a table of as many configurations as there are curves, evenly spread over the space."""
    rows = [
        {
            "config": f"c{number}",
            "epoch": epoch + 1,
            "val_accuracy": value,
            "seconds": seconds,
            "learning_rate": 10 ** (-3 + 3 * (number + 0.5) / len(curves)),
            "units": 8 if number % 2 else 16,
        }
        for number, curve in enumerate(curves)
        for epoch, value in enumerate(curve)
    ]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return curves_of(columns, "curves", plan.space, plan.metric)


def some_curves(count=40, epochs=9, seed=0):
    generator = np.random.default_rng(seed)
    ends = generator.uniform(0.3, 1, count)
    curve = 1 - np.exp(-np.arange(1, epochs + 1) / 3)
    return [list(end * curve + generator.normal(0, 0.02, epochs)) for end in ends]


def simulate(plan, table, between="rows", **costs):
    return Simulator(plan, curves_between(between, table, plan.space), Costs(**costs)).run()


def test_two_workers_take_turns_and_the_costs_add_up():
    plan = plan_of(2, num_samples=3, scheduler="none")
    table = table_of([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], plan)
    done = simulate(plan, table, workers=2, start=0.5)
    # Two trials begin at 0: epochs end at 1.5 and 2.5. The third begins at 2.5: 4.0 and 5.0.
    assert done.at.tolist() == [1.5, 1.5, 2.5, 2.5, 4.0, 5.0]
    assert [trial.seconds for trial in done.trials] == [2.5, 2.5, 2.5]
    assert done.endings == {"finished": 3}


class Halving:
    """Pauses each trial after epoch 1; the best of all goes on."""

    name, milestones = "halving", (1,)

    def __init__(self, trials):
        self.trials, self.values, self.done = trials, {}, False

    def make(self, epochs, mode):
        return Halving(self.trials)

    def report(self, trial, epoch, value, ties=None):
        from orchestrator.schedulers import Decision

        self.values.setdefault(trial, value)
        return Decision(stop=False, pause=epoch == 1)

    def review(self, epoch):
        return {}

    def promote(self):
        if len(self.values) < self.trials or self.done:
            return []
        self.done = True
        return [max(self.values, key=lambda trial: self.values[trial])]


def test_a_paused_trial_goes_on_for_the_cost_of_resuming_and_the_others_end_stopped():
    plan = replace(plan_of(3, num_samples=3), scheduler=Halving(3))
    table = table_of([[0.1] * 3, [0.5] * 3, [0.3] * 3], plan)
    done = simulate(plan, table, start=1.0, resume=10.0)
    # Three first epochs, 2 s each; then the best resumes: 6 + 10 + 1, and another epoch.
    assert done.at.tolist() == [2.0, 4.0, 6.0, 17.0, 18.0]
    assert {trial.config: (trial.status, trial.resumes) for trial in done.trials} == {
        "c0": ("stopped", 0),
        "c1": ("finished", 1),
        "c2": ("stopped", 0),
    }


@pytest.mark.parametrize("between", ["rows", "interpolate"])
def test_the_same_seed_gives_the_same_run_and_another_seed_another(between):
    plan = plan_of(9, num_samples=30, scheduler={"asha": {}})
    table = table_of(some_curves(), plan)
    first, again = (simulate(plan, table, between, workers=4) for _ in range(2))
    other = simulate(replace(plan, seed=1), table, between, workers=4)
    assert first.trials == again.trials and first.at.tolist() == again.at.tolist()
    assert first.trials != other.trials


def test_what_is_left_to_chance_is_any_row_and_none_twice():
    plan = plan_of(1, num_samples=10, scheduler="none")
    table = table_of([[number / 10] for number in range(10)], plan)
    runs = [simulate(replace(plan, seed=seed), table) for seed in range(300)]
    assert all(len({trial.config for trial in run.trials}) == 10 for run in runs)
    firsts = [next(t.config for t in run.trials if t.trial == "00000") for run in runs]
    counts = [firsts.count(f"c{number}") for number in range(10)]
    assert min(counts) >= 12 and max(counts) <= 50  # 30 on average


def test_a_table_that_is_used_up_begins_anew_and_that_is_said():
    plan = plan_of(1, num_samples=25, scheduler="none")
    done = simulate(plan, table_of([[0.1]] * 10, plan))
    assert len(done.trials) == 25 and done.repeated == 15


def test_a_curve_that_ends_in_nan_diverges_and_one_that_just_ends_is_unknown_from_there():
    plan = plan_of(3, num_samples=3, scheduler="none")
    table = table_of([[0.1, math.nan], [0.2, 0.3], [0.1, 0.2, 0.3]], plan)
    ended = {t.config: (t.status, t.epochs, t.unknown) for t in simulate(plan, table).trials}
    assert ended == {
        "c0": ("diverged", 2, False),
        "c1": ("interrupted", 2, True),
        "c2": ("finished", 3, False),
    }


def test_the_time_to_a_target_is_that_of_the_first_epoch_that_reaches_it():
    plan = plan_of(2, num_samples=4, scheduler="none")
    table = table_of([[0.1, 0.9], [0.1, 0.8], [0.1, 0.7], [0.1, 0.6]], plan)
    done = simulate(plan, table)
    assert table.target(0.75, "val_accuracy", "max", 2) == 0.9
    assert table.target(0.5, "val_accuracy", "max", 2) == 0.8
    place = next(number for number, trial in enumerate(done.trials) if trial.config == "c0")
    assert done.time_to(0.9) == 2 * place + 2 and done.first(0.9) == 2 * place + 2
    assert done.time_to(0.95) is None
    assert math.isnan(done.best_at(0.5)) and done.best_at(1e9) == 0.9
