"""``${ENV:NAME}`` in an experiment: the value inside, the reference in every file."""

from __future__ import annotations

import pytest
import yaml

from orchestrator import redaction
from orchestrator.config import load_experiment, parse_experiment, to_yaml
from orchestrator.errors import ExperimentFileError

TEXT = """\
name: one
model: ./nets/${ENV:WHERE}.py
data: ./${ENV:WHERE}/table.csv
storage_path: ${ENV:WHERE}/runs
search_space:
  learning_rate: loguniform(${ENV:LOW}, 1)
  token: ${ENV:HF}
  kind: {distribution: choice, values: [plain, "${ENV:HF}"]}
"""


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    for name, value in {"WHERE": "far-away", "LOW": "1e-3", "HF": "hf_abcdefgh"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "one.yaml").write_text(TEXT)
    return tmp_path / "one.yaml"


def test_every_text_is_resolved(environment):
    experiment = load_experiment(environment)
    assert experiment.model == "./nets/far-away.py"
    assert experiment.data.source == "./far-away/table.csv"
    assert experiment.search_space == {
        "learning_rate": "loguniform(1e-3, 1)",
        "token": "hf_abcdefgh",
        "kind": {"distribution": "choice", "values": ["plain", "hf_abcdefgh"]},
    }


def test_the_file_written_holds_the_references_and_loads_back_equal(environment):
    experiment = load_experiment(environment)
    text = to_yaml(experiment)
    assert not any(value in text for value in ("far-away", "1e-3", "hf_abcdefgh"))
    again = parse_experiment(yaml.safe_load(text))
    assert again.model_dump() == experiment.model_dump()
    assert yaml.safe_load(to_yaml(again)) == yaml.safe_load(text)


def test_what_is_loaded_again_has_the_values_of_that_day(environment, monkeypatch):
    written = yaml.safe_load(to_yaml(load_experiment(environment)))
    monkeypatch.setenv("HF", "hf_ijklmnop")
    assert parse_experiment(written).search_space["token"] == "hf_ijklmnop"


def test_an_override_may_refer_too(environment):
    experiment = load_experiment(environment, ["data.label=${ENV:HF}", "panda.schedule=[]"][:1])
    assert experiment.data.label == "hf_abcdefgh"
    assert yaml.safe_load(to_yaml(experiment))["data"]["label"] == "${ENV:HF}"


def test_a_secret_written_out_becomes_a_reference_in_the_files(environment, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "opensesame")
    experiment = load_experiment(environment, ["data.label=opensesame"])
    assert experiment.data.label == "opensesame"
    assert yaml.safe_load(to_yaml(experiment))["data"]["label"] == "${ENV:DB_PASSWORD}"


def test_an_unset_variable_is_one_sentence_with_line_and_key(environment, monkeypatch):
    monkeypatch.delenv("HF")
    with pytest.raises(ExperimentFileError) as refusal:
        load_experiment(environment)
    first, second = str(refusal.value).splitlines()
    assert first == (
        f"{environment}, line 7, search_space.token: expected the environment variable HF to be set."
        " Received: no value for ${ENV:HF}."
    )
    assert f"{environment}, line 8, search_space.kind.values.1" in second


@pytest.mark.parametrize(
    "text", ["${ENV:}", "${ENV:A-B}", "${ENV:A", "${ENV}", "${ENV :A}", "${ENV:1}"]
)
def test_a_misspelt_reference_is_refused(environment, text):
    with pytest.raises(ExperimentFileError, match="expected a reference such as"):
        load_experiment(environment, [f"data.label='{text}'"])


@pytest.mark.parametrize("key", ["name", "metric", "mode", "strategy"])
def test_keys_that_readers_of_records_need_are_plain(environment, key):
    with pytest.raises(ExperimentFileError, match="expected a plain text"):
        load_experiment(environment, [f"{key}=${{ENV:HF}}"])


def test_a_name_that_holds_a_secret_is_refused(environment, monkeypatch):
    monkeypatch.setenv("DB_PASSWORD", "opensesame")
    with pytest.raises(ExperimentFileError, match="expected a name without a secret") as refusal:
        load_experiment(environment, ["name=run-opensesame"])
    assert "opensesame" not in str(refusal.value)


def test_other_dollars_are_left_alone(environment):
    assert (
        load_experiment(environment, ["data.label='$5 ${HOME} $ENV'"]).data.label
        == "$5 ${HOME} $ENV"
    )


def test_a_refusal_shows_the_reference(environment):
    with pytest.raises(ExperimentFileError) as refusal:
        load_experiment(environment, ["epochs=${ENV:HF}"])
    assert "Received: '${ENV:HF}'" in str(refusal.value)


def test_a_long_secret_is_not_cut_into_a_part_of_itself(environment, monkeypatch):
    monkeypatch.setenv("LONG", "k" * 70 + "e" * 70 + "y" * 70)
    with pytest.raises(ExperimentFileError) as refusal:
        load_experiment(environment, ["epochs=${ENV:LONG}", "seed=x${ENV:LONG}"])
    assert "kkkkkk" not in str(refusal.value)


@pytest.mark.parametrize(
    "content", [{"model": "\ud800"}, {"\udcff": 1}, {"caviar": {"scheduler": {"\ud800": {}}}}]
)
def test_what_is_no_unicode_is_refused(content):
    with pytest.raises(ExperimentFileError, match="expected text in Unicode"):
        parse_experiment(content)
