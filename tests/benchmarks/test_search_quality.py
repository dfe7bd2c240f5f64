"""The comparison of searches: the same tables each time, other tuners asked as they are, and bars computed by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from orchestrator.search.steps import Start
from orchestrator.simulation import Costs, Rows, Simulator, Summary

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
TABLES = sorted((BENCHMARKS / "tables").glob("*.parquet"))
SHAPES = ("noisy", "late-bloomers", "diverging")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_made_up_table_is_the_same_each_time_and_whole(shape):
    import search_tables

    first, again = (search_tables.made_up(shape, 20) for _ in range(2))
    first.check_epochs(search_tables.EPOCHS)
    assert len(first) == 20
    for one, other in zip(first.curves, again.curves, strict=True):
        assert one.hyperparameters == other.hyperparameters
        np.testing.assert_array_equal(one.metrics["val_accuracy"], other.metrics["val_accuracy"])


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_a_shipped_table_is_whole_small_and_of_the_mlp_space(file):
    import search_tables

    table = search_tables.table(file.stem)
    table.check_epochs(search_tables.EPOCHS)
    assert 200 <= len(table) <= 300
    assert file.stat().st_size < 1_500_000
    assert {"config", "epoch", "seconds"} <= set(pyarrow.parquet.read_schema(file).names)


def test_the_tables_together_are_under_3_mb():
    assert sum(path.stat().st_size for path in TABLES) < 3_000_000


def test_rays_asha_is_rays_own():
    import search_peers

    asked = search_peers.RaysAsha().make(27, "max")
    # Its first rung keeps those not below the 75th percentile of those before; it has rungs at 1, 4 and 16.
    values = [0.5, 0.6, 0.4, 0.61, 0.55]
    assert [asked.report(str(n), 1, value).stop for n, value in enumerate(values)] == [
        False, False, True, False, True,
    ]  # fmt: skip
    assert not asked.report("0", 2, 0.0).stop
    assert not asked.report("9", 1, math.nan).stop  # as Ray has it


def test_optuna_is_told_the_row_that_its_proposal_became():
    import search_peers
    import search_quality
    import search_tables

    table = search_tables.made_up("noisy", 30)
    plan = replace(search_quality.plan_of({}, 30), num_trials=30)
    search = search_peers.OptunaSearch(plan, Rows(table, search_tables.space()))
    step = search.next()
    assert isinstance(step, Start)
    told = search._study.trials[0].params
    assert told["learning_rate"] == step.spec.hyperparameters["learning_rate"]
    assert told["momentum"] == pytest.approx(step.spec.hyperparameters["one_minus_momentum"])
    assert [
        dict(step.spec.hyperparameters) == dict(each.hyperparameters) for each in table.curves
    ].count(True) == 1


def test_optunas_trials_all_end():
    import search_peers
    import search_quality
    import search_tables

    table = search_tables.made_up("diverging", 30)
    plan = replace(search_quality.plan_of({}, 30), num_trials=15)
    rows = Rows(table, search_tables.space())
    done = Simulator(plan, rows, Costs(4), search_peers.OptunaSearch(plan, rows)).run()
    assert sum(done.endings.values()) == 15 and done.endings["finished"] > 0


def found(contender, seconds, setting):
    """Return a result whose runs all come to the best value after so many seconds."""
    import search_quality
    import search_tables

    table = search_tables.made_up("noisy", 20)
    plan = search_quality.plan_of({"scheduler": "none"}, 1)
    run = Simulator(plan, Rows(table, search_tables.space()), Costs()).run()
    best = table.bests("val_accuracy", "max", search_tables.EPOCHS)[0]
    runs = (replace(run, at=np.array([seconds]), best=np.array([best])),)
    return search_quality.Found(contender, setting, Summary(table, Costs(), runs, 27), 27.0, 0.0)


def test_a_bar_is_met_where_the_ratio_of_medians_is_small_enough():
    import search_quality

    setting = search_quality.Setting("noisy", 1, 0.0)
    results = [
        found("default", 4.0, setting),
        found("ray", 10.0, setting),
        found("optuna", 4.5, setting),
    ]
    said = list(search_quality.bars(results))
    assert "default / ray, at most 0.5: met in 1 of 1" in said[0] and "0.4" in said[1]
    assert "default / optuna, at most 0.8: met in 0 of 1" in said[2] and "MISS" in said[3]


def test_the_first_points_of_the_mlp_space_are_those_chosen_from_the_shipped_tables():
    import first_points

    from orchestrator.catalog import bundled_points

    assert bundled_points("mlp")[0] == first_points.chosen([path.stem for path in TABLES])


def test_points_chosen_on_one_table_are_good_on_the_other():
    import first_points

    for one, other in (("digits", "mnist5k"), ("mnist5k", "digits")):
        [first, *_] = first_points.chosen([one])
        configurations, best = first_points.accuracies(other)
        values = [first_points.rounded(each) for each in configurations]
        better = (best[-1] > best[-1][values.index(first)]).mean()
        assert better < 0.1
