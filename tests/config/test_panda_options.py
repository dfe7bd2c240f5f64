# ruff: noqa: E501 - a table of mistakes and sentences reads best with one line each
from __future__ import annotations

import pytest

from orchestrator.config import (
    Duration,
    ScheduledChange,
    SitterOptions,
    to_yaml,
)
from orchestrator.errors import ExperimentFileError
from orchestrator.sitter import BranchAndCompareOptions, DivergenceOptions

BASE = "model: mlp\ndata: digits\nstrategy: panda\n"
START = BASE + "panda: {start: {units: 3}}"


def refusal(load, text):
    with pytest.raises(ExperimentFileError) as caught:
        load(text)
    return str(caught.value)


def test_the_smallest_panda_is_completed(load):
    panda = load(START).panda
    assert (panda.start, panda.from_run, panda.days) == ({"units": 3}, None, 14)
    assert (panda.day, panda.sitter) == (Duration(1, "epoch"), SitterOptions())
    assert (panda.keep_days, panda.schedule, panda.learning_rate_test) == (None, (), False)


def test_a_panda_may_start_from_a_run_instead(load):
    panda = load(BASE + "panda: {from: runs/digits/00003}").panda
    assert (panda.start, panda.from_run) == ({}, "runs/digits/00003")


def test_a_panda_may_start_with_nothing_but_defaults(load):
    assert load(BASE + "panda: {start: {}}").panda.start == {}


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("act", SitterOptions(mode="act")),
        ("off", SitterOptions(mode="off")),
        ("{patience: 4}", SitterOptions(patience=4)),
        ("{branch_and_compare: on}", SitterOptions(branch_and_compare=BranchAndCompareOptions())),
        ("{branch_and_compare: off}", SitterOptions()),
        (
            "{branch_and_compare: {factors: [0.1, 1]}, mode: act}",
            SitterOptions(mode="act", branch_and_compare=BranchAndCompareOptions(factors=(0.1, 1))),
        ),
        (
            "{divergence: {sigmas: 4, most_rollbacks: 0}}",
            SitterOptions(divergence=DivergenceOptions(sigmas=4.0, most_rollbacks=0)),
        ),
    ],
)
def test_every_form_of_a_sitter_becomes_its_typed_options(load, written, options):
    assert load(START, f"panda.sitter={written}").panda.sitter == options


def test_a_threshold_can_be_overridden_beside_a_short_form(load):
    sitter = load(
        BASE + "panda: {start: {}, sitter: act}",
        "panda.sitter.patience=5",
        "panda.sitter.branch_and_compare.epochs=2",
    ).panda.sitter
    assert (sitter.mode, sitter.patience, sitter.branch_and_compare.epochs) == ("act", 5, 2)


def test_a_schedule_is_a_list_of_changes(load):
    panda = load(START, "panda.schedule=[{epoch: 6, set: {learning_rate: 0.01}}]").panda
    assert panda.schedule == (ScheduledChange(epoch=6, set={"learning_rate": 0.01}),)


@pytest.mark.parametrize(
    "panda",
    [
        "{start: {}}",
        "{start: {units: 3}, day: 20 minutes, sitter: off, keep_days: 3}",
        "{from: digits/00003, sitter: {mode: act, branch_and_compare: {factors: [1, 2]}}}",
        "{from: digits, schedule: [{epoch: 0, set: {a: 1}}, {epoch: 3, set: {b: x, c: null}}]}",
    ],
)
def test_a_panda_reads_back_equal_from_its_complete_file(load, panda):
    experiment = load(BASE + f"panda: {panda}")
    assert load(to_yaml(experiment)) == experiment
    assert "from_run" not in to_yaml(experiment)


