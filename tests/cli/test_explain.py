from __future__ import annotations

import csv
import io
import json
from importlib import import_module

import pytest

from orchestrator.experiment.run import Explained
from tests.analysis.made import SPACE, learning, made


class MadeUp(Explained):
    """A run whose records lie in no folder."""

    name = "made"
    records = None

    def __init__(self, records):
        self.records = records


@pytest.fixture
def of_alpha(monkeypatch):
    """A run in which only α counts, the more the better."""
    drawn = made(lambda h, random: {"val_accuracy": [0.5]}, 1).space

    def curve(h, random):
        return {
            "val_accuracy": learning(
                0.4 + 0.5 * drawn.domains["learning_rate"].to_unit(h["learning_rate"])
            )
        }

    records = made(curve, 24, space={**SPACE, "optimizer": "sgd"})
    monkeypatch.setattr(import_module("orchestrator.analysis.importance"), "RESAMPLES", 4)
    monkeypatch.setattr("orchestrator.experiment.open_run", lambda run, storage: MadeUp(records))
    return "made"


def test_importance_for_people_fits_80_columns_and_names_what_never_varied(cli, of_alpha):
    result = cli("importance", of_alpha)
    lines = result.stdout.splitlines()
    assert lines[1].startswith("learning_rate *")
    assert "Never varied: optimizer." in lines
    assert "do not contradict it" in result.stdout
    assert max(map(len, lines)) <= 80


def test_importance_for_machines_is_alone_on_stdout(cli, of_alpha):
    plain = json.loads(cli("importance", of_alpha, "--format", "json").stdout)
    assert plain["weights"][0]["hyperparameter"] == "learning_rate"
    assert plain["weights"][0]["variance"].keys() == {"value", "low", "high"}
    rows = list(csv.DictReader(io.StringIO(cli("importance", of_alpha, "-f", "csv").stdout)))
    assert rows[0]["hyperparameter"] == "learning_rate"


def test_importance_is_written_to_a_file(cli, of_alpha, here):
    result = cli("importance", of_alpha, "--output", "weights.csv")
    assert "wrote weights.csv: 5 rows, csv" in result.stderr
    assert (here / "weights.csv").read_text().startswith("hyperparameter,variance,")


def test_diagnose_says_what_stands_out_and_what_to_type(cli, of_alpha):
    result = cli("diagnose", of_alpha)
    assert "learning_rate (1): widen it" in " ".join(result.stdout.split())
    assert "--set 'search_space.learning_rate=loguniform(1e-4, 10)'" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    facts = json.loads(cli("diagnose", of_alpha, "--format", "json").stdout)
    assert facts["findings"][0]["rule"] == "edge"


def test_a_run_of_too_few_trials_is_refused_by_importance_and_has_nothing_to_diagnose(cli, a_run):
    a_run("first")
    refused = cli("importance", "first")
    assert refused.exit_code == 2
    assert "expected at least 20 trials" in refused.stderr
    assert "Nothing stands out" in cli("diagnose", "first").stdout
