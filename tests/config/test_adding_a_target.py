"""A target is added by its options, its module and a line of TARGETS: all else follows."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from pydantic import Field

from orchestrator.config import experiment_schema, parse_experiment
from orchestrator.config.targets import TARGETS, FolderOptions
from orchestrator.errors import ExperimentFileError
from orchestrator.fields import Count
from orchestrator.targets import find_target

jsonschema = pytest.importorskip("jsonschema")
BASE = {"model": "mlp", "data": "digits", "search_space": "mlp"}


class PbsOptions(FolderOptions):
    """A PBS cluster."""

    chunks: Count = Field(default=1, description="How many chunks.")


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(TARGETS, "pbs", PbsOptions)


@pytest.mark.parametrize(
    ("written", "overrides", "options"),
    [
        ("pbs", [], PbsOptions()),
        ({"pbs": {"chunks": 2}, "slurm": None}, [], PbsOptions(chunks=2)),
        ("pbs", ["target.pbs.chunks=3"], PbsOptions(chunks=3)),
        (None, ["target.pbs.chunks=3"], PbsOptions(chunks=3)),
    ],
)
def test_every_form_is_read(written, overrides, options):
    target = parse_experiment({**BASE, "target": written}, overrides).target
    assert target.of("pbs") == options
    assert target.names[-1] == "pbs"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("pbz", "unknown target. Received: 'pbz'. Did you mean 'pbs'?"),
        ({"pbs": {"chunk": 1}}, "target.pbs.chunk: unknown key. Received: 'chunk'. Did you mean 'chunks'?"),
        ({"pbs": {"chunks": 0}, "slurm": {"nodes": 0}}, "target.pbs.chunks: expected a number of at least 1"),
        ({"slurm": {"nodes": 0}, "pbs": {"chunks": 0}}, "target.slurm.nodes: expected a number of at least 1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_of_each_target(written, said):
    with pytest.raises(ExperimentFileError) as caught:
        parse_experiment({**BASE, "target": written})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("written", "fits"), [("pbs", True), ({"pbs": {"chunks": 2}}, True), ({"pbs": {"c": 2}}, False)]
)
def test_the_schema_knows_it(written, fits):
    file = {**BASE, "target": written}
    assert jsonschema.Draft202012Validator(experiment_schema()).is_valid(file) == fits


def test_its_module_is_found_by_its_name(monkeypatch):
    module = ModuleType("orchestrator.targets.pbs")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    assert find_target("pbs") is module
