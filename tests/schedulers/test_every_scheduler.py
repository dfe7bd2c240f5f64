"""One exam that every scheduler sits, whatever it decides by."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.schedulers import (
    AshaOptions,
    HyperbandOptions,
    MedianOptions,
    NoSchedulerOptions,
    PashaOptions,
    PatientOptions,
    PercentileOptions,
    make_scheduler,
)
from orchestrator.search.replay import replay

EPOCHS = 9
OPTIONS = {
    "asha": AshaOptions(grace_period=1, reduction_factor=3, promote=False),
    "asha that promotes": AshaOptions(reduction_factor=3, promote=True),
    "asha that decides": AshaOptions(reduction_factor=2, promote="auto"),
    "pasha": PashaOptions(reduction_factor=2),
    "hyperband": HyperbandOptions(promote=False),
    "hyperband that promotes": HyperbandOptions(reduction_factor=2, promote=True),
    "median": MedianOptions(grace_period=1, min_trials=2),
    "percentile": PercentileOptions(min_trials=2, percentile=30.0),
    "patient": PatientOptions(patience=8),
    "none": NoSchedulerOptions(),
}
NOT_A_FIGURE = [math.nan, math.inf, -math.inf, None, "a word"]
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.1, *NOT_A_FIGURE]))
ORDERS = st.integers(0, 2**32)
"""Seeds of the order in which reports arrive: one number, since a draw for each report takes seconds."""
CURVES = st.lists(st.lists(VALUES, min_size=1, max_size=EPOCHS), min_size=1, max_size=12)


@pytest.fixture(params=sorted(OPTIONS), scope="module")
def options(request):
    return OPTIONS[request.param]


@pytest.fixture(params=["max", "min"], scope="module")
def mode(request):
    return request.param


EACH = [(OPTIONS[name], mode) for name in sorted(OPTIONS) for mode in ("max", "min")]
"""Of each scheduler and mode: what is drawn is shown to all of them, since drawing it takes the time."""


def rows_in_some_order(curves, choose):
    """Reports as they arrive: each trial's epochs in order, the trials interleaved as `choose` says."""
    waiting = {f"{index:05d}": list(enumerate(curve, 1)) for index, curve in enumerate(curves)}
    while waiting:
        trial = choose(sorted(waiting))
        epoch, value = waiting[trial].pop(0)
        yield {"trial": trial, "epoch": epoch, "metrics": {} if value is None else {"m": value}}
        if not waiting[trial]:
            del waiting[trial]


def run(scheduler, rows):
    """What a run records: a trial that is stopped reports no more."""
    recorded, stopped = [], {}
    for row in rows:
        if row["trial"] in stopped:
            continue
        decision = scheduler.report(row["trial"], row["epoch"], row["metrics"].get("m"))
        recorded.append(row)
        if decision.stop:
            stopped[row["trial"]] = (row["epoch"], decision.cutoff)
    return recorded, stopped


def memory(scheduler):
    return {name: value for name, value in vars(scheduler).items() if isinstance(value, dict)}


def test_the_name_is_the_one_in_the_file(options, mode):
    assert type(OPTIONS[make_scheduler(options, EPOCHS, mode).name]) is type(options)


def test_milestones_ascend_within_the_epochs_before_the_last(options, mode):
    milestones = make_scheduler(options, EPOCHS, mode).milestones
    assert list(milestones) == sorted(set(milestones))
    assert all(1 <= epoch < EPOCHS for epoch in milestones)


@given(curves=CURVES, order=ORDERS)
def test_nothing_a_trial_reports_raises_and_every_cutoff_is_finite(curves, order):
    rows = list(rows_in_some_order(curves, Random(order).choice))
    for options, mode in EACH:
        _, stopped = run(make_scheduler(options, EPOCHS, mode), rows)
        cutoffs = [cutoff for _, cutoff in stopped.values() if cutoff is not None]
        assert all(map(math.isfinite, cutoffs)), (options, mode)


