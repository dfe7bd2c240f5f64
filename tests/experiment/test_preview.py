from __future__ import annotations

import random
from dataclasses import replace

import pytest

from orchestrator.cli.preview_text import preview_text
from orchestrator.config import AshaOptions, MedianOptions, NoSchedulerOptions
from orchestrator.errors import ExperimentFileError, OrchestratorError, RunExistsError
from orchestrator.experiment.prepared import prepare, read_experiment
from orchestrator.experiment.preview import forecast, preview_experiment
from orchestrator.schedulers.asha import Asha, expected_to_go_on
from orchestrator.search import make_plan

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
    planned = [
        dict(spec.hyperparameters) for spec in make_plan(seen.experiment, seen.space).draws()
    ]
    assert seen.draws(12)[:9] == planned


def test_what_a_users_builder_does_not_read_is_found_out_by_building(tmp_path):
    net = "import keras\n\n\ndef build(hp, shape, classes):\n    names = dict(**hp)\n"
    (tmp_path / "net.py").write_text(
        net + "    head = keras.layers.Dense(classes, 'softmax')\n"
        "    return keras.Sequential([keras.layers.Flatten(), head])\n"
    )
    space = {"learning_rate": 0.1, "my_width": "integer(1, 9)"}
    changes = {"model": str(tmp_path / "net.py"), "search_space": space}
    assert preview_experiment({**EXPERIMENT, **changes}).space.names == tuple(space)
    with pytest.raises(ExperimentFileError, match="my_width"):
        preview_experiment({**EXPERIMENT, "search_space": space})


PANDA = {
    "name": "p", "model": "mlp", "data": "digits", "strategy": "panda",
    "panda": {"start": {"units": 8}, "days": 2, "day": "2 epochs"},
}  # fmt: skip
REFUSED = {
    "nothing reads it": {"panda": {"start": {"unit": 8}}},
    "no such run": {"panda": {"from": "nowhere/00000"}},
    "a scheduled name": {
        "panda": {"start": {}, "schedule": [{"epoch": 1, "set": {"momentun": 0.9}}]}
    },
    "a scheduled value": {
        "panda": {"start": {}, "schedule": [{"epoch": 1, "set": {"momentum": 1.5}}]}
    },
    "a metric": {"metric": "val_acc"},
    "the data": {"data": {"source": "digits", "label": "x"}},
    "the place": {"storage_path": "a-file"},
    "cores": {"resources": {"cpu": 4096}},
}


@pytest.mark.parametrize("strategy", ["panda", "caviar"])
@pytest.mark.parametrize("case", REFUSED)
def test_preview_refuses_what_run_refuses_in_its_words(case, strategy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "a-file").write_text("")
    experiment = {**PANDA, **REFUSED[case]}
    if strategy == "caviar":
        if "panda" in REFUSED[case]:
            return
        experiment = {**experiment, "strategy": "caviar", "search_space": {"units": 8}}
    with pytest.raises(OrchestratorError) as by_preview:
        preview_experiment(experiment)
    with pytest.raises(OrchestratorError) as by_run:
        prepare(read_experiment(experiment))
    assert str(by_preview.value) == str(by_run.value)
    assert type(by_preview.value) is type(by_run.value)


def test_a_panda_is_previewed_by_its_own_figures():
    options = {
        "start": {"learning_rate": 0.05, "units": 8}, "day": "3 epochs", "days": 4,
        "sitter": "act", "keep_days": 2,
        "schedule": [{"epoch": 6, "set": {"learning_rate": 0.01}}, {"epoch": 3, "set": {"momentum": 0.5}}],
    }  # fmt: skip
    text = preview_text(preview_experiment({**PANDA, "panda": options}), 80)
    for words in (
        "4 days of 3 epochs", "learning_rate  0.05", "12 epochs in all", "the last 2 days",
        "Sitter: act", "one model, 12 epochs",
    ):  # fmt: skip
        assert words in text
    assert text.index("epoch 3") < text.index("epoch 6")
    assert "trials" not in text and "Draws" not in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_change_that_is_never_reached_is_said():
    schedule = [{"epoch": 4, "set": {"learning_rate": 0.01}}]
    options = {**PANDA["panda"], "schedule": schedule}
    assert "never" in preview_text(preview_experiment({**PANDA, "panda": options}), 80)


def test_a_schedule_out_of_order_is_applied_in_order():
    schedule = [{"epoch": n, "set": {"learning_rate": 0.1 * n}} for n in (3, 1)]
    plan = preview_experiment({**PANDA, "panda": {**PANDA["panda"], "schedule": schedule}}).plan
    assert [epoch for epoch, _ in plan.nursery.schedule] == [1, 3]


def test_where_the_name_is_taken_the_real_mistake_is_said_too(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (tmp_path / "runs" / "p").mkdir(parents=True)
    with pytest.raises(OrchestratorError, match=r"panda\.start\.unit:[\s\S]*runs/p: a run of that"):
        prepare(read_experiment({**PANDA, "panda": {"start": {"unit": 8}}}))
    with pytest.raises(RunExistsError):
        prepare(read_experiment(PANDA))
    assert preview_experiment(PANDA).folder.exists()


CONSTRAINED = {**EXPERIMENT, "search_space": {"units": "choice([8, 64])", "learning_rate": 0.1}}


def test_constraints_are_shown_with_the_share_of_draws_that_fulfil_them():
    seen = preview_experiment({**CONSTRAINED, "constraints": "units < 64"})
    text = preview_text(seen, 80)
    assert "% of all draws fulfil them" in text and "\n  units < 64\n" in text
    assert {draw["units"] for draw in seen.draws(9)} == {8}


def test_constraints_that_leave_nothing_are_refused_before_anything_starts():
    with pytest.raises(ExperimentFileError, match="none of 2; none fulfils units > 64"):
        preview_experiment({**CONSTRAINED, "constraints": ["units > 64"]})


@pytest.mark.parametrize(
    ("schedule", "where"),
    [((), "panda.start"), ([{"epoch": 2, "set": {"units": 64}}], "panda.schedule, epoch 2")],
)
def test_a_panda_starts_and_is_changed_within_its_constraints(schedule, where):
    panda = {"start": {"units": 8 if schedule else 64, "learning_rate": 0.1}, "schedule": schedule}
    broken = {**CONSTRAINED, "constraints": ["units < 64"], "strategy": "panda", "panda": panda}
    with pytest.raises(
        ExperimentFileError, match=f"{where}: expected values that fulfil units < 64"
    ):
        preview_experiment(broken)
