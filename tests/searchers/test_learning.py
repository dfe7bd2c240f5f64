"""Searchers that learn: they find better trials than random draws do, and see trials as they stand."""

from __future__ import annotations

import math
import statistics

import pytest

from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import preview
from orchestrator.searchers import SEARCHERS, Observation, complete
from tests.depth import in_depth

SPACE = Space.parse(
    {
        "learning_rate": {"distribution": "loguniform", "min": 1e-5, "max": 1, "prior": 1e-2},
        "momentum": "one_minus_loguniform(0.9, 0.999)",
        "optimizer": "choice([sgd, adam])",
        "layers": "integer(1, 5)",
    }
)
MODELS = ("tpe", "gp", "cqr")
BASE = {"name": "one", "model": "mlp", "data": "digits", "epochs": 9}


def loss(hyperparameters, best=-2.0):
    """Return 0 for the best point there is."""
    rate = math.log10(hyperparameters["learning_rate"]) - best
    beta = math.log10(1 - hyperparameters["momentum"]) + 1.5
    layers = hyperparameters["layers"] - 3
    return rate**2 + (beta + rate) ** 2 + layers**2 / 4 + (hyperparameters["optimizer"] == "sgd")


def made(name, seed=0, space=SPACE, **options):
    return SEARCHERS[name](**options).make(space, seed, 1, "min")


def tell(searcher, index, hyperparameters, value):
    searcher.tell(Observation(f"{index:05d}", hyperparameters))
    if value is not None:
        searcher.tell(Observation(f"{index:05d}", hyperparameters, 1, value))
        searcher.tell(Observation(f"{index:05d}", hyperparameters, 1, value, "finished"))


def searched(name, trials, seed=0, of=loss, space=SPACE):
    """Return a searcher that has been told of so many trials, one after another, and how good each was."""
    searcher = made(name, seed, space)
    values = []
    for index in range(trials):
        tried = complete(searcher.ask(index), space, seed, index)
        values.append(of(tried))
        tell(searcher, index, tried, values[-1])
    return searcher, values


@pytest.mark.parametrize("name", in_depth(["tpe", "gp", "priorband"], "tpe", "priorband"))
def test_it_finds_better_trials_than_random_draws_do(name):
    best = {
        each: statistics.median(min(searched(each, 30, seed)[1]) for seed in range(3))
        for each in (name, "random")
    }
    assert best[name] < 0.7 * best["random"]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "written",
    in_depth(
        ["loguniform(1e-5, 1)", "choice([1e-4, 1e-3, 1e-2, 0.1])"],
        "choice([1e-4, 1e-3, 1e-2, 0.1])",
    ),
)
def test_no_proposal_is_a_trial_that_was_already(name, written):
    space = Space.parse({"learning_rate": written, "layers": "integer(1, 5)"})
    tried = [space.draw(0, index) for index in range(10)]
    searcher = made(name, space=space)
    for index, each in enumerate(tried):
        tell(searcher, index, each, loss({**each, "momentum": 0.9, "optimizer": "sgd"}))
    for index in range(10, 20):
        proposed = complete(searcher.ask(index), space, 0, index)
        assert proposed not in tried
        tried.append(proposed)
        tell(searcher, index, proposed, loss({**proposed, "momentum": 0.9, "optimizer": "sgd"}))


@pytest.mark.parametrize("name", MODELS)
def test_where_all_was_tried_it_proposes_nothing_more_and_says_so(name):
    space = Space.parse({"layers": "integer(1, 3)"})
    searcher = made(name, space=space)
    for index in range(12):
        tell(searcher, index, {"layers": index % 3 + 1}, float(index % 3))
    assert searcher.ask(12) is None
    assert searcher.exhausted == "all 3 combinations tried"


@pytest.mark.parametrize("name", MODELS)
def test_the_first_ones_are_random_draws(name):
    searcher = made(name, startup=4)
    for index in range(4):
        assert searcher.ask(index) == {}
        tell(searcher, index, SPACE.draw(0, index), float(index))
    assert searcher.ask(4) != {}


@pytest.mark.parametrize("name", MODELS)
def test_a_share_of_the_later_ones_is_random_too(name):
    searcher = made(name, startup=2, random_share=1.0)
    for index in range(4):
        tell(searcher, index, SPACE.draw(0, index), float(index))
    assert searcher.ask(4) == {}


@pytest.mark.parametrize("name", MODELS)
def test_trials_in_flight_are_kept_away_from(name):
    searcher, _ = searched(name, 20)
    alone = searcher.ask(20)
    for index in range(20, 24):
        tell(searcher, index, complete(alone, SPACE, 0, index), None)
    assert searcher.ask(20) != alone


@pytest.mark.parametrize("name", MODELS)
def test_what_it_proposes_fulfils_the_constraints(name):
    space = Space.parse({"a": "integer(1, 9)", "b": "integer(1, 9)"}, constraints=["a * b <= 20"])
    searcher, _ = searched(name, 11, of=lambda tried: -tried["a"] - tried["b"], space=space)
    for index in range(11, 14):
        asked = searcher.ask(index)
        assert space.broken_by(asked) is None


def test_optuna_prints_nothing(capfd):
    searched("tpe", 12)
    assert capfd.readouterr() == ("", "")


def test_a_searcher_of_ours_that_fails_has_its_trial_drawn_and_that_is_known(monkeypatch, capsys):
    from orchestrator.config import parse_experiment
    from orchestrator.search import Search, make_plan

    def fails(*_):
        raise ArithmeticError("no idea")

    monkeypatch.setattr("orchestrator.searchers.tpe.TpeSearcher.ask", fails)
    keys = {"search_space": {"units": "integer(1, 99)", "learning_rate": "loguniform(1e-3, 1)"}}
    keys |= {"metric": "val_accuracy", "mode": "max", "caviar": {"searcher": "tpe"}}
    experiment = parse_experiment({**BASE, **keys})
    space = Space.parse(experiment.search_space)
    search = Search(make_plan(experiment, space))
    specs = [search.next().spec for _ in range(2)]
    assert [spec.hyperparameters for spec in specs] == [space.draw(0, 0), space.draw(0, 1)]
    assert [index for index, _ in search.searcher_failures] == [0, 1]
    said = capsys.readouterr().err
    assert said.count("caviar.searcher tpe: its code raised ArithmeticError: no idea") == 1


def test_a_wrong_prior_loses_its_share_by_itself():
    shares = {
        best: searched("priorband", 40, of=lambda tried: loss(tried, best))[0].shares()  # noqa: B023
        for best in (-2.0, -4.8)
    }
    assert made("priorband").shares() == (0.5, 0.5)
    assert shares[-2.0][0] == shares[-4.8][0] == 0.25
    assert shares[-4.8][1] < 0.5 * shares[-2.0][1]


def test_the_first_trial_of_priorband_is_the_prior():
    assert made("priorband").ask(0) == {"learning_rate": 1e-2}


def test_priorband_without_a_prior_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ExperimentFileError) as caught:
        space = {"learning_rate": "loguniform(1e-3, 1)", "units": 4}
        preview({**BASE, "search_space": space, "caviar": {"searcher": "priorband"}})
    said = str(caught.value)
    assert "caviar.searcher.priorband: expected a prior of at least one hyperparameter" in said
    assert "or another searcher. Received: 'no prior'." in said


def test_priorband_bears_a_space_of_one_value():
    space = Space.parse({"layers": "choice([3], prior=3)"})
    searcher = made("priorband", space=space)
    assert searcher.ask(0) in ({}, {"layers": 3})
    tell(searcher, 0, {"layers": 3}, 1.0)
    assert searcher.ask(1) is None
