"""Each rule speaks where it must and is silent where it must be."""

from __future__ import annotations

import math
import shlex
from dataclasses import replace
from itertools import pairwise

import pytest

from orchestrator.analysis import RULES, diagnose
from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.records import TrialStarted
from tests.analysis.made import SPACE, TIME, learning, made, place

DRAWN = Space.parse(SPACE)


def said(records, rule):
    return [finding for finding in diagnose(records) if finding.rule == rule]


def ordinary(h, random):
    best = random.uniform(0.5, 0.9)
    return {"val_accuracy": learning(best), "loss": [1 - v for v in learning(0.9)]}


def towards(name, optimum, noise=0.01):
    """Curves that are better the nearer a hyperparameter is to a place on its scale."""

    def curve(h, random):
        best = 0.9 - 0.5 * abs(place(DRAWN, h, name) - optimum) + noise * random.normal()
        return {"val_accuracy": learning(best)}

    return curve


def test_of_an_ordinary_run_no_rule_has_anything_to_say():
    records = made(ordinary, 12)
    assert diagnose(records) == ()


def test_the_best_at_the_upper_end_of_alpha_are_told_of_with_a_wider_range_to_type():
    [found] = said(made(towards("learning_rate", 1.1)), "edge")
    assert "sit at the high end of learning_rate (1): widen it" in found.says
    assert "search_space.learning_rate=loguniform(1e-4, 10)" in shlex.split(found.next)
    assert (found.evidence["end"], found.evidence["bound"]) == ("high", 1.0)


def test_the_best_in_the_middle_or_near_an_end_are_at_no_edge():
    assert said(made(towards("learning_rate", 0.5)), "edge") == []
    assert said(made(towards("learning_rate", 0.8)), "edge") == []


def test_an_end_is_judged_on_the_scale_of_the_range():
    # 0.1 lies at a tenth of a range from 1e-4 to 1, and at three quarters of its log scale.
    [found] = said(made(towards("learning_rate", -0.1)), "edge")
    assert (found.evidence["end"], found.evidence["hyperparameter"]) == ("low", "learning_rate")
    assert "loguniform(1e-5, 1)" in found.next


def test_a_hard_end_is_no_edge():
    space = {**SPACE, "learning_rate": "loguniform(1e-4, 1, hard=max)"}
    assert said(made(towards("learning_rate", 1.1), space=space), "edge") == []


@pytest.mark.parametrize(
    ("name", "domain", "optimum"),
    [
        ("dropout", "uniform(0, 0.5)", -0.1),
        ("hidden_layers", "integer(1, 5)", 0.0),
        ("shuffle", "choice([0, 1, 2, 3])", 0.0),
        ("activation", "choice([relu, tanh, gelu, elu])", 0.0),
    ],
)
def test_a_natural_end_and_a_choice_without_an_order_are_no_edge(name, domain, optimum):
    space = {"learning_rate": "loguniform(1e-4, 1)", name: domain}
    drawn = Space.parse(space)

    def curve(h, random):
        return {"val_accuracy": learning(0.9 - 0.5 * abs(place(drawn, h, name) - optimum))}

    assert said(made(curve, 64, space=space), "edge") == []


def test_the_largest_of_a_choice_of_numbers_is_an_edge_with_a_larger_one_to_type():
    def curve(h, random):
        return {"val_accuracy": learning(0.5 + h["batch_size"] / 1000 + 0.01 * random.normal())}

    [found] = said(made(curve, 64), "edge")
    assert "choice([32, 64, 128, 256, 512])" in found.next


def test_curves_that_rise_at_the_last_epoch_ask_for_twice_as_many():
    def curve(h, random):
        return {"val_accuracy": [0.1 + 0.08 * at * random.uniform(0.9, 1) for at in range(9)]}

    [found] = said(made(curve), "rising")
    assert "curves still rise at epoch 9" in found.says
    assert found.next == "orchestrator extend runs/made --epochs 18"


def test_the_curve_that_is_told_of_is_one_that_rises_though_the_best_one_is_flat():
    flat = [0.1, 0.9, 0.95, 0.96, 0.961, 0.962, 0.963, 0.964, 0.965]
    drawn = []

    def curve(h, random):
        drawn.append(h)
        return {"val_accuracy": flat if len(drawn) == 1 else [0.1 + 0.08 * at for at in range(9)]}

    [found] = said(made(curve, 8), "rising")
    assert "took val_accuracy from 0.5 to 0.74, as do 2 of the best 3" in found.says


