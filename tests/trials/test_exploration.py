"""The space of code that asks while it runs, found without a tuner's package: branches, loops, refusals."""

from __future__ import annotations

import random

import pytest

from orchestrator.domains import Choice, Integer, Space, Uniform
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.trials.exploration import Trace, explore, first_of


def running(code, whole=True):
    """How ``code(ask)`` is run: ``ask(name, domain)`` answers with the values tried, or the first of the domain."""

    def run(values):
        domains, answers = {}, {}

        def ask(name, domain):
            domains[name] = domain
            given = values.get(name, first_of(domain))
            answers[name] = given if domain.contains(given) else first_of(domain)
            return answers[name]

        try:
            code(ask)
        except ValueError as error:
            return Trace(domains, answers, False, TrialError(str(error)))
        return Trace(domains, answers, whole)

    return run


def found(code, written=()):
    return explore(running(code), "trial", dict(written)).to_document()


OPTIMIZERS, SHARE, LAYERS = Choice(("sgd", "adam", "rmsprop")), Uniform(0, 1), Integer(1, 4)


def test_what_is_always_asked_for_has_no_condition():
    assert found(lambda ask: [ask("rate", SHARE), ask("optimizer", OPTIMIZERS)]) == {
        "rate": "uniform(0, 1)", "optimizer": "choice([sgd, adam, rmsprop])",
    }  # fmt: skip


def test_a_branch_becomes_a_condition_on_all_the_values_that_lead_to_it():
    def code(ask):
        if ask("optimizer", OPTIMIZERS) != "adam":
            ask("momentum", SHARE)

    assert found(code)["momentum"]["when"] == {"optimizer": ["sgd", "rmsprop"]}


def test_a_branch_in_a_branch_needs_only_the_nearer_value():
    def code(ask):
        if ask("optimizer", OPTIMIZERS) == "rmsprop" and ask("centered", Choice((False, True))):
            ask("momentum", SHARE)

    assert found(code) == {
        "optimizer": "choice([sgd, adam, rmsprop])",
        "centered": {"when": {"optimizer": "rmsprop"}, "domain": "choice([false, true])"},
        "momentum": {"when": {"centered": True}, "domain": "uniform(0, 1)"},
    }


def test_a_loop_over_layers_has_each_layer_beside_the_counts_that_reach_it():
    def code(ask):
        for number in range(ask("layers", LAYERS)):
            ask(f"units_{number}", Integer(8, 64))

    space = found(code)
    assert space["units_0"] == "integer(8, 64)"
    assert space["units_2"] == {"when": {"layers": [3, 4]}, "domain": "integer(8, 64)"}


def test_a_long_range_is_tried_value_by_value_once_it_matters():
    def code(ask):
        if ask("depth", Integer(1, 40)) > 37:
            ask("skip", SHARE)

    assert found(code)["skip"]["when"] == {"depth": [38, 39, 40]}


def test_what_only_two_values_together_lead_to_is_found_by_draws():
    def code(ask):
        a, b = ask("a", Choice((False, True))), ask("b", Choice((False, True)))
        if a and b:
            ask("both", SHARE)

    assert found(code)["both"]["when"] == {"a": True, "b": True}


def test_what_either_of_two_values_leads_to_is_always_drawn():
    def code(ask):
        a, b = ask("a", Choice((False, True))), ask("b", Choice((False, True)))
        if a or b:
            ask("either", SHARE)

    assert found(code)["either"] == "uniform(0, 1)"


def test_what_a_continuous_value_leads_to_is_always_drawn():
    def code(ask):
        if ask("dropout", SHARE) > 0.9:
            ask("noise", SHARE)

    assert found(code)["noise"] == "uniform(0, 1)"


def test_every_draw_of_a_found_space_has_just_what_its_code_asks_for():
    def code(ask):
        kind = ask("kind", Choice(("mlp", "cnn", "none")))
        for number in range(ask("layers", LAYERS) if kind != "none" else 0):
            if kind == "cnn" or ask(f"dense_{number}", Choice((False, True))):
                ask(f"size_{number}", Integer(8, 64))

    space, run = explore(running(code), "trial", {}), running(code)
    for number in range(200):
        drawn = space.draw(7, number)
        assert set(run(drawn).domains) <= set(drawn)


def test_a_written_range_stands_in_place_of_the_codes_and_its_branches_alone_are_looked_into():
    def code(ask):
        for number in range(ask("layers", LAYERS)):
            ask(f"units_{number}", Integer(8, 64))

    written = Space.parse({"layers": 2, "units_0": "integer(8, 16)"}).domains
    assert found(code, written) == {
        "layers": 2, "units_0": "integer(8, 16)", "units_1": "integer(8, 64)",
    }  # fmt: skip


def test_a_branch_that_raises_for_some_values_is_no_reason_to_refuse():
    def code(ask):
        if ask("a", Choice((1, 2))) == 1:
            raise ValueError("no")
        ask("b", SHARE)

    def always(ask):
        ask("a", SHARE)
        raise ValueError("no data")

    assert "b" in found(code)
    with pytest.raises(TrialError, match="no data"):
        found(always)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (lambda ask: None, "asks for at least one hyperparameter"),
        (lambda ask: ask(f"a_{random.random()}".replace(".", ""), SHARE), "then absent"),
        (lambda ask: ask("b", Integer(1, ask("a", Integer(2, 9)))), "b to be asked for from one range"),
        (lambda ask: [ask(f"u{i}", OPTIMIZERS) for i in range(ask("n", Integer(1, 400)))], "all be looked"),
    ],
)  # fmt: skip
def test_code_whose_space_cannot_be_known_is_refused(code, said):
    with pytest.raises(ExperimentFileError, match=said):
        found(code)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"rate": "uniform(0, 2)"}, r"search_space\.rate: expected a part of .* uniform\(0, 1\)"),
        ({"rat": 0.5}, r"search_space\.rat: .* Did you mean 'rate'\?"),
    ],
)
def test_a_written_range_must_be_a_part_of_the_codes(written, said):
    with pytest.raises(ExperimentFileError, match=said):
        found(lambda ask: ask("rate", SHARE), Space.parse(written).domains)


@pytest.mark.parametrize("seed", range(8))  # half of them ask for the same in the two first runs
def test_code_that_asks_at_random_is_noticed_in_one_of_the_runs_made_twice(seed):
    rng = random.Random(seed)

    def code(ask):
        ask("rate", SHARE)
        if rng.random() < 0.5:
            ask("momentum", SHARE)

    with pytest.raises(ExperimentFileError, match="whenever it is run with the same values"):
        found(code)


def test_that_a_run_went_on_without_a_question_is_known_of_the_space():
    def run(values):
        return Trace({"rate": SHARE}, {"rate": values.get("rate", 0.0)}, quiet=True)

    assert explore(run, "trial", {}).quiet
    assert not explore(running(lambda ask: ask("rate", SHARE)), "trial", {}).quiet
