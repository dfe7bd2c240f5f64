"""Importance on made-up functions whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace
from importlib import import_module

import pytest

from orchestrator.analysis import importance
from orchestrator.analysis.importance import usual_place
from orchestrator.domains import Space
from orchestrator.errors import RecordError
from tests.analysis.made import SPACE, made, place

DRAWN = Space.parse(SPACE)
SMALL = {
    "learning_rate": "loguniform(1e-4, 1)",
    "units": "choice([32, 64, 128, 256])",
    "x": "uniform(0, 1)",
}


def additive(weights, drawn=DRAWN, noise=0.02, epochs=1):
    """The metric as a sum over hyperparameters, each weighted; diverged ones and stopped ones as the caller has it."""

    def curve(h, random):
        value = sum(weight * place(drawn, h, name) for name, weight in weights.items())
        return {"val_accuracy": [0.1 + value + noise * random.normal()] * epochs}

    return curve


def found(curve, trials=60, space=SMALL, **more):
    return importance(made(curve, trials, space=space, **{"epochs": 1, **more}))


def by_name(importance):
    return {each.hyperparameter: each for each in importance.weights}


@pytest.fixture(scope="module", autouse=True)
def _fewer_resamples():
    """Forty of them take seconds; six say as much of what these tests ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("orchestrator.analysis.importance"), "RESAMPLES", 6)
        yield


@pytest.fixture(scope="module")
def of_units():
    return found(additive({"units": 0.6, "learning_rate": 0.1}, Space.parse(SMALL)))


def test_the_only_one_that_counts_has_nearly_all_of_the_variance_and_the_others_none():
    one = by_name(found(additive({"learning_rate": 0.8}, Space.parse(SMALL))))
    assert one["learning_rate"].variance.value > 0.8
    assert one["learning_rate"].top.value > 0.7
    assert one["learning_rate"].matters
    assert max(one["units"].variance.high, one["x"].variance.high) < 0.2


def test_the_order_is_that_of_the_weights(of_units):
    assert [each.hyperparameter for each in of_units.weights][:2] == ["units", "learning_rate"]


def test_an_interval_holds_its_value_and_what_is_unimportant_lies_below_what_is_important(of_units):
    for each in of_units.weights:
        assert 0 <= each.variance.low <= each.variance.value <= each.variance.high <= 1
        assert 0 <= each.top.low <= each.top.value <= each.top.high <= 1
    weights = by_name(of_units)
    assert weights["x"].variance.high < weights["units"].variance.low
    assert sum(each.top.value for each in of_units.weights) == pytest.approx(1)


def test_where_the_data_disagree_with_the_usual_order_they_say_so(of_units):
    assert ("units", "learning_rate") in of_units.against


def test_where_chance_could_have_it_so_nothing_is_said_against_the_usual_order():
    assert found(additive({}, Space.parse(SMALL)), trials=30).against == ()


def test_shuffled_trials_have_nothing_that_matters_more_than_by_chance():
    runs = [found(additive({}, Space.parse(SMALL)), trials=30, seed=seed) for seed in range(3)]
    assert sum(each.matters for run in runs for each in run.weights) <= 2


def test_the_same_records_give_the_same_figures(of_units):
    again = found(additive({"units": 0.6, "learning_rate": 0.1}, Space.parse(SMALL)))
    assert again == of_units


def test_a_range_is_compared_on_its_own_scale():
    # Only the decades matter: on a linear scale nine of ten values of 1e-4 to 1 would lie above 0.1.
    def curve(h, random):
        return {"val_accuracy": [1 - abs(math.log10(h["learning_rate"]) + 3)]}

    assert by_name(found(curve))["learning_rate"].variance.value > 0.8


def test_too_few_trials_are_refused_with_how_many_there_are_and_what_adds_more():
    with pytest.raises(RecordError) as refused:
        found(additive({}, Space.parse(SMALL)), trials=19)
    assert "expected at least 20 trials" in str(refused.value)
    assert "Received: '19 trials'" in str(refused.value)
    assert "orchestrator extend runs/made --num-samples +1" in str(refused.value)