def test_a_falling_loss_rises_too_where_less_is_better():
    def curve(h, random):
        return {"val_loss": [2.0 - 0.15 * at for at in range(9)]}

    [found] = said(made(curve, metric="val_loss", mode="min"), "rising")
    assert "from 1.25 to 0.8" in found.says


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
def test_curves_that_have_settled_do_not_rise_however_they_jitter(noise):
    def curve(h, random):
        best = random.uniform(0.6, 0.9)
        return {"val_accuracy": [v + noise * random.normal() for v in learning(best)]}

    runs = (made(curve, seed=seed) for seed in range(5))
    assert [said(records, "rising") for records in runs] == [[]] * 5


def test_a_cosine_is_trained_longer_by_another_run():
    def curve(h, random):
        return {"val_accuracy": [0.1 + 0.08 * at for at in range(9)]}

    [found] = said(made(curve, space={**SPACE, "decay_schedule": "cosine"}), "rising")
    assert found.next.startswith("orchestrator run runs/made/experiment.yaml --set name=")


def diverging_above(limit, share=1.0):
    def curve(h, random):
        diverges = h["learning_rate"] > limit and random.random() < share
        values = [0.3, math.nan] if diverges else learning(random.uniform(0.5, 0.9))
        return {"val_accuracy": values}

    return curve


def test_a_region_of_divergence_is_named_with_its_limit_and_left_out():
    [found] = said(made(diverging_above(0.1)), "divergence")
    assert found.evidence["hyperparameter"] == "learning_rate"
    assert found.evidence["limit"] == pytest.approx(0.1, rel=0.5)
    assert found.says.startswith(f"all {found.evidence['count']} trials with learning_rate above")
    assert "none of the other" in found.says
    assert "search_space.learning_rate=loguniform(1e-4, " in found.next


def test_an_end_beyond_which_trials_diverge_is_not_to_be_widened():
    def curve(h, random):
        at = place(DRAWN, h, "learning_rate")
        return {"val_accuracy": [0.3, math.nan] if at > 0.95 else learning(0.4 + at / 2)}

    records = made(curve, 120)
    [diverged] = said(records, "divergence")
    assert (diverged.evidence["hyperparameter"], diverged.evidence["side"]) == (
        "learning_rate",
        "upper",
    )
    ends = [each.evidence["hyperparameter"] for each in said(records, "edge")]
    assert "learning_rate" not in ends


def test_divergence_anywhere_and_no_divergence_have_no_region():
    def anywhere(h, random):
        return {"val_accuracy": [0.3, math.nan] if random.random() < 0.2 else learning(0.8)}

    runs = (made(anywhere, seed=seed) for seed in range(10))
    assert sum(bool(said(records, "divergence")) for records in runs) <= 1
    assert said(made(ordinary), "divergence") == []


def test_where_the_step_of_sgd_tells_more_than_alpha_the_step_is_constrained():
    def curve(h, random):
        step = h["learning_rate"] / h["one_minus_momentum"]
        return {"val_accuracy": [0.3, math.nan] if step > 1 else learning(0.8)}

    [found] = said(made(curve, 120), "divergence")
    assert found.evidence["hyperparameter"] == "learning_rate / (1-momentum)"
    assert "learning_rate / one_minus_momentum <= " in found.next


def test_an_alpha_above_which_trials_learn_nothing_is_named():
    manifest = {"task": {"baseline": {"accuracy": 0.1}}}

    def curve(h, random):
        return {"val_accuracy": [0.1] * 9 if h["learning_rate"] > 0.1 else learning(0.8)}

    [found] = said(made(curve, manifest=manifest), "high_rate")
    assert "learned nothing" in found.says
    assert "learning_rate" in found.next
    assert said(made(ordinary, manifest=manifest), "high_rate") == []


def test_trials_that_learn_nothing_because_alpha_is_low_are_no_matter_of_a_high_one():
    manifest = {"task": {"baseline": {"accuracy": 0.1}}}

    def curve(h, random):
        return {"val_accuracy": [0.1] * 9 if h["learning_rate"] < 0.001 else learning(0.8)}

    assert said(made(curve, manifest=manifest), "high_rate") == []