WRONG = [
    ("{}", "digits.yaml, line 4, panda.start: expected the hyperparameters of day 1, or a run as from"),
    ("{start: {a: 1}, from: x}", "line 4, panda.from: expected either start or from, not both"),
    ("{from_run: x}", "line 4, panda.from_run: unknown key. Received: 'from_run'. Did you mean 'from'?"),
    ("{start: {}, day: 3}", "panda.day: expected a number and epochs, minutes or steps, such as '3 epochs'"),
    ("{start: {}, day: 3 weeks}", "panda.day: expected a number and epochs, minutes or steps"),
    ("{start: {}, days: 0}", "panda.days: expected a number of at least 1"),
    ("{start: {}, keep_days: 0}", "panda.keep_days: expected a number of at least 1"),
    ("{start: {}, sitter: acts}", "unknown mode of the sitter. Received: 'acts'. Did you mean 'act'?"),
    ("{start: {}, sitter: 3}", "expected off, advise, act, or options such as {mode: act, patience: 3}"),
    ("{start: {}, sitter: {mood: act}}", "panda.sitter.mood: unknown key. Received: 'mood'. Did you mean 'mode'?"),
    ("{start: {}, sitter: {patience: 0}}", "panda.sitter.patience: expected a number of at least 1"),
    ("{start: {}, sitter: {divergence: {sigma: 3}}}", "unknown key. Received: 'sigma'. Did you mean 'sigmas'?"),
    ("{start: {}, sitter: {divergence: {loss_factor: 1}}}", "expected a number above 1.0. Received: 1."),
    ("{start: {}, sitter: {plateau: {learning_rate_factor: 1}}}", "expected a number below 1.0. Received: 1."),
    ("{start: {}, sitter: {plateau: {most_reductions: -1}}}", "expected a number of at least 0"),
    ("{start: {}, sitter: {branch_and_compare: maybe}}", "expected off, on, or options such as"),
    ("{start: {}, sitter: {branch_and_compare: {factors: [1]}}}", "branch_and_compare.factors: expected at least 2 of them"),
    ("{start: {}, sitter: {branch_and_compare: {factors: [1, 2, 0]}}}", "factors.2: expected a number above 0"),
    ("{start: {}, sitter: {branch_and_compare: {share: 1}}}", "branch_and_compare.share: unknown key"),
    ("{start: {}, schedule: [{epoch: 1}]}", "panda.schedule.0.set: expected the hyperparameters that change"),
    ("{start: {}, schedule: [{epoch: -1, set: {a: 1}}]}", "schedule.0.epoch: expected a number of at least 0"),
    ("{start: {}, schedule: [{epoch: 1, epochs: 1, set: {a: 1}}]}", "schedule.0.epochs: unknown key"),
    ("{start: {}, schedule: [{epoch: 1, set: {}}]}", "schedule.0.set: expected at least 1 of them"),
    ("{start: {}, schedule: {epoch: 1}}", "panda.schedule: expected a list"),
]  # fmt: skip


@pytest.mark.parametrize(("panda", "sentence"), WRONG, ids=lambda value: str(value)[:60])
def test_a_mistake_is_one_sentence_with_its_place(load, panda, sentence):
    message = refusal(load, BASE + f"panda: {panda}")
    assert sentence in message
    assert "\n" not in message


def test_a_panda_without_options_is_refused(load):
    assert "panda: expected the options of strategy panda: {start: {…}} or {from: <run>}" in (
        refusal(load, BASE)
    )


@pytest.mark.parametrize(
    "strategy", ["strategy: panda\npanda: {start: {}, lanes: 2}", "caviar: {lanes: auto}"]
)
def test_lanes_are_of_keras_models_in_both_strategies(load, strategy):
    message = refusal(
        load, f"trial: ./mine.py:train\nmetric: loss\nsearch_space: {{a: 1}}\n{strategy}"
    )
    assert "lanes: expected 1, since lanes are of Keras models" in message


def test_a_panda_has_as_many_lanes_as_its_file_says(load):
    assert load(START).panda.lanes == 1
    assert load(START, "panda.lanes=auto").panda.lanes == "auto"
    assert load(START, "panda.lanes=4").panda.lanes == 4