def test_what_never_varied_is_named_and_has_no_weight():
    space = {**SMALL, "optimizer": "sgd", "depth": "choice([2])"}
    result = found(additive({"x": 0.5}, Space.parse(SMALL)), trials=24, space=space)
    assert result.fixed == ("optimizer", "depth")
    assert set(by_name(result)) == set(SMALL)


def test_diverged_trials_count_as_the_worst():
    def curve(h, random):
        return {
            "val_accuracy": [
                math.nan if h["learning_rate"] > 0.03 else 0.5 + 0.01 * random.normal()
            ]
        }

    assert by_name(found(curve))["learning_rate"].variance.value > 0.4


def test_trials_are_compared_at_one_epoch_and_those_stopped_before_stand_behind():
    drawn = Space.parse(SMALL)

    def curve(h, random):
        # Stopped trials have high values at epoch 1, and what they came to later nobody knows.
        good = place(drawn, h, "learning_rate") > 0.5
        return {"val_accuracy": [0.3, 0.5 + 0.1 * place(drawn, h, "x")] if good else [0.9]}

    result = found(curve, epochs=2)
    assert result.epoch == 2
    assert result.weights[0].hyperparameter == "learning_rate"


CONDITIONAL = {
    "optimizer": "choice([sgd, adam])",
    "momentum": {"when": {"optimizer": "sgd"}, "domain": "one_minus_loguniform(0.9, 0.999)"},
    "x": "uniform(0, 1)",
}


def test_a_conditional_one_is_judged_among_the_trials_that_have_it():
    drawn = Space.parse(CONDITIONAL)

    def curve(h, random):
        value = place(drawn, h, "momentum") if "momentum" in h else 0.5
        return {"val_accuracy": [0.2 + 0.6 * value + 0.02 * random.normal()]}

    weights = by_name(found(curve, trials=80, space=CONDITIONAL))
    assert weights["momentum"].trials < 80
    assert weights["momentum"].variance.value > 0.7
    assert weights["x"].variance.value < 0.1


def test_one_that_hardly_any_trial_has_is_named_as_such():
    space = {"optimizer": "choice([sgd, adam, rmsprop, a, b, c, d, e])", "x": "uniform(0, 1)"}
    space["momentum"] = {"when": {"optimizer": "sgd"}, "domain": "uniform(0, 1)"}
    result = found(additive({"x": 0.5}, Space.parse(space)), trials=24, space=space)
    assert result.rare == ("momentum",)


def test_trials_that_are_all_alike_have_no_weights_and_do_not_fail():
    result = found(lambda h, random: {"val_accuracy": [0.5]}, trials=24)
    assert all(each.variance is None and each.top.value == 0 for each in result.weights)


def test_values_that_the_space_has_no_more_are_taken_in():
    records = made(additive({"x": 0.5}, Space.parse(SMALL)), 30, space=SMALL, epochs=1)
    narrower = {**SMALL, "x": "uniform(0.4, 0.6)", "units": "choice([32, 64])"}
    changed = replace(records, experiment={**records.experiment, "search_space": narrower})
    assert importance(changed).weights[0].hyperparameter == "x"


def test_a_panda_and_a_run_whose_space_is_but_a_name_are_refused():
    records = made(additive({}, Space.parse(SMALL)), 24, space=SMALL, epochs=1)
    for changes in ({"strategy": "panda"}, {"search_space": "mlp"}):
        changed = replace(records, experiment={**records.experiment, **changes})
        with pytest.raises(RecordError):
            importance(changed)


def test_the_usual_order_knows_other_names_of_the_same():
    assert [usual_place(name) for name in ("lr", "units", "decay_schedule", "dropout")] == [
        1,
        2,
        3,
        4,
    ]