def losses(validation):
    def curve(h, random):
        best = random.uniform(0.6, 0.9)
        training = [1.0 / (at + 1) for at in range(12)]
        return {"val_accuracy": learning(best, 12), "loss": training, "val_loss": validation}

    return curve


def test_a_validation_loss_that_rises_while_training_falls_is_overfitting():
    rising = [1.0, 0.8, 0.7, 0.65, 0.64, 0.66, 0.7, 0.76, 0.8, 0.86, 0.92, 1.0]
    [found] = said(made(losses(rising), epochs=12), "overfitting")
    assert "while its training loss fell" in found.says
    assert "search_space.weight_decay=loguniform(1e-5, 0.1)" in found.next
    theirs = {"task": {"compiled_by_user": True}}
    [found] = said(made(losses(rising), epochs=12, manifest=theirs), "overfitting")
    assert "weight_decay" not in found.next


def test_a_gap_that_stays_and_a_single_bump_are_no_overfitting():
    level = [1.0, 0.8, 0.7, 0.65, 0.64, 0.64, 0.65, 0.64, 0.65, 0.64, 0.65, 0.64]
    bump = [*level[:9], 0.9, 0.65, 0.64]
    assert said(made(losses(level), epochs=12), "overfitting") == []
    assert said(made(losses(bump), epochs=12), "overfitting") == []


def leaders(values):
    left = iter(values)
    return lambda h, random: {"val_accuracy": learning(next(left))}


def test_leaders_that_so_few_rows_cannot_tell_apart_are_named_with_the_standard_error():
    close = [0.90, 0.899, 0.898, 0.895, *(0.5 + at / 100 for at in range(8))]
    manifest = {"data": {"rows": {"train": 300, "validation": 100}}}
    [found] = said(made(leaders(close), 12, manifest=manifest), "noise")
    assert found.evidence["trials"] == 4
    assert "100 validation rows" in found.says


def test_the_same_leaders_on_very_many_rows_and_leaders_far_apart_are_told_apart():
    close = [0.90, 0.89, 0.88, 0.87, *(0.5 + at / 100 for at in range(8))]
    many = {"data": {"rows": {"train": 300, "validation": 1_000_000}}}
    assert said(made(leaders(close), 12, manifest=many), "noise") == []
    far = [0.95, 0.80, 0.7, *(0.5 + at / 100 for at in range(9))]
    assert said(made(leaders(far), 12), "noise") == []


def of_batches(small_is_worse):
    def curve(h, random):
        worse = 0.2 if small_is_worse and h["batch_size"] <= 8 else 0.0
        return {"val_accuracy": learning(random.uniform(0.7, 0.8) - worse)}

    return curve


SMALL = {**SPACE, "batch_size": "choice([4, 8, 64, 128])"}


def test_small_batches_that_fall_behind_are_told_of_where_the_model_has_batch_normalization():
    [found] = said(made(of_batches(True), space=SMALL), "batch_norm")
    assert "mini-batches of 4 and 8 rows" in found.says
    assert '["batch_size > 8"]' in found.next
    assert said(made(of_batches(True), space=SMALL, model="./mine.py"), "batch_norm") == []


def test_small_batches_that_do_as_well_are_no_fault():
    assert said(made(of_batches(False), space=SMALL), "batch_norm") == []


def test_a_last_mini_batch_of_one_row_is_told_of():
    manifest = {"data": {"rows": {"train": 1025, "validation": 300}}}
    [found] = said(made(ordinary, manifest=manifest), "batch_norm")
    assert "batch_size 32, 64, 128 and 256" in found.says
    manifest = {"data": {"rows": {"train": 1026, "validation": 300}}}
    assert said(made(ordinary, manifest=manifest), "batch_norm") == []


ASHA = {"num_samples": 40, "scheduler": {"asha": {"reduction_factor": 3, "promote": False}}}


def late_bloomers(late):
    """Four trials train to the end; one of them began behind all that were stopped, and is the best where ``late``."""
    count = iter(range(40))

    def curve(h, random):
        index = next(count)
        if index == 0:
            return {
                "val_accuracy": [0.05, *(0.6 + 0.03 * at for at in range(8))]
                if late
                else [0.05] * 9
            }
        if index < 4:
            return {"val_accuracy": [0.5 + index / 100 + 0.01 * at for at in range(9)]}
        return {"val_accuracy": [0.1 + index / 1000]}

    return curve


