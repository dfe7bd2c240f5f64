"""Who is sure to race while the last trials of a search still train, trial by trial."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from orchestrator.config import LimitOptions, parse_experiment
from orchestrator.config.limits import Duration
from orchestrator.domains import Space
from orchestrator.records import TrialEnd
from orchestrator.search import Search, make_plan
from orchestrator.search.steps import NextRound, Start, Wait

RATES = (0.1, 0.2, 0.3, 0.4, 0.5)


def plan_of(rates=RATES, epochs=3, finalists=None, **caviar):
    """A search of these points, whose best three race."""
    racing = {"top": 3, "seeds": 3, "budget": 10, **(finalists or {})}
    points = [{"learning_rate": 0.01 * place} for place in range(1, 1 + len(rates))]
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "epochs": epochs,
            "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
            "caviar": {"num_samples": len(points), "points": points, "scheduler": "none", "finalists": racing}
            | caviar,
        }
    )  # fmt: skip
    plan = make_plan(experiment, Space.parse(experiment.search_space))
    specs = (
        replace(spec, hyperparameters={**spec.hyperparameters, "learning_rate": rate})
        for spec, rate in zip(plan.points, rates, strict=True)
    )
    return replace(plan, points=tuple(specs))


def trained(search, trial, *values, ending=None):
    """Tell the epochs of a trial, and how it ended."""
    for epoch, value in enumerate(values, 1):
        metrics = {"val_accuracy": value, "loss": 1.0}
        search.tell({"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1})
    if ending:
        search.tell(TrialEnd(trial, ending))


def given(search, most=99):
    """The trials that it gives until it waits or is over, so many ``most``."""
    found = []
    while len(found) < most and isinstance(step := search.next(), Start):
        found.append(step.spec.trial)
    return found


def four_of_five(plan, ending="finished", most=99):
    """A search of which ``most`` trials are drawn, the first four have ended, and the fifth still trains."""
    search = Search(plan)
    assert len(given(search, most)) == 5
    for trial, value in (("00000", 0.6), ("00001", 0.9), ("00002", 0.7), ("00003", 0.8)):
        trained(search, trial, value, value, value, ending=ending)
    return search


def test_whoever_no_trial_in_training_can_displace_is_trained_again_beside_it():
    search = four_of_five(plan_of())

    assert given(search) == ["00001-r1", "00003-r1", "00001-r2", "00003-r2"]
    assert [news.facts for news in search.decided] == [
        {"trial": "00001", "first": 1},
        {"trial": "00003", "first": 1},
    ]
    assert isinstance(search.next(), Wait)


def test_the_race_begins_with_the_search_s_last_trial_while_replicates_train_and_has_them():
    search = four_of_five(plan_of())
    given(search)
    trained(search, "00001-r1", 0.9, ending="finished")
    trained(search, "00004", 0.1, 0.95, ending="finished")

    race = search.decided.pop()
    assert race.event == "race_began"
    assert race.facts["finalists"] == ["00004", "00001", "00003"]
    assert given(search) == ["00004-r1", "00004-r2"]


def test_one_whose_configuration_is_in_training_once_more_is_not_sure():
    search = four_of_five(plan_of((0.1, 0.2, 0.3, 0.4, 0.2)))
    assert given(search) == ["00003-r1", "00003-r2"]
    trained(search, "00004", 0.95, ending="finished")
    assert "00001" not in search.decided.pop().facts["finalists"]


def test_of_equal_configurations_that_have_ended_the_best_counts_alone():
    search = four_of_five(plan_of((0.1, 0.2, 0.3, 0.2, 0.5)))
    assert given(search) == ["00001-r1", "00002-r1", "00001-r2", "00002-r2"]


@pytest.mark.parametrize(
    "limits",
    [
        {"max_epochs": 10**6},
        {"max_run_time": Duration(9, "hour")},
        {"max_failed_trials": 9},
    ],
)
def test_a_limit_that_could_end_the_run_before_its_race_has_nobody_be_sure(limits):
    assert given(four_of_five(replace(plan_of(), limits=LimitOptions(**limits)))) == []


def test_a_limit_of_trials_has_some_be_sure_once_it_is_met():
    search = four_of_five(plan_of((*RATES, 0.6)), most=5)
    search.close()  # at the draw of the sixth
    assert given(search) == ["00001-r1", "00003-r1", "00001-r2", "00003-r2"]


@pytest.mark.parametrize(
    "finalists",
    [False, "auto", {"budget": 0.1}],
    ids=["none", "too few trials for auto", "too small a budget by now"],
)
def test_without_a_sure_race_nobody_is_sure(finalists):
    plan = plan_of()
    known = make_plan(
        parse_experiment(
            {
                "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "epochs": 3,
                "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
                "caviar": {"num_samples": 5, "finalists": finalists},
            }
        ),
        plan.space,
    ).finalists  # fmt: skip
    assert given(four_of_five(replace(plan, finalists=known))) == []


def test_while_a_further_round_may_come_nobody_is_sure_and_in_the_last_one_somebody_is():
    search = Search(plan_of(num_samples=32, rounds=2))
    first = given(search)
    for place, trial in enumerate(first[:-1]):
        trained(search, trial, 0.1 * place, 0.1 * place, 0.1 * place, ending="finished")
    assert given(search) == []
    trained(search, first[-1], 0.05, ending="finished")
    assert isinstance(search.next(), NextRound)
    second = given(search)
    assert not any("-r" in trial for trial in second)
    for trial in second[:-1]:
        trained(search, trial, 0.01, ending="finished")
    assert [trial for trial in given(search) if trial.endswith("-r1")]


@dataclass(frozen=True)
class Silent:
    """A searcher that proposes nothing while a trial trains."""

    learns = True

    def at_most(self, space, points):
        return None

    def make(self, space, seed, epochs, mode):
        return self

    def ask(self, index):
        return None

    def tell(self, observation):
        pass


def test_while_a_searcher_may_propose_another_trial_nobody_is_sure():
    plan = plan_of()
    search = four_of_five(replace(plan, num_trials=6, searcher=Silent()))
    assert given(search) == []


def test_paused_trials_are_settled_once_nobody_in_training_can_have_them_go_on():
    asha = {"asha": {"promote": True, "reduction_factor": 2}}
    search = Search(plan_of(epochs=4, scheduler=asha))

    def told(trial, epoch, value):
        metrics = {"val_accuracy": value, "loss": 1.0}
        search.tell({"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1})

    given(search)
    for trial, value in (("00000", 0.5), ("00001", 0.9), ("00002", 0.8), ("00003", 0.1)):
        told(trial, 1, value)
    assert [search.next().spec.trial] == ["00002"]
    told("00001", 2, 0.9)
    told("00002", 2, 0.8)
    assert [search.next().spec.trial] == ["00001"]
    told("00001", 3, 0.9)
    told("00001", 4, 0.9)
    search.tell(TrialEnd("00001", "finished"))
    assert {*search.paused} == {"00000", "00002", "00003"}
    assert given(search) == [], "the fifth has come to no rung yet"
    told("00004", 1, 0.95)
    assert given(search) == ["00001-r1", "00001-r2"], "that at the second rung may yet go on"
    told("00004", 2, 0.95)
    assert given(search) == ["00002-r1", "00002-r2"]


def test_failed_trials_are_no_finalists_and_stopped_ones_are():
    assert given(four_of_five(plan_of(), "failed")) == []
    assert given(four_of_five(plan_of(), "stopped"))[:2] == ["00001-r1", "00003-r1"]


def test_a_race_s_replicates_that_began_before_it_are_found_again_by_the_next_driver():
    plan = plan_of()
    before = four_of_five(plan)
    specs = {}
    while isinstance(step := before.next(), Start):
        specs[step.spec.trial] = step.spec
    search = Search(plan)
    for index in range(5):
        search.recall(before._specs[f"{index:05}"])
    for spec in list(specs.values())[:2]:
        search.recall(spec)
    for trial, value in (("00000", 0.6), ("00001", 0.9), ("00002", 0.7), ("00003", 0.8)):
        trained(search, trial, value, value, value)
        search.recall_ending(trial, "finished")
    trained(
        search, "00001-r1", 0.9
    )  # its function returned early: it belongs to this race all the same
    search.recall_ending("00001-r1", "finished")
    over = {"00000", "00001", "00002", "00003", "00001-r1"}
    search.take_up(dict(search._known), over)
    search.finalists.recall_known({"00001": 1, "00003": 1})

    assert given(search) == ["00004", "00003-r1", "00001-r2", "00003-r2"]
    assert not search.decided
