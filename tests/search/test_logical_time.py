"""Decisions by logical time: whichever order trials come in, the same ones are stopped at the same epochs."""

from __future__ import annotations

import functools
import heapq
import math
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialEnd, trial_index
from orchestrator.schedulers import AshaOptions, Decision, MedianOptions, make_scheduler
from orchestrator.search import Search, make_plan
from orchestrator.search.logical_time import LogicalTime
from orchestrator.search.search import Done, Resume, Start

EPOCHS = 9
FEW = settings(max_examples=30, deadline=None)
ORDERS = st.integers(0, 2**32)
LENGTHS = st.sampled_from([EPOCHS, EPOCHS, EPOCHS, 4, 1])
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.3, 0.3, math.nan]))
CURVES = st.lists(
    LENGTHS.flatmap(lambda epochs: st.lists(VALUES, min_size=epochs, max_size=epochs)),
    min_size=1, max_size=9,
)  # fmt: skip
"""Shorter ones are of trials that fail in the epoch after that."""
SCHEDULERS = {
    "asha": AshaOptions(grace_period=1, reduction_factor=3),
    "asha2": AshaOptions(grace_period=1, reduction_factor=2),
    "median": MedianOptions(grace_period=2, min_trials=2),
}


@pytest.fixture(params=sorted(SCHEDULERS), scope="module")
def scheduler(request):
    return SCHEDULERS[request.param]


@functools.cache
def plan_of(trials, scheduler, reproducible=True):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": {"units": "integer(1, 99)"}, "epochs": EPOCHS,
            "caviar": {"num_samples": trials, "scheduler": scheduler, "reproducible": reproducible},
        }
    )  # fmt: skip
    return make_plan(experiment, Space.parse(experiment.search_space))


def row(trial, epoch, value):
    return {"trial": trial, "epoch": epoch, "metrics": {"val_accuracy": value}, "seconds": 1.0}


class Sitting:
    """One driver of a run: its workers take trials from a search, each epoch as long as `seconds(trial)` says.

    `rows` and `endings` are the records; after so many rows as `until` says it is cut off.
    """

    def __init__(self, search, curves, rows, endings):
        self.search, self.curves, self.rows, self.endings = search, curves, rows, endings
        self.busy = []

    def run(self, workers, seconds, until=math.inf):
        self.now = 0.0
        while True:
            self.drop()
            while len(self.busy) < workers and isinstance(
                step := self.search.next(), Start | Resume
            ):
                trial = step.spec.trial
                heapq.heappush(self.busy, (self.now + seconds(trial), trial))
            if not self.busy or len(self.rows) >= until:
                assert self.busy or isinstance(step, Done), "nothing trains, and it is not over"
                return
            self.now, trial = heapq.heappop(self.busy)
            if self.train(trial):
                heapq.heappush(self.busy, (self.now + seconds(trial), trial))

    def train(self, trial):
        curve = self.curves[trial_index(trial)]
        epoch = 1 + sum(each["trial"] == trial for each in self.rows)
        if epoch > len(curve):
            self.end(trial, "failed", epoch)
            return False
        self.rows.append(row(trial, epoch, curve[epoch - 1]))
        decision = self.search.tell(self.rows[-1])
        if decision.stop:
            self.end(trial, "stopped", epoch, decision.cutoff)
        elif epoch == EPOCHS:
            self.end(trial, "finished", epoch)
        else:
            return trial not in self.search.paused
        return False

    def drop(self):
        while dropped := self.search.dropped:
            for trial, decision in dropped.items():
                epoch = self.search.paused[trial]["epoch"]
                self.end(trial, "stopped", epoch, decision.cutoff)

    def end(self, trial, status, epoch, cutoff=None):
        self.endings[trial] = (status, epoch, cutoff)
        self.search.tell(TrialEnd(trial, status, 1.0))


def told_again(plan, rows, endings):
    """A search that a later driver makes of the records, and what it decided that was not written down."""
    search, news = Search(plan), {}
    specs = {trial: plan.spec(trial_index(trial), {}) for trial in {r["trial"] for r in rows}}
    for spec in specs.values():
        search.recall(spec)
    for each in rows:
        last = max(r["epoch"] for r in rows if r["trial"] == each["trial"])
        decision = search.tell(each)
        if decision.stop and each["epoch"] == last and each["trial"] not in endings:
            news[each["trial"]] = ("stopped", last, decision.cutoff)
    endings.update(news)
    for trial, (status, *_) in endings.items():
        search.recall_ending(trial, status)
    search.take_up(specs, set(endings))
    return search


def table(rows, endings):
    """Whatever a run's tables are made of: each trial's epochs, and how it ended."""
    trained = {}
    for each in rows:
        trained.setdefault(each["trial"], []).append(str(each["metrics"]))
    return {trial: (trained[trial], str(endings[trial])) for trial in sorted(trained)}


