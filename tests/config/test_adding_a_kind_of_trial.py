"""A kind of trial is added by its module and a line of both tables: its options, and how it is prepared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

import orchestrator
from orchestrator.config import (
    TRIAL_KINDS,
    experiment_schema,
    load_experiment,
    parse_experiment,
    to_yaml,
)
from orchestrator.config.schema import sections
from orchestrator.config.trial_options import TrialOptions
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.kinds import KINDS
from orchestrator.experiment.kinds.function_trials import planned
from orchestrator.fields import Count

jsonschema = pytest.importorskip("jsonschema")
BASE = {
    "metric": "height", "mode": "max", "epochs": 3, "caviar": {"num_samples": 4},
    "search_space": {"slope": "uniform(1, 2)"},
}  # fmt: skip


class LineOptions(TrialOptions):
    """A straight line."""

    line: str = Field(description="What the line is called.")
    power: Count = Field(default=1, description="The power of the epoch.")


@dataclass(frozen=True)
class Line:
    """The kind's trials before a run, its job, its workbench and its session."""

    options: LineOptions
    epochs: int
    home: Path = Path()
    spec: Any = None

    def job(self, experiment, plan, folder):
        return Line(self.options, plan.epochs, folder.path)

    def surroundings(self):
        return {"trial": {"name": self.options.line}}

    def facts(self):
        return {"kind": None, "baseline": {}, "said": list(self.sentences())}

    def sentences(self):
        yield f"trial: the line {self.options.line}"

    def open(self):
        return self

    def session(self, spec):
        return Line(self.options, self.epochs, self.home, spec)

    def advance(self, progress, seconds):
        for epoch in range(progress.epoch + 1, self.epochs + 1):
            height = self.spec.hyperparameters["slope"] * epoch**self.options.power
            row = {"trial": self.spec.trial, "epoch": epoch, "metrics": {"height": height}}
            progress.rows.append(row | {"seconds": 0.0})
        progress.epoch, progress.done = self.epochs, True

    def keep(self):
        """It begins again."""

    def about(self) -> Mapping[str, Any]:
        return {}

    def leave(self):
        """It has nothing to tidy up."""


def prepare_line(experiment, space, given, place):
    experiment, plan = planned(experiment, space, place)
    return experiment, plan, Line(experiment.trial, plan.epochs)


@pytest.fixture(autouse=True)
def added(monkeypatch):
    monkeypatch.setitem(TRIAL_KINDS, "line", LineOptions)
    monkeypatch.setitem(KINDS, "line", prepare_line)


def with_trial(written, *overrides):
    return parse_experiment({"name": "one", **BASE, "trial": written}, overrides)


@pytest.mark.parametrize(
    ("written", "overrides", "options"),
    [
        ({"line": "steep"}, [], LineOptions(line="steep")),
        ({"line": "steep"}, ["trial.power=2"], LineOptions(line="steep", power=2)),
        (None, ["trial.line=flat"], LineOptions(line="flat")),
    ],
)
def test_every_form_is_read(written, overrides, options):
    experiment = with_trial(written, *overrides)
    assert (experiment.trial, experiment.kind) == (options, "line")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"lin": "steep"}, "trial: unknown kind of trial. Received: 'lin'. Did you mean 'line'?"),
        ({"power": 2}, "one of the keys function, command, keras_tuner, optuna, sklearn, line"),
        ({"line": "steep", "powr": 2}, "unknown key. Received: 'powr'. Did you mean 'power'?"),
        ({"line": "steep", "power": 0}, "trial.power: expected a number of at least 1"),
    ],
)
def test_what_is_wrong_is_told_of_its_options(written, said):
    with pytest.raises(ExperimentFileError) as caught:
        with_trial(written)
    assert said in str(caught.value)


def test_its_key_at_another_place_is_told_where_it_belongs():
    with pytest.raises(ExperimentFileError) as caught:
        parse_experiment({**BASE, "line": "steep"})
    assert "line: unknown key here; it belongs to trial." in str(caught.value)


def test_the_complete_file_reads_back_the_same(tmp_path):
    experiment = with_trial({"line": "steep", "power": 2})
    (tmp_path / "one.yaml").write_text(to_yaml(experiment))
    assert load_experiment(tmp_path / "one.yaml").trial == experiment.trial


def test_the_schema_and_what_the_page_of_keys_is_made_of_have_its_options():
    jsonschema.validate({**BASE, "trial": {"line": "a", "power": 2}}, experiment_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**BASE, "trial": {"line": "a", "power": "x"}}, experiment_schema())
    said = sections()["trial",].model_fields["power"].description
    assert said == "Beside `line`: The power of the epoch."


def test_it_is_previewed_and_run(tmp_path):
    told = {**BASE, "name": "lines", "trial": {"line": "steep", "power": 2}}
    told["storage_path"] = str(tmp_path)
    assert "trial: the line steep" in str(orchestrator.preview(told))
    run = orchestrator.run(told, executor="inline", progress=False)
    assert run.best.value == pytest.approx(9 * run.best.hyperparameters["slope"])
