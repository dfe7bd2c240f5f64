"""A searcher is added by its module and a line of SEARCHERS: all else follows from its options."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from orchestrator.config import experiment_schema, parse_document, parse_experiment, to_yaml
from orchestrator.config.load import check
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import preview
from orchestrator.fields import Count
from orchestrator.searchers import SEARCHERS, SearcherOptions

jsonschema = pytest.importorskip("jsonschema")
BASE = {"name": "one", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 9}


class SameOptions(SearcherOptions):
    """Proposes one number of units."""

    units: Count = Field(default=64, description="How many.")

    def make(self, space, seed, epochs, mode):
        return Same(self.units)


class Same:
    def __init__(self, units):
        self.units = units

    def ask(self, index):
        return {"units": self.units}

    def tell(self, observation):
        pass


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(SEARCHERS, "same", SameOptions)


def with_searcher(written, *overrides):
    return parse_experiment({**BASE, "caviar": {"searcher": written}}, overrides)


@pytest.mark.parametrize(
    ("written", "overrides", "options"),
    [
        ("same", [], SameOptions()),
        ({"same": {"units": 3}}, [], SameOptions(units=3)),
        ({"same": None}, ["caviar.searcher.same.units=2"], SameOptions(units=2)),
        ("random", ["caviar.searcher=same"], SameOptions()),
    ],
)
def test_both_forms_and_the_override_of_one_option_are_read(written, overrides, options):
    assert with_searcher(written, *overrides).caviar.searcher == options


def test_what_is_written_loads_back_equal():
    experiment = with_searcher({"same": {"units": 3}})
    assert check(parse_document(to_yaml(experiment), Path("one.yaml"))) == experiment


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("sam", "Did you mean 'same'?"),
        (3, "same, or {"),
        ({"same": {"unit": 1}}, "caviar.searcher.same.unit: unknown key"),
        ({"same": {"units": 0}}, "caviar.searcher.same.units: expected a number of at least 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(written, said):
    with pytest.raises(ExperimentFileError) as caught:
        with_searcher(written)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("written", "fits"),
    [("same", True), ({"same": {"units": 3}}, True), ({"same": {"unit": 3}}, False)],
)
def test_the_schema_knows_its_options(written, fits):
    file = {**BASE, "caviar": {"searcher": written}}
    assert jsonschema.Draft202012Validator(experiment_schema()).is_valid(file) == fits


def test_preview_shows_what_it_proposes_and_draws_the_rest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    at_random, seen = (
        preview({**BASE, "caviar": {"searcher": searcher, "points": "none"}}).draws(3)
        for searcher in ("random", "same")
    )
    assert [draw["units"] for draw in seen] == [64, 64, 64]
    assert [draw["learning_rate"] for draw in seen] == [draw["learning_rate"] for draw in at_random]