def run_of(curves, scheduler, workers, seconds, cuts=()):
    plan = plan_of(len(curves), scheduler)
    rows, endings = [], {}
    for until in (*sorted(cuts), math.inf):
        Sitting(told_again(plan, rows, endings), curves, rows, endings).run(workers, seconds, until)
    return table(rows, endings)


def one_after_another(curves, scheduler):
    """The stops of a scheduler that is told one trial after another."""
    made, stops = make_scheduler(scheduler, EPOCHS, "max"), {}
    for index, curve in enumerate(curves):
        for epoch, value in enumerate(curve, 1):
            decision = made.report(f"{index:05d}", epoch, value)
            if decision.stop:
                stops[f"{index:05d}"] = (epoch, decision.cutoff)
                break
    return stops


def speeds(seed):
    """Random speeds of trials, a hundred times apart, with some noise in each epoch."""
    random = Random(seed)
    of = {f"{index:05d}": 10 ** random.uniform(-1, 1) for index in range(99)}
    return lambda trial: of[trial] * random.uniform(0.5, 1.5)


@FEW
@given(curves=CURVES, order=ORDERS, workers=st.integers(1, 8))
def test_any_number_of_workers_of_any_speed_makes_the_table_that_one_makes(
    scheduler, curves, order, workers
):
    alone = run_of(curves, scheduler, 1, lambda trial: 1.0)
    assert run_of(curves, scheduler, workers, speeds(order)) == alone


@FEW
@given(
    curves=CURVES, order=ORDERS, workers=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=3),
)  # fmt: skip
def test_so_does_a_run_that_is_cut_off_and_resumed(scheduler, curves, order, workers, cuts):
    alone = run_of(curves, scheduler, 1, lambda trial: 1.0)
    assert run_of(curves, scheduler, workers, speeds(order), cuts) == alone


@FEW
@given(curves=CURVES, order=ORDERS)
def test_what_is_stopped_is_what_the_scheduler_stops_told_one_trial_after_another(
    scheduler, curves, order
):
    made = run_of(curves, scheduler, 3, speeds(order))
    stops = {
        t: (epoch, cutoff) for t, (epoch, cutoff) in one_after_another(curves, scheduler).items()
    }
    expected = {trial: str(("stopped", *stop)) for trial, stop in stops.items()}
    assert {t: ending for t, (_, ending) in made.items() if "stopped" in ending} == expected


@FEW
@given(curves=CURVES, order=ORDERS, fewer=st.integers(1, 8))
def test_a_run_that_gets_more_trials_later_is_one_that_had_them(scheduler, curves, order, fewer):
    whole = run_of(curves, scheduler, 2, speeds(order))
    rows, endings = [], {}
    for trials in (min(fewer, len(curves)), len(curves)):
        search = told_again(plan_of(trials, scheduler), rows, endings)
        Sitting(search, curves, rows, endings).run(3, speeds(order + 1))
    assert table(rows, endings) == whole


def logical(values=()):
    made = LogicalTime(AshaOptions(reduction_factor=2).make(4, "max"))
    for trial, value in values:
        made.report(trial, 1, value)
    return made


def test_a_trial_waits_for_those_before_it_and_no_longer():
    made = logical()
    assert made.report("00001", 1, 0.1) == Decision(stop=False, pause=True)
    assert made.report("00002", 1, 0.9) == Decision(stop=False, pause=True)
    assert (made.promote(), made.drop()) == ([], {})
    assert not made.report("00000", 1, 0.5).pause
    assert made.promote() == ["00002"]
    assert made.drop() == {"00001": Decision(stop=True, cutoff=0.5)}


def test_nobody_waits_for_a_trial_that_is_over_nor_for_one_stopped_before():
    made = logical([("00000", 0.5), ("00001", 0.1)])
    assert not made.report("00000", 2, 0.5).pause
    assert not made.report("00002", 1, 0.9).pause
    assert not made.report("00002", 2, 0.9).pause, "00001 was stopped at epoch 1"
    assert made.report("00004", 1, 0.95).pause
    made.ended("00003")
    assert made.promote() == ["00004"]


def test_a_trial_that_is_told_again_gets_the_same_answer():
    made = logical([("00000", 0.5), ("00002", 0.1)])
    assert made.report("00002", 1, 0.1).pause
    stop = made.report("00001", 1, 0.2)
    assert stop.stop and made.report("00001", 1, 0.2) == stop


def test_a_trial_that_went_further_is_not_stopped_where_it_passed():
    made = logical([("00001", 0.1)])
    made.report("00001", 2, 0.1)
    made.report("00000", 1, 0.5)
    assert made.drop() == {}
    made.passed("00001")
    made.report("00000", 2, 0.5)
    assert made.drop() == {}


def test_a_review_counts_those_that_wait():
    made = logical([("00002", 0.9), ("00001", 0.1)])
    assert {trial: each.stop for trial, each in made.review(1).items()} == {
        "00001": True,
        "00002": False,
    }
