"""A search is told what happened and asked what comes next; being told the records again rebuilds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialEnd
from orchestrator.schedulers import Decision
from orchestrator.search import Search, TrialSpec, make_plan
from orchestrator.search.steps import Done, Resume, Start, Wait

SPACE = {"learning_rate": "loguniform(1e-3, 1)", "units": "choice([8, 16])"}


class Halving:
    """Synchronous halving: each trial pauses after epoch 1; the better half goes on once all ``trials`` are there."""

    name = "halving"
    milestones = (1,)

    def __init__(self, trials):
        self.trials, self.values, self.promoted = trials, {}, set()

    def report(self, trial, epoch, value, ties=None):
        if epoch != 1:
            return Decision(stop=False)
        self.values[trial] = value
        return Decision(stop=False, pause=True)

    def review(self, epoch):
        return {}

    def promote(self):
        if len(self.values) < self.trials or self.promoted:
            return []
        ranked = sorted(self.values, key=lambda trial: -self.values[trial])
        self.promoted = set(ranked[: self.trials // 2])
        return ranked[: self.trials // 2]


def plan_of(count):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": SPACE, "epochs": 3, "caviar": {"num_samples": count},
        }
    )  # fmt: skip
    return make_plan(experiment, Space.parse(experiment.search_space))


def row(trial, epoch, value):
    metrics = {"val_accuracy": value}
    return {"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.1}


def started(search, count):
    return [search.next().spec.trial for _ in range(count)]


def test_trials_come_in_the_order_of_drawing_and_then_nothing():
    search = Search(plan_of(3))
    assert started(search, 3) == ["00000", "00001", "00002"]
    assert isinstance(search.next(), Wait) and search.is_done
    for trial in ("00000", "00001", "00002"):
        search.tell(TrialEnd(trial, "finished", 1.0))
    assert isinstance(search.next(), Done)


def test_a_trial_is_drawn_when_it_is_looked_at_and_is_the_same_however_many_there_are(monkeypatch):
    drawn = []
    draw = Space.draw
    monkeypatch.setattr(Space, "draw", lambda *told: drawn.append(told[2]) or draw(*told))
    few, many = Search(plan_of(3)), Search(plan_of(10_000))
    assert drawn == []
    assert [few.next(), few.next(), few.next()] == [many.next(), many.next(), many.next()]
    assert drawn == [0, 1, 2] * 2


def test_the_next_few_draws_may_come_in_any_order_and_are_the_same_in_each():
    plan = plan_of(12)
    one_by_one = Search(plan)
    in_order, offered = [one_by_one.next().spec for _ in range(12)], []

    def last(trials):
        offered.append(len(trials))
        return trials[-1]

    search = Search(plan)
    found = []
    while isinstance(step := search.next(last), Start):
        found.append(step.spec)
    assert [spec.index for spec in found[:3]] == [7, 6, 5]
    assert offered[0] == 8
    assert sorted(found, key=lambda spec: spec.index) == in_order


@pytest.mark.parametrize("keys", [{"searcher": "sobol"}, {"reproducible": True}], ids=str)
def test_a_search_that_goes_by_its_order_offers_no_choice(keys):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": SPACE, "caviar": {"num_samples": 4, **keys},
        }
    )  # fmt: skip
    search = Search(make_plan(experiment, Space.parse(experiment.search_space)))
    assert search.next(lambda trials: trials[-1]).spec.index == 0


def test_what_is_over_is_left_out_and_what_is_known_comes_as_it_was_drawn_then():
    search = Search(plan_of(4))
    known = {t: TrialSpec(t, i, 7, {"units": i}) for i, t in enumerate(["00000", "00001"])}
    search.take_up(known, {"00000"}, group=2)
    specs = [search.next().spec for _ in range(3)]
    assert [(spec.trial, spec.group) for spec in specs] == [
        ("00001", 2),
        ("00002", 2),
        ("00003", 2),
    ]
    assert specs[0].hyperparameters == {"units": 1}
    assert search.pending == {"00001"}


def test_what_is_beyond_the_plan_comes_after_it():
    search = Search(plan_of(1))
    search.add(TrialSpec("gentle", 1, 1, {}, branch=True))
    assert started(search, 2) == ["00000", "gentle"]


def test_a_paused_trial_leaves_its_place_and_goes_on_when_it_is_promoted():
    search = Search(plan_of(4), Halving(4))
    for trial, value in zip(started(search, 3), (0.1, 0.9, 0.5), strict=True):
        assert search.tell(row(trial, 1, value)).pause
    assert list(search.paused) == ["00000", "00001", "00002"]
    step = search.next()
    assert isinstance(step, Start) and step.spec.trial == "00003"
    assert isinstance(search.next(), Wait) and not search.is_done
    search.tell(row("00003", 1, 0.7))
    steps = [search.next(), search.next(), search.next()]
    assert [type(step) for step in steps] == [Resume, Resume, Wait]
    assert [step.spec.trial for step in steps[:2]] == ["00001", "00003"]
    assert list(search.paused) == ["00000", "00002"]


def test_an_epoch_that_is_told_again_pauses_no_trial_again():
    search = Search(plan_of(2), Halving(2))
    started(search, 2)
    search.tell(row("00000", 1, 0.5))
    search.tell(row("00001", 1, 0.9))
    assert search.next().spec.trial == "00001"
    search.tell(row("00001", 1, 0.9))
    assert list(search.paused) == ["00000"]
    search.tell(row("00000", 1, 0.5))
    assert list(search.paused) == ["00000"], "a retold epoch is no promotion"


def test_a_trial_that_is_lost_at_its_pause_comes_to_it_again():
    search = Search(plan_of(2), Halving(2))
    started(search, 1)
    search.tell(row("00000", 1, 0.5))
    search.lost("00000")
    assert search.paused == {}
    assert search.tell(row("00000", 1, 0.5)).pause
    assert list(search.paused) == ["00000"]


def test_a_trial_that_ends_with_its_last_epoch_is_not_paused():
    search = Search(replace(plan_of(1), epochs=1), Halving(1))
    started(search, 1)
    search.tell(row("00000", 1, 0.5))
    assert search.paused == {}


@pytest.mark.parametrize("known", range(9))
def test_being_told_the_records_again_rebuilds_it(known):
    rows = [row(f"0000{i}", 1, value) for i, value in enumerate((0.1, 0.9, 0.5, 0.7))]
    rows += [row("00001", 2, 0.9), row("00003", 2, 0.7), row("00001", 3, 0.9), row("00003", 3, 0.8)]
    again = Search(plan_of(4), Halving(4))
    for each in rows[:known]:
        again.tell(each)
    trials = sorted({each["trial"] for each in rows[:known]})
    specs = {trial: plan_of(4).spec(int(trial), {}) for trial in trials}
    ended = {trial for trial in trials if row(trial, 3, 0.9)["epoch"] in
             [each["epoch"] for each in rows[:known] if each["trial"] == trial]}  # fmt: skip
    again.take_up(specs, ended)
    coming = []
    while isinstance(step := again.next(), Start | Resume):
        coming.append((type(step).__name__, step.spec.trial))
    everyone = ["00000", "00001", "00002", "00003"]
    if known < 4:
        assert coming == [("Start", trial) for trial in everyone[known:]]
        assert list(again.paused) == everyone[:known]
    else:
        going_on = {trial for _, trial in coming}
        assert going_on == {"00001", "00003"} - ended
        assert list(again.paused) == ["00000", "00002"]
