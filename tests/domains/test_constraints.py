from __future__ import annotations

import numpy as np
import pytest

from orchestrator.domains import InvalidDomain, Space
from orchestrator.domains.acceptance import acceptance, check_satisfiable
from orchestrator.domains.constraint import Constraint
from orchestrator.errors import ExperimentFileError
from orchestrator.searchers import complete, misfit

DOCUMENT = {
    "learning_rate": "loguniform(1e-4, 1)",
    "units": "choice([32, 64, 128, 256])",
    "hidden_layers": "integer(1, 4)",
    "optimizer": "choice([sgd, adam])",
    "momentum": {"when": {"optimizer": "sgd"}, "domain": "one_minus_loguniform(0.9, 0.999)"},
}
PLAIN = Space.parse(DOCUMENT)
SMALL = "units * hidden_layers <= 256"
SPACE = PLAIN.constrained([SMALL])


@pytest.mark.parametrize("seed", [0, 7])
def test_each_draw_is_the_one_without_constraints_where_that_fulfils_them_and_another_one_where_not(
    seed,
):
    redrawn = 0
    for index in range(50):
        plain, drawn = PLAIN.draw(seed, index), SPACE.draw(seed, index)
        assert drawn["units"] * drawn["hidden_layers"] <= 256
        assert (drawn == plain) is (plain["units"] * plain["hidden_layers"] <= 256)
        redrawn += drawn != plain
    assert 5 < redrawn < 45


def test_a_draw_is_what_it_was_before_there_were_attempts():
    share = np.random.default_rng([7, 3, 0x9A4B1A1D]).random()
    assert np.random.default_rng([7, 3, 0x9A4B1A1D, 0]).random() == share


def test_adding_a_hyperparameter_changes_no_redrawn_value():
    more = Space.parse({**DOCUMENT, "batch_size": "choice([32, 64])"}, constraints=[SMALL])
    for index in range(20):
        drawn = more.draw(1, index)
        del drawn["batch_size"]
        assert drawn == SPACE.draw(1, index)


def test_given_values_stay_and_the_rest_is_drawn_to_suit_them():
    for index in range(20):
        drawn = SPACE.draw(0, index, {"units": 256})
        assert (drawn["units"], drawn["hidden_layers"]) == (256, 1)


def test_a_constraint_on_one_minus_beta_and_one_on_an_absent_hyperparameter():
    space = PLAIN.constrained(["learning_rate / one_minus_momentum < 0.1"])
    drawn = [space.draw(0, index) for index in range(60)]
    assert all(d["learning_rate"] / d["one_minus_momentum"] < 0.1 for d in drawn if "momentum" in d)
    assert any(d["learning_rate"] > 0.5 for d in drawn if "momentum" not in d)


def test_constraints_read_back_equal():
    assert Space.parse(SPACE.to_document(), constraints=SPACE.constraint_texts) == SPACE


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("units * layers <= 3", "Received: 'layers'. Did you mean 'hidden_layers'?"),
        ("optimizer == adam", "(a text stands in quotes: 'adam'). Received: 'adam'."),
        ("optimizer * 2 <= 3", "expected numbers for *, where one is 'sgd', in 'optimizer * 2 <= 3'"),
        ("units and learning_rate", "expected true or false for each side of and, where it is 32"),
    ],
)  # fmt: skip
def test_a_constraint_that_does_not_suit_the_space_is_refused(text, said):
    with pytest.raises(ExperimentFileError) as refusal:
        PLAIN.constrained([text])
    assert str(refusal.value).startswith("constraints: ")
    assert said in str(refusal.value)
    with pytest.raises(InvalidDomain):
        Space(PLAIN.domains, (Constraint(text),))


def test_each_constraint_at_fault_is_named():
    with pytest.raises(ExperimentFileError) as refusal:
        PLAIN.constrained(["units <", "layers < 3", SMALL])
    assert len(str(refusal.value).splitlines()) == 2


def test_the_acceptance_rate_is_the_share_of_draws_that_fulfil_the_constraints():
    assert acceptance(PLAIN.constrained(["units < 128"]), 0).share == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["units > 256"], "none of 4; none fulfils units > 256"),
        (["units > 100", "units < 100"], "none of 4"),
        (["units * hidden_layers > 1024"], "none of 16; none fulfils"),
    ],
)
def test_what_leaves_none_of_a_few_combinations_is_refused(texts, said):
    with pytest.raises(ExperimentFileError) as refusal:
        check_satisfiable(PLAIN.constrained(texts), 0)
    assert said in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("learning_rate > 1", "0 of 10,000 draws; none fulfils learning_rate > 1'."),
        ("learning_rate < 1.001e-4", "1 of 10,000 draws'."),
    ],
)
def test_what_leaves_hardly_anything_of_a_range_is_refused(text, said):
    space = Space.parse({"learning_rate": "loguniform(1e-4, 1)"}, constraints=[text])
    with pytest.raises(ExperimentFileError) as refusal:
        check_satisfiable(space, 0)
    assert said in str(refusal.value)


def test_one_of_many_combinations_is_enough_of_a_finite_space():
    space = Space.parse(
        {"a": "integer(1, 20)", "b": "integer(1, 20)"}, constraints=["a * b == 400"]
    )
    check_satisfiable(space, 0)
    assert space.draw(0, 5) == {"a": 20, "b": 20}


def test_a_proposal_that_breaks_a_constraint_is_a_misfit():
    fault = misfit({"units": 256, "hidden_layers": 4}, SPACE)
    assert fault == f"expected values that fulfil {SMALL}, got {{'units': 256, 'hidden_layers': 4}}"
    assert misfit({"units": 64, "hidden_layers": 4}, SPACE) is None
    assert misfit({"units": 256}, SPACE) is None


def test_a_misfit_is_drawn_instead():
    asked = {"units": 256, "hidden_layers": 4}
    assert complete(asked, SPACE, 0, 3) == SPACE.draw(0, 3)
    assert complete({"units": 256}, SPACE, 0, 3)["hidden_layers"] == 1


def test_a_constraint_on_what_does_not_exist_beside_the_proposal_is_not_broken():
    space = PLAIN.constrained(["momentum > 0.95"])
    assert misfit({"optimizer": "adam", "momentum": 0.9}, space) is None
    assert misfit({"optimizer": "sgd", "momentum": 0.9}, space) is not None


def test_what_is_fixed_is_known_without_being_proposed():
    space = Space.parse({"units": "integer(1, 9)", "layers": 3}, constraints=["units * layers < 9"])
    assert misfit({"units": 3}, space) is not None
    assert misfit({"units": 2}, space) is None