@given(curves=CURVES, order=ORDERS)
def test_decisions_are_a_pure_function_of_the_records(curves, order):
    rows = list(rows_in_some_order(curves, Random(order).choice))
    for options, mode in EACH:
        live = make_scheduler(options, EPOCHS, mode)
        recorded, stopped = run(live, rows)
        again = make_scheduler(options, EPOCHS, mode)
        assert run(again, recorded) == (recorded, stopped), (options, mode)
        rebuilt = replay(make_scheduler(options, EPOCHS, mode), recorded, "m")
        assert memory(rebuilt) == memory(again) == memory(live), (options, mode)


@given(curves=CURVES, order=ORDERS)
def test_a_report_told_twice_changes_nothing(curves, order):
    rows = list(rows_in_some_order(curves, Random(order).choice))
    doubled = [r for row in rows for r in (row, row)]
    for options, mode in EACH:
        once, twice = (
            replay(make_scheduler(options, EPOCHS, mode), told, "m") for told in (rows, doubled)
        )
        assert memory(once) == memory(twice), (options, mode)


@given(curves=st.lists(st.lists(st.floats(0, 1), min_size=9, max_size=9), min_size=1, max_size=9))
def test_max_of_a_metric_and_min_of_its_negative_decide_alike(curves):
    rows = list(rows_in_some_order(curves, lambda names: names[0]))
    mirrored = [{**row, "metrics": {"m": -row["metrics"]["m"]}} for row in rows]
    for name, options in OPTIONS.items():
        _, high = run(make_scheduler(options, EPOCHS, "max"), rows)
        _, low = run(make_scheduler(options, EPOCHS, "min"), mirrored)
        stops = [{trial: at for trial, (at, _) in each.items()} for each in (high, low)]
        assert stops[0] == stops[1], name


def test_the_first_trial_alone_goes_on(options, mode):
    curve = [[0.1] * EPOCHS]
    _, stopped = run(make_scheduler(options, EPOCHS, mode), rows_in_some_order(curve, min))
    assert not stopped


def test_a_clear_winner_is_never_stopped(options, mode):
    best = 0.99 if mode == "max" else 0.01
    curves = [[best] * EPOCHS, *([[0.5 + index / 100] * EPOCHS for index in range(8)])]
    _, stopped = run(make_scheduler(options, EPOCHS, mode), rows_in_some_order(curves, max))
    assert "00000" not in stopped


@pytest.mark.parametrize("value", NOT_A_FIGURE, ids=str)
@pytest.mark.parametrize(
    "name", sorted(OPTIONS.keys() - {"hyperband", "hyperband that promotes", "patient", "none"})
)
def test_what_is_no_finite_number_never_passes_a_milestone(name, value, mode):
    scheduler = make_scheduler(OPTIONS[name], EPOCHS, mode)
    for epoch in scheduler.milestones:
        assert scheduler.report(f"at {epoch}", epoch, value).stop
        scheduler.report(f"good at {epoch}", epoch, 0.5)
        assert scheduler.report(f"again at {epoch}", epoch, value).stop


@pytest.mark.parametrize("value", NOT_A_FIGURE, ids=str)
def test_none_stops_nothing_at_all(value, mode):
    scheduler = make_scheduler(NoSchedulerOptions(), EPOCHS, mode)
    assert not scheduler.report("a", 1, value).stop


@given(curves=CURVES, order=ORDERS)
def test_a_review_does_not_depend_on_who_came_first(curves, order):
    orders = [list(rows_in_some_order(curves, by)) for by in (min, Random(order).choice)]
    distinct = {epoch: [curve[epoch - 1] for curve in curves if len(curve) >= epoch] for epoch in
                range(1, EPOCHS + 1)}  # fmt: skip
    for options, mode in EACH:
        schedulers = [replay(make_scheduler(options, EPOCHS, mode), rows, "m") for rows in orders]
        for epoch in schedulers[0].milestones:
            decisions, others = (scheduler.review(epoch) for scheduler in schedulers)
            values = distinct[epoch]
            if not isinstance(options, HyperbandOptions):  # a later bracket has fewer rungs
                assert len(decisions) == len(values), (options, mode)
            if len(set(map(str, values))) == len(values):  # equals are told apart by who came first
                assert decisions == others, (options, mode)
