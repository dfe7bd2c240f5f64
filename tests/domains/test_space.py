from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.domains import InvalidDomain, Space, Uniform
from orchestrator.domains.values import Condition
from orchestrator.errors import ExperimentFileError

DOCUMENT = {
    "learning_rate": "loguniform(1e-3, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "batch_size": "choice([32, 64, 128])",
    "beta_1": {"when": {"optimizer": ["adam", "adamw"]}, "domain": "uniform(0.8, 0.99)"},
    "beta_2": {"when": {"beta_1_tuned": True}, "value": 0.99},
    "beta_1_tuned": {"when": {"optimizer": "adam"}, "domain": "choice([true, false])"},
    "optimizer": "choice([sgd, adam, adamw])",
    "units": 64,
}
SPACE = Space.parse(DOCUMENT)
SEEDS, INDICES = st.integers(0, 2**32 - 1), st.integers(0, 10**6)


@given(seed=SEEDS, index=INDICES)
def test_a_draw_is_contained_in_its_domains(seed, index):
    for name, value in SPACE.draw(seed, index).items():
        assert name == "one_minus_momentum" or SPACE.domains[name].contains(value)


@given(seed=SEEDS, index=INDICES)
def test_a_draw_depends_on_seed_and_index_alone(seed, index):
    first = SPACE.draw(seed, index)
    SPACE.draw(seed, index + 1)
    assert Space.parse(DOCUMENT).draw(seed, index) == first


@given(seed=SEEDS, index=INDICES)
def test_adding_a_hyperparameter_changes_no_other_draw(seed, index):
    more = Space.parse({**DOCUMENT, "dropout": "uniform(0, 0.5)"}).draw(seed, index)
    del more["dropout"]
    assert more == SPACE.draw(seed, index)


@given(index=INDICES)
def test_a_conditional_hyperparameter_is_there_exactly_when_its_condition_holds(index):
    drawn = SPACE.draw(0, index)
    assert ("beta_1" in drawn) == (drawn["optimizer"] in ("adam", "adamw"))
    assert ("beta_1_tuned" in drawn) == (drawn["optimizer"] == "adam")
    assert ("beta_2" in drawn) == (drawn.get("beta_1_tuned") is True)


def test_draws_differ_by_index_by_seed_and_by_name():
    twice = Space.parse({"a": "uniform(0, 1)", "b": "uniform(0, 1)"})
    values = [twice.draw(seed, index)[name] for seed in (0, 1) for index in (0, 1) for name in "ab"]
    assert len(set(values)) == 8


def test_the_first_draw_of_seed_0_stays_what_it_is():
    assert SPACE.draw(0, 0)["learning_rate"] == pytest.approx(0.053551309970738495)


def test_momentum_brings_one_minus_momentum():
    drawn = SPACE.draw(0, 0)
    assert drawn["one_minus_momentum"] == pytest.approx(1 - drawn["momentum"])
    assert list(drawn)[:3] == ["learning_rate", "momentum", "one_minus_momentum"]


def test_names_are_the_declared_ones_in_order():
    assert SPACE.names == tuple(DOCUMENT)


def test_a_space_reads_back_equal_from_its_document_and_from_a_pickle():
    assert Space.parse(SPACE.to_document()) == SPACE
    assert pickle.loads(pickle.dumps(SPACE)) == SPACE  # noqa: S301 - made one line above


def test_edges_name_the_hyperparameters_at_a_bound():
    point = {"learning_rate": 0.999, "momentum": 0.95, "batch_size": 32, "units": 64}
    assert SPACE.edges(point) == {"learning_rate": "high", "batch_size": "low"}


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"beta": {"when": {"optimiser": "adam"}, "value": 1}, "optimizer": "choice([sgd, adam])"},
         "Did you mean 'optimizer'?"),
        ({"beta": {"when": {"optimizer": "adm"}, "value": 1}, "optimizer": "choice([sgd, adam])"},
         "a value that optimizer can take"),
        ({"beta": {"when": {"rate": 0.1}, "value": 1}, "rate": "uniform(0, 1)"},
         "hits no given value"),
        ({"beta": {"when": {"beta": 1}, "value": 1}}, "another hyperparameter"),
        ({"a": {"when": {"b": 1}, "value": 1}, "b": {"when": {"a": 1}, "value": 1}},
         "do not depend on one another"),
        ({"momentum": "one_minus_loguniform(0.9, 0.99)", "one_minus_momentum": 1},
         "momentum brings it"),
        ([1], "mapping of hyperparameter to domain"),
        (None, "mapping of hyperparameter to domain"),
    ],
)  # fmt: skip
def test_a_space_that_cannot_work_is_refused_in_one_sentence(document, sentence):
    with pytest.raises(ExperimentFileError, match=r"^spaces/a\.yaml") as caught:
        Space.parse(document, "spaces/a.yaml")
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_several_mistakes_come_at_once_a_line_each():
    with pytest.raises(ExperimentFileError) as caught:
        Space.parse({"a": "uniform(2, 1)", "b": 1, "c": "choice([])"})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "search_space.a",
        "search_space.c",
    ]


def test_a_space_made_in_python_is_checked_too():
    with pytest.raises(InvalidDomain, match="another hyperparameter"):
        Space({"a": Uniform(0, 1, when=(Condition("b", (1,)),))})
