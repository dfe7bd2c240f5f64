"""A scheduler is added by its module and a line of SCHEDULERS: all else follows from its options."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field

from orchestrator.cli.preview_text import preview_text
from orchestrator.config import experiment_schema, parse_document, parse_experiment, to_yaml
from orchestrator.config.load import check
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment import preview
from orchestrator.fields import Count
from orchestrator.schedulers import SCHEDULERS, Decision, SchedulerOptions

jsonschema = pytest.importorskip("jsonschema")
BASE = {"name": "one", "model": "mlp", "data": "digits", "search_space": "mlp", "epochs": 9}


class HalfwayOptions(SchedulerOptions):
    """Stops who is below a floor at one epoch."""

    at: Count = Field(default=4, description="The epoch.")
    floor: float = Field(default=0.5, description="The least value that goes on.")

    def make(self, epochs, mode):
        return Halfway(self.at, self.floor)


class Halfway:
    name = "halfway"

    def __init__(self, at, floor):
        self.milestones, self.floor = (at,), floor

    def report(self, trial, epoch, value, ties=(0.0, 0.0)):
        return Decision(epoch in self.milestones and value < self.floor, self.floor)

    def review(self, epoch):
        return {}


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(SCHEDULERS, "halfway", HalfwayOptions)


def with_scheduler(written, *overrides):
    return parse_experiment({**BASE, "caviar": {"scheduler": written}}, overrides)


@pytest.mark.parametrize(
    ("written", "overrides", "options"),
    [
        ("halfway", [], HalfwayOptions()),
        ({"halfway": {"at": 3}}, [], HalfwayOptions(at=3)),
        ({"halfway": None}, ["caviar.scheduler.halfway.at=2"], HalfwayOptions(at=2)),
        ("halfway", ["caviar.scheduler.halfway.floor=0.25"], HalfwayOptions(floor=0.25)),
        ("none", ["caviar.scheduler=halfway"], HalfwayOptions()),
    ],
)
def test_both_forms_and_the_override_of_one_option_are_read(written, overrides, options):
    assert with_scheduler(written, *overrides).caviar.scheduler == options


def test_what_is_written_loads_back_equal():
    experiment = with_scheduler({"halfway": {"at": 3}})
    again = check(parse_document(to_yaml(experiment), Path("one.yaml")))
    assert again == experiment


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("halfwy", "Did you mean 'halfway'?"),
        (
            3,
            "expected one of none, asha, pasha, hyperband, median, percentile, patient, pbt, halfway, or {asha: {",
        ),
        ({"halfway": {"flor": 1}}, "caviar.scheduler.halfway.flor: unknown key"),
        ({"halfway": {"at": 0}}, "caviar.scheduler.halfway.at: expected a number of at least 1"),
    ],
)
def test_what_is_wrong_is_one_sentence(written, said):
    with pytest.raises(ExperimentFileError) as caught:
        with_scheduler(written)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_one_of_its_options_elsewhere_is_told_where_it_belongs():
    with pytest.raises(ExperimentFileError, match=r"belongs to caviar\.scheduler\.halfway"):
        parse_experiment({**BASE, "floor": 0.5})


@pytest.mark.parametrize(
    ("written", "fits"),
    [("halfway", True), ({"halfway": {"at": 3}}, True), ({"halfway": {"att": 3}}, False)],
)
def test_the_schema_knows_its_options(written, fits):
    file = {**BASE, "caviar": {"scheduler": written}}
    assert jsonschema.Draft202012Validator(experiment_schema()).is_valid(file) == fits


def test_the_plan_has_it_and_preview_tells_what_it_costs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    seen = preview({**BASE, "caviar": {"scheduler": "halfway", "num_samples": 2}})
    assert seen.plan.scheduler.make(9, "max").milestones == (4,)
    assert seen.forecast.epochs_at_most == 18
    assert "fewer: what the scheduler stops depends on the curves" in preview_text(seen, 100)
