"""Decisions by logical time: whichever order trials come in, the same ones are stopped at the same epochs."""

from __future__ import annotations

import functools
import heapq
import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialEnd, trial_index
from orchestrator.schedulers import (
    AshaOptions,
    Decision,
    HyperbandOptions,
    MedianOptions,
    PatientOptions,
    PercentileOptions,
)
from orchestrator.search import Search, make_plan
from orchestrator.search.logical_time import LogicalTime
from orchestrator.search.steps import Done, NextRound, Resume, Start

EPOCHS = 9
ORDERS = st.integers(0, 2**32)
LENGTHS = st.sampled_from([EPOCHS, EPOCHS, EPOCHS, 4, 1])
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.3, 0.3, math.nan]))
CURVES = st.lists(
    LENGTHS.flatmap(lambda epochs: st.lists(VALUES, min_size=epochs, max_size=epochs)),
    min_size=1, max_size=9,
)  # fmt: skip
"""Shorter ones are of trials that fail in the epoch after that."""
SCHEDULERS = {
    "asha": AshaOptions(promote=False),
    "asha2": AshaOptions(reduction_factor=2, promote=False),
    "promote": AshaOptions(reduction_factor=2, promote=True),
    "promote3": AshaOptions(promote=True),
    "hyperband": HyperbandOptions(reduction_factor=2, promote=True),
    "median": MedianOptions(grace_period=2, min_trials=2),
    "percentile": PercentileOptions(min_trials=2),
    "patient": PatientOptions(patience=2),
}


@pytest.fixture(params=sorted(SCHEDULERS), scope="module")
def scheduler(request):
    return SCHEDULERS[request.param]


# Curves are drawn once for all schedulers: drawing takes the time.
@functools.cache
def plan_of(trials, scheduler, reproducible=True, rounds=1):
    experiment = parse_experiment(
        {
            "name": "one", "model": "mlp", "data": "digits", "metric": "val_accuracy", "mode": "max",
            "search_space": {"units": "integer(1, 99)"}, "epochs": EPOCHS,
            "caviar": {"num_samples": trials, "scheduler": scheduler, "reproducible": reproducible,
                       "rounds": rounds},
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
        self.busy, self.rounds = [], []

    def run(self, workers, seconds, until=math.inf):
        self.now = 0.0
        while True:
            self.drop()
            while len(self.busy) < workers and isinstance(step := self.next(), Start | Resume):
                trial = step.spec.trial
                heapq.heappush(self.busy, (self.now + seconds(trial), trial))
            if len(self.rows) >= until or isinstance(step, Done):
                return
            if not self.busy:
                self.end_what_stays_paused()
                continue
            self.now, trial = heapq.heappop(self.busy)
            if self.train(trial):
                heapq.heappush(self.busy, (self.now + seconds(trial), trial))

    def next(self):
        step = self.search.next()
        if isinstance(step, NextRound):
            self.rounds.append(step.round)
            step = self.search.next()
        return step

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

    def end_what_stays_paused(self):
        paused = {trial: each["epoch"] for trial, each in self.search.paused.items()}
        assert paused, "nothing trains, and it is not over"
        rungs = {epoch: self.search.scheduler.review(epoch) for epoch in set(paused.values())}
        for trial, epoch in paused.items():
            self.end(trial, "stopped", epoch, rungs[epoch][trial].cutoff)

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


def run_of(curves, scheduler, workers, seconds, cuts=(), reproducible=True):
    plan = plan_of(len(curves), scheduler, reproducible)
    rows, endings = [], {}
    for until in (*sorted(cuts), math.inf):
        Sitting(told_again(plan, rows, endings), curves, rows, endings).run(workers, seconds, until)
    return table(rows, endings)


def speeds(seed):
    """Random speeds of trials, a hundred times apart, with some noise in each epoch."""
    random = Random(seed)
    of = {f"{index:05d}": 10 ** random.uniform(-1, 1) for index in range(99)}
    return lambda trial: of[trial] * random.uniform(0.5, 1.5)


@given(curves=CURVES, order=ORDERS, workers=st.integers(1, 8))
def test_any_number_of_workers_of_any_speed_makes_the_table_that_one_makes(curves, order, workers):
    for name, scheduler in SCHEDULERS.items():
        alone = run_of(curves, scheduler, 1, lambda trial: 1.0)
        assert run_of(curves, scheduler, workers, speeds(order)) == alone, name


@given(
    curves=CURVES, order=ORDERS, workers=st.integers(1, 4),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=3),
)  # fmt: skip
def test_so_does_a_run_that_is_cut_off_and_resumed(curves, order, workers, cuts):
    for name, scheduler in SCHEDULERS.items():
        alone = run_of(curves, scheduler, 1, lambda trial: 1.0)
        assert run_of(curves, scheduler, workers, speeds(order), cuts) == alone, name


@given(curves=CURVES)
def test_on_one_worker_it_changes_nothing(curves):
    for name, scheduler in SCHEDULERS.items():
        without = run_of(curves, scheduler, 1, lambda trial: 1.0, reproducible=False)
        assert run_of(curves, scheduler, 1, lambda trial: 1.0) == without, name


@given(curves=CURVES, order=ORDERS, fewer=st.integers(1, 8))
def test_a_run_that_gets_more_trials_later_is_one_that_had_them(curves, order, fewer):
    for name in ("asha", "asha2", "median"):
        scheduler = SCHEDULERS[name]
        whole = run_of(curves, scheduler, 2, speeds(order))
        rows, endings = [], {}
        for trials in (min(fewer, len(curves)), len(curves)):
            search = told_again(plan_of(trials, scheduler), rows, endings)
            Sitting(search, curves, rows, endings).run(3, speeds(order + 1))
        assert table(rows, endings) == whole, name


def test_rounds_have_the_same_spaces_and_trials(scheduler):
    def drawn(workers, order):
        plan = plan_of(32, scheduler, rounds=2)
        curves = [[math.sin(7 * index)] * EPOCHS for index in range(32)]
        sitting = Sitting(Search(plan), curves, [], {})
        sitting.run(workers, speeds(order))
        specs = sitting.search._specs
        return {
            trial: dict(specs[trial].hyperparameters) for trial in sorted(specs)
        }, sitting.rounds

    alone, rounds = drawn(1, 0)
    assert len(alone) == 32 and len(rounds) == 1
    assert drawn(3, 1) == drawn(2, 2) == (alone, rounds)


def logical(values=()):
    made = LogicalTime(SCHEDULERS["asha2"].make(4, "max"))
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
