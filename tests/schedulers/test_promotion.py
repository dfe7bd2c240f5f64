"""ASHA's promotion variant: who goes on follows from the order of arrivals alone."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialEnd
from orchestrator.schedulers import AshaOptions
from orchestrator.schedulers.hyperband import HyperbandOptions
from orchestrator.search import Search, make_plan
from orchestrator.search.steps import Done, Resume, Start

VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def asha(epochs=9, factor=3, mode="max"):
    return AshaOptions(promote=True, reduction_factor=factor).make(epochs, mode)


def arrive(scheduler, values, epoch=1):
    return {name: scheduler.report(name, epoch, value) for name, value in values.items()}


def test_each_trial_pauses_at_a_rung_and_none_is_stopped_there():
    decided = arrive(asha(), {"a": 0.5, "b": 0.9})
    assert [(each.stop, each.pause) for each in decided.values()] == [(False, True)] * 2


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "a word"], ids=str)
def test_what_is_no_number_is_stopped_and_never_promoted(value):
    scheduler = asha()
    decided = arrive(scheduler, dict.fromkeys("abcdef", value))
    assert all(each.stop and not each.pause for each in decided.values())
    assert scheduler.promote() == []
    assert list(scheduler.promote_last()) == []


def test_of_three_the_best_goes_on_and_of_two_none():
    scheduler = asha()
    arrive(scheduler, {"a": 0.5, "b": 0.9})
    assert scheduler.promote() == []
    arrive(scheduler, {"c": 0.1})
    assert scheduler.promote() == ["b"]


def test_equals_go_on_by_their_loss_and_then_as_they_came():
    scheduler = asha()
    for name, ties in {"a": (0.5, 1.0), "b": (0.4, 1.0), "c": (0.4, 1.0)}.items():
        scheduler.report(name, 1, 0.9, ties)
    assert scheduler.promote() == ["b"]


def test_the_highest_rung_comes_first_and_the_best_of_it():
    scheduler = asha(27)
    arrive(scheduler, {"a": 0.9, "b": 0.1, "c": 0.2, "d": 0.95, "e": 0.3, "f": 0.3})
    arrive(scheduler, {"x": 0.8, "y": 0.7, "z": 0.6}, epoch=3)
    assert scheduler.promote() == ["x", "a"]


def test_one_that_may_go_on_may_still_when_better_ones_have_come():
    scheduler = asha()
    arrive(scheduler, {"a": 0.5, "b": 0.1, "c": 0.1, "d": 0.8, "e": 0.9})
    assert scheduler.promote() == ["a"]


def test_one_that_is_among_the_best_as_it_comes_goes_on_without_a_pause():
    decided = arrive(asha(), {"a": 0.1, "b": 0.2, "c": 0.9, "d": 0.1})
    assert [each.pause for each in decided.values()] == [True, True, False, True]
    assert not decided["c"].stop


def test_whoever_waits_where_nobody_comes_any_more_stays_there():
    scheduler = asha()
    arrive(scheduler, {"a": 0.1, "b": 0.2, "c": 0.9, "d": 0.3})  # c goes on
    arrive(scheduler, {"c": 0.9}, epoch=3)
    assert scheduler.stay_paused(3) == [], (
        "c, and whoever failed after it, may be the last to go on"
    )
    scheduler.report("x", 9, 0.5)
    assert scheduler.stay_paused(0) == []
    assert scheduler.stay_paused(1) == ["a", "b", "d"]
    assert scheduler.stay_paused(3) == ["a", "b", "d", "c"]


def test_one_that_may_go_on_and_has_not_yet_is_not_said_to_stay():
    scheduler = asha()
    scheduler.report("x", 9, 0.5)
    arrive(scheduler, {"a": 0.5, "b": 0.9, "c": 0.1})
    assert scheduler.promote() == ["b"] and scheduler.stay_paused(9) == ["a", "c"]


def test_of_brackets_each_says_who_stays():
    scheduler = HyperbandOptions(brackets=2, promote=True).make(9, "max")
    first, second = (
        [name for name in map(str, range(30)) if scheduler.bracket_of(name) is bracket][:3]
        for bracket in scheduler.brackets
    )
    arrive(scheduler, {name: 0.5 for name in first})
    scheduler.report(second[0], 9, 0.5)
    assert scheduler.stay_paused(9) == [], "none of the first has trained all epochs"
    scheduler.report(first[0], 9, 0.5)
    assert scheduler.stay_paused(9) == first[1:]


def test_one_that_went_on_is_promoted_no_more():
    scheduler = asha()
    arrive(scheduler, {"a": 0.5, "b": 0.1, "c": 0.1})
    scheduler.report("a", 2, 0.5)
    assert scheduler.promote() == []


@given(VALUES, st.sampled_from([2, 3, 4]))
def test_all_that_were_ever_among_the_best_may_go_on_and_no_others(values, factor):
    scheduler = asha(factor=factor)
    wanted, went_on = set(), set()
    for count, value in enumerate(values, 1):
        if not scheduler.report(str(count), 1, value).pause:
            went_on.add(str(count))
        best = sorted(range(count), key=lambda at: (-values[at], at))[: count // factor]
        wanted |= {str(at + 1) for at in best}
    assert set(scheduler.promote()) | went_on == wanted
    assert not went_on & set(scheduler.promote())


def test_when_nothing_else_is_left_the_best_of_the_highest_rung_goes_on_unless_one_is_through():
    scheduler = asha()
    arrive(scheduler, {"a": 0.5, "b": 0.9})
    arrive(scheduler, {"a": 0.7}, epoch=3)
    assert list(scheduler.promote_last()) == ["a", "b"]
    scheduler.report("a", 9, 0.7)
    assert list(scheduler.promote_last()) == []


# With a search: one worker, the curves from a seed.


def planned(trials, epochs=9, **options):
    scheduler = {"asha": {"promote": True, **options}}
    file = {
        "name": "one", "model": "mlp", "data": "digits", "epochs": epochs, "metric": "m",
        "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
        "caviar": {"num_samples": trials, "scheduler": scheduler},
    }  # fmt: skip
    made = parse_experiment(file)
    return make_plan(made, Space.parse(made.search_space))


def row(trial, epoch):
    value = Random(f"{trial}/{epoch}").random() + Random(trial).random()
    return {"trial": trial, "epoch": epoch, "metrics": {"m": value}, "seconds": 1.0}


def trained(plan, search, workers=1, most=10**9):
    """The rows of a run, at most so many: each worker trains its trial an epoch at a time."""
    rows, busy = [], {}
    while len(rows) < most:
        while len(busy) < workers and isinstance(step := search.next(), Start | Resume):
            name = step.spec.trial
            busy.setdefault(name, max([r["epoch"] for r in rows if r["trial"] == name], default=0))
        if not busy:
            break
        for trial in list(busy):
            busy[trial] += 1
            rows.append(row(trial, busy[trial]))
            decision = search.tell(rows[-1])
            if busy[trial] == plan.epochs or decision.stop:
                search.tell(TrialEnd(trial, "stopped" if decision.stop else "finished"))
            if busy[trial] == plan.epochs or decision.stop or trial in search.paused:
                del busy[trial]
    return rows


def lengths(rows):
    return sorted(
        max(r["epoch"] for r in rows if r["trial"] == trial) for trial in {r["trial"] for r in rows}
    )


@pytest.mark.parametrize("workers", [1, 3])
def test_a_search_trains_about_a_third_from_rung_to_rung(workers):
    plan = planned(27)
    found = lengths(trained(plan, Search(plan), workers))
    assert len(found) == 27
    assert 9 <= sum(epochs > 1 for epochs in found) <= 14
    assert 3 <= sum(epochs == 9 for epochs in found) <= 5


@pytest.mark.parametrize("trials", [1, 2, 4])
def test_a_search_of_few_trials_has_one_that_trained_all_epochs(trials):
    plan = planned(trials)
    search = Search(plan)
    assert lengths(trained(plan, search))[-1] == 9
    for trial in list(search.paused):
        search.tell(TrialEnd(trial, "stopped"))
    assert isinstance(search.next(), Done)


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_search_that_was_told_the_records_goes_on_as_the_first_one_did(cut):
    plan = planned(12)
    whole = trained(plan, Search(plan))
    first = Search(plan)
    recorded = trained(plan, first, most=cut)
    again = Search(plan)
    for each in recorded:
        if again.tell(each).stop or each["epoch"] == plan.epochs:
            again.tell(TrialEnd(each["trial"], "finished"))
    known = {
        spec.trial: spec for spec in plan.draws() if any(r["trial"] == spec.trial for r in recorded)
    }
    over = {r["trial"] for r in recorded if r["epoch"] == plan.epochs}
    again.take_up(known, over)
    begun = {(r["trial"], r["epoch"]) for r in recorded}
    ran = recorded + [
        r for r in trained_on(plan, again, recorded) if (r["trial"], r["epoch"]) not in begun
    ]
    assert sorted((r["trial"], r["epoch"]) for r in ran) == sorted(
        (r["trial"], r["epoch"]) for r in whole
    )


def trained_on(plan, search, recorded):
    """What comes after recorded rows: a trial that was in training goes on from its last one."""
    rows = list(recorded)
    done = []
    while isinstance(step := search.next(), Start | Resume):
        trial = step.spec.trial
        epoch = max([r["epoch"] for r in rows if r["trial"] == trial], default=0)
        while epoch < 99:
            epoch += 1
            rows.append(row(trial, epoch))
            done.append(rows[-1])
            search.tell(rows[-1])
            if epoch == plan.epochs:
                search.tell(TrialEnd(trial, "finished"))
            if epoch == plan.epochs or trial in search.paused:
                break
    return done


# `auto`: by what starts and resumes cost.


def auto(rows, epochs=9):
    """A scheduler that heard of epochs of a second: (trial, epoch, start_seconds)."""
    scheduler = AshaOptions().make(epochs, "max")
    remarks = [scheduler.hear(cost_row(*each)) for each in rows]
    return scheduler, [remark for remark in remarks if remark]


def cost_row(trial, epoch, start=None):
    made = {"trial": trial, "epoch": epoch, "metrics": {"m": 0.5}, "seconds": 1.0}
    return made if start is None else made | {"start_seconds": start}


CHEAP = [(name, epoch, 0.1) for epoch in (1, 2) for name in "abc"]
DEAR = [(name, epoch, 0.1 if epoch == 1 else 5.0) for epoch in (1, 2) for name in "abc"]


def test_auto_promotes_for_good_once_three_resumes_were_cheap_and_says_so_once():
    scheduler, [remark] = auto([*CHEAP, *DEAR, ("d", 1, 99.0)])
    assert scheduler.promotes is True
    assert remark.facts["promotes"] and remark.facts["start_seconds"] == 0.1
    assert (
        remark.text
        == "asha pauses and promotes trials: to resume a trial costs 0.1 s, 1% of a full training"
    )


def test_auto_that_stops_because_starts_are_dear_says_that_it_measured_starts():
    _, [remark] = auto([(name, 1, 5.0) for name in "abc"])
    assert not remark.facts["promotes"] and "to start a trial costs 5 s" in remark.text


def test_hyperband_says_in_its_own_name_what_its_brackets_chose():
    scheduler = HyperbandOptions().make(9, "max")
    [remark] = filter(None, (scheduler.hear(cost_row(*each)) for each in DEAR))
    assert remark.text.startswith("hyperband stops trials") and "asha" not in remark.text
    assert (remark.facts["scheduler"], remark.facts["promotes"]) == ("hyperband", False)


def test_auto_stops_once_three_resumes_were_dear_however_cheap_the_starts():
    scheduler, [remark] = auto(DEAR)
    assert scheduler.promotes is False
    assert "56% of a full training" in remark.text


def test_auto_stops_once_three_starts_were_dear():
    assert auto([(name, 1, 2.0) for name in "abc"])[0].promotes is False


@pytest.mark.parametrize("rows", [CHEAP[:3], DEAR[:5], [(name, 1, None) for name in "abcdef"]])
def test_auto_pauses_until_the_cost_is_known(rows):
    scheduler, remarks = auto(rows)
    assert not remarks
    assert scheduler.report("x", 1, 0.1).pause


def test_auto_counts_a_row_that_is_told_twice_once():
    assert auto([each for each in DEAR for _ in range(2)])[1] == auto(DEAR)[1]
    assert not auto(DEAR[:5] * 3)[1]


def test_auto_that_stops_decides_on_arrival_and_still_promotes_whom_it_owes_it():
    scheduler, _ = auto([])
    arrive(scheduler, {"a": 0.5, "b": 0.2, "c": 0.1})
    for each in DEAR:
        scheduler.hear(cost_row(*each))
    decided = arrive(scheduler, {"d": 0.4, "e": 0.3, "f": 0.9})
    assert [(each.stop, each.pause) for each in decided.values()] == [
        (True, False), (True, False), (False, False),
    ]  # fmt: skip
    assert scheduler.promote() == ["a"]
