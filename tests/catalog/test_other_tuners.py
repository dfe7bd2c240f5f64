"""A builder written for another tuner is refused with what to write here; one that only looks like it is not."""

from __future__ import annotations

import textwrap

import pytest

from orchestrator.catalog import find_model, may_compile
from orchestrator.errors import ExperimentFileError, UnknownNameError

KERAS_TUNER = """
    import keras
    def build(hp{more}):
        units = hp.Int("units", 16, 64, step=16)
        rate = hp.Float("lr", min_value=1e-4, max_value=1e-2, sampling="log")
        kind = hp.Choice("kind", ["a", "b"])
        deep = hp.Boolean("deep")
        wide = hp.Int("wide", 1, limit)
"""
RANGES = (
    "The ranges go into search_space: units: integer(16, 64, step=16); lr: loguniform(1e-4, 0.01);"
    " kind: choice([a, b]); deep: choice([true, false])"
)


@pytest.fixture
def found(tmp_path):
    def find(text):
        (tmp_path / "net.py").write_text(textwrap.dedent(text))
        return find_model("./net.py", tmp_path)

    return find


def refusal(found, text, error=ExperimentFileError):
    with pytest.raises(error) as caught:
        found(text)
    return str(caught.value)


@pytest.mark.parametrize("more", ["", ", input_shape, num_classes"])
def test_a_builder_for_keras_tuner_is_refused_with_its_line_and_its_ranges(found, more):
    said = refusal(found, KERAS_TUNER.replace("{more}", more))
    assert said.startswith(
        "model ./net.py: expected build(hp, input_shape, num_classes) that finds a trial's values in hp, a mapping, as"
        " hp['units']. Received: hp.Int('units', ...) in net.py line 4, as for KerasTuner."
    )
    assert said.endswith(f"{RANGES}.")


def test_so_is_one_for_optuna(found):
    said = refusal(
        found,
        """
        def build(trial, input_shape, num_classes):
            trial.suggest_float("dropout", 0, 0.5, step=0.1)
            trial.suggest_int("units", 8, 64, log=True)
        """,
    )
    assert "Received: trial.suggest_float('dropout', ...) in net.py line 3, as for Optuna." in said
    assert said.endswith("dropout: uniform(0, 0.5, step=0.1); units: log_integer(8, 64).")


@pytest.mark.parametrize(
    "body",
    [
        "hp = Adapter(hp)\n    return hp.Int('units', 1, 9)",
        "return other.Int('units', 1, 9)",
        "return hp.get('Int', 3)",
    ],
)
def test_one_that_makes_such_an_object_itself_is_not(found, body):
    found(f"def build(hp, input_shape, num_classes):\n    {body}\n")


def test_a_builder_that_is_a_classes_is_told_so(found):
    said = refusal(
        found, "class Net:\n    def build(self, hp):\n        pass\n", error=UnknownNameError
    )
    assert said.endswith("and not one of the class Net: write it at the top of the file.")


def test_a_builder_that_passes_hp_on_is_told_what_hp_is():
    from orchestrator.training.hyperparameters import RecordedHyperparameters

    with pytest.raises(AttributeError, match=r"^hp has no Int: it is a mapping .* hp\['units'\]"):
        _ = RecordedHyperparameters({}).Int


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("import keras\ndef build(hp, a, b):\n    return keras.Model()\n", False),
        ("import keras\ndef build(hp, a, b):\n    m.compile('sgd')\n", True),
        ("from keras.models import load_model\ndef build(hp, a, b):\n    ...\n", True),
        ("import keras_hub\ndef build(hp, a, b):\n    ...\n", True),
        ("import math\ndef build(hp, a, b):\n    ...\n", False),
    ],
)
def test_whether_a_builder_may_compile_is_seen_in_its_files(found, text, may):
    assert may_compile(found(text)) is may
