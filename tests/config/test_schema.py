from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import (
    experiment_schema,
    load_experiment,
    parse_experiment,
    read_document,
    write_template,
)

jsonschema = pytest.importorskip("jsonschema")
ROOT = Path(__file__).parents[2]
BASE = {"model": "mlp", "data": "digits", "search_space": "mlp"}


def accepts(document):
    return jsonschema.Draft202012Validator(experiment_schema()).is_valid(document)


def test_it_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(experiment_schema())


def test_it_accepts_the_example_and_the_template(tmp_path):
    write_template(tmp_path / "mine.yaml")
    assert accepts(read_document(ROOT / "examples" / "digits.yaml").content)
    assert accepts(read_document(tmp_path / "mine.yaml").content)


def test_it_accepts_a_complete_file():
    experiment = load_experiment(ROOT / "examples" / "digits.yaml")
    assert accepts(experiment.model_dump())


def test_it_accepts_a_complete_panda():
    panda = {"start": {"units": 3}, "schedule": [{"epoch": 3, "set": {"units": 3}}]}
    experiment = parse_experiment({**BASE, "strategy": "panda", "panda": panda})
    assert accepts(experiment.model_dump())


@pytest.mark.parametrize(
    "change",
    [
        {"data": {"source": "./a.csv", "label": "y"}},
        {"search_space": {"a": "uniform(0, 1)", "b": 3, "c": None, "d": {"value": True}}},
        {"search_space": {"a": {"when": {"b": ["x", 1]}, "distribution": "choice", "values": [1]}}},
        {"caviar": {"scheduler": "median"}},
        {"caviar": {"scheduler": {"asha": {"grace_period": 2}}, "max_concurrent_trials": 4}},
        {"panda": {"start": {"units": 3}}},
        {"panda": {"from": "digits/00003", "day": "20 minutes", "sitter": "act"}},
        {"panda": {"start": {}, "sitter": {"patience": 2, "branch_and_compare": "on"}}},
        {"panda": {"start": {}, "sitter": {"branch_and_compare": {"factors": [0.3, 1]}}}},
        {"panda": {"start": {}, "schedule": [{"epoch": 3, "set": {"dropout": 0.1}}]}},
    ],
)
def test_it_accepts_every_form(change):
    assert accepts({**BASE, **change})


@pytest.mark.parametrize(
    "change",
    [
        {"modl": "mlp"},
        {"epochs": 0},
        {"epochs": "many"},
        {"data": {"label": "y"}},
        {"search_space": {"a": [1, 2]}},
        {"search_space": {"a": {"distribution": "unifrm"}}},
        {"caviar": {"scheduler": "hyperbnd"}},
        {"caviar": {"scheduler": {"asha": {"grace": 2}}}},
        {"caviar": {"num_sample": 4}},
        {"panda": {}},
        {"panda": {"start": {}, "day": "3 weeks"}},
        {"panda": {"start": {}, "sitter": "acts"}},
        {"panda": {"start": {}, "sitter": {"divergence": {"sigma": 3}}}},
        {"panda": {"start": {}, "schedule": [{"epoch": 3}]}},
        {"caviar": {"max_concurrent_trials": 0}},
    ],
)
def test_it_refuses_what_the_loader_refuses(change):
    assert not accepts({**BASE, **change})


def test_every_key_is_described():
    def undescribed(schema, path):
        for key, value in schema.get("properties", {}).items():
            if "description" not in value and "$ref" not in value:
                yield f"{path}.{key}"
            yield from undescribed(value, f"{path}.{key}")

    schema = experiment_schema()
    missing = list(undescribed(schema, ""))
    for name, definition in schema["$defs"].items():
        missing += undescribed(definition, name)
    assert missing == []