def with_stops(records):
    by = {"scheduler": "asha", "epoch": 1, "value": 0.1, "cutoff": 0.5}
    lines = tuple(
        replace(line, stopped_by=by) if getattr(line, "status", "") == "stopped" else line
        for line in records.trial_lines
    )
    return replace(records, trial_lines=lines)


def test_a_best_trial_that_a_whole_rung_would_have_stopped_asks_for_a_longer_grace_period():
    [found] = said(with_stops(made(late_bloomers(True), caviar=ASHA)), "grace")
    assert "trial 00000" in found.says
    assert "place 40 of 40 at epoch 1" in found.says
    assert found.evidence["grace_period"] == 3
    assert '"grace_period": 3' in found.next


def test_where_those_ahead_at_the_rung_stay_ahead_the_grace_period_is_long_enough():
    assert said(with_stops(made(late_bloomers(False), caviar=ASHA)), "grace") == []


def test_where_no_trial_was_stopped_there_is_nothing_to_say_of_the_grace_period():
    assert said(made(ordinary), "grace") == []


def test_a_winner_no_better_than_guessing_is_told_of():
    manifest = {"task": {"baseline": {"accuracy": 0.95}}}
    [found] = said(made(ordinary, manifest=manifest), "guessing")
    assert "no better than guessing, which gives 0.95" in found.says
    assert (
        said(made(ordinary, manifest={"task": {"baseline": {"accuracy": 0.1}}}), "guessing") == []
    )


def test_a_run_without_trials_and_one_without_values_have_nothing_that_stands_out():
    records = made(ordinary, 4)
    assert diagnose(replace(records, trial_lines=(), epochs=())) == ()
    assert diagnose(replace(records, epochs=())) == ()
    assert len(RULES) >= 9


@pytest.mark.parametrize("rule", ["edge", "divergence", "rising"])
def test_what_is_to_be_typed_next_is_read_back_by_the_experiment_file(rule):
    curves = {
        "edge": towards("learning_rate", 1.1),
        "divergence": diverging_above(0.1),
        "rising": lambda h, random: {"val_accuracy": [0.1 * at for at in range(9)]},
    }
    records = made(curves[rule])
    words = shlex.split(said(records, rule)[0].next)
    sets = [after for word, after in pairwise(words) if word == "--set"]
    if "--epochs" in words:
        sets.append(f"epochs={words[words.index('--epochs') + 1]}")
    changed = parse_experiment(records.experiment, sets)
    assert changed != parse_experiment(records.experiment)
    Space.parse(changed.search_space, "search_space", changed.constraints)


def raced(scores, verdict):
    """A run whose finalists were trained again: {trial: its replicates' values}."""
    records = made(ordinary, 12)
    starts, rows = [], []
    for trial, values in scores.items():
        for number, value in enumerate(values, 1):
            name = f"{trial}-r{number}"
            starts.append(TrialStarted(name, 0, number, {}, TIME, repeats=trial, replicate=number))
            metrics = {"val_accuracy": value}
            rows.append({"trial": name, "epoch": 1, "metrics": metrics, "seconds": 0.1})
    began = {"event": "race_began", "time": TIME, "finalists": list(scores), "seeds": 3}
    ended = {"event": "race_ended", "time": TIME, "verdict": verdict, "order": list(scores)}
    lines, epochs = (*records.trial_lines, *starts), (*records.epochs, *rows)
    return replace(records, trial_lines=lines, epochs=epochs, events=(began, ended))


def test_seeds_that_differ_by_more_than_the_finalists_are_told_of_with_more_seeds_to_type():
    level = {"00001": [0.90, 0.94, 0.86], "00002": [0.89, 0.95, 0.87]}
    [found] = said(raced(level, "tied"), "seeds")
    assert "between 0.86 and 0.94 with 3 seeds" in found.says
    assert found.next == "orchestrator verify runs/made --seeds 6"


def test_finalists_that_differ_by_more_than_their_seeds_have_nothing_to_tell_of_them():
    apart = {"00001": [0.90, 0.91, 0.90], "00002": [0.80, 0.81, 0.80]}
    assert said(raced(apart, "best"), "seeds") == []
    assert said(raced(apart, "undecided"), "seeds") == []
