"""What Keras is told from outside: as Keras itself reads it, and refused where trials cannot train so."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from orchestrator.config import parse_experiment
from orchestrator.errors import PlaceError
from orchestrator.experiment.prepared import prepare
from orchestrator.training.keras_setup import KerasSettings, keras_settings, settings_file


@pytest.fixture
def told(tmp_path, monkeypatch):
    """`told(epsilon=1e-3)`: what the keras.json in force says; `told("text")` as it stands."""
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def write(text=None, **values):
        (tmp_path / "keras.json").write_text(json.dumps(values) if text is None else text)

    return write


def test_without_a_file_they_are_keras_own(told):
    assert keras_settings() == KerasSettings()


def test_a_file_that_is_no_json_says_nothing_as_it_does_to_keras(told):
    told("{")
    assert keras_settings() == KerasSettings()


@pytest.mark.cluster
def test_keras_reads_the_same_file_to_the_same_values(told, tmp_path):
    told(epsilon=1e-4, image_data_format="channels_first", backend="tensorflow")
    code = "import keras; c = keras.config; print(c.epsilon(), c.image_data_format(), c.floatx())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    mine = keras_settings()
    assert said.stdout.split() == [str(mine.epsilon), mine.image_data_format, mine.floatx]
    assert settings_file() == tmp_path / "keras.json"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"backend": "jax"}, "keras.json, backend: expected the backend on which trials train"),
        ({"floatx": "float64"}, "keras.json, floatx: expected the type in which trials train"),
        ({"epsilon": "small"}, "keras.json, epsilon: expected a number"),
        ({"image_data_format": "channels"}, "Did you mean 'channels_last'"),
        ({"text": "[1]"}, "keras.json: expected a JSON object"),
    ],
)
def test_what_cannot_work_is_refused_by_file_and_key(told, values, said):
    told(**values)
    with pytest.raises(PlaceError, match=said):
        keras_settings()


def test_the_variable_decides_the_backend_and_is_named(told, monkeypatch):
    told(backend="jax")
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    assert keras_settings().backend == "tensorflow"
    told(backend="tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(PlaceError, match=r"KERAS_BACKEND: expected .* Received: 'torch'"):
        keras_settings()


def test_what_would_cut_fit_short_alone_is_refused(told, monkeypatch):
    monkeypatch.setenv("KERAS_MAX_STEPS_PER_EPOCH", "3")
    with pytest.raises(PlaceError, match="KERAS_MAX_STEPS_PER_EPOCH: expected not to be set"):
        keras_settings()


def test_a_bundled_model_has_its_images_channels_last(told, tmp_path):
    told(image_data_format="channels_first")
    content = {
        "name": "one", "model": "cnn", "data": "digits", "storage_path": str(tmp_path / "runs"),
        "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
    }  # fmt: skip
    with pytest.raises(PlaceError, match="expected 'channels_last', for which the bundled model"):
        prepare(parse_experiment(content))
    assert not (tmp_path / "runs").exists()


@pytest.mark.cluster
def test_a_worker_computes_as_the_run_was_told_not_as_its_machine_is():
    code = (
        "from orchestrator.training.keras_setup import KerasSettings, set_up_keras\n"
        "set_up_keras(1, KerasSettings(epsilon=1e-3, image_data_format='channels_first'))\n"
        "import keras\nprint(keras.config.epsilon(), keras.config.image_data_format())\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["0.001", "channels_first"]


def test_what_tensorflow_logs_as_it_is_loaded_is_left_out_and_nothing_else_is():
    """The import of Keras and TensorFlow is stood for by a child that writes what they do."""
    said = [
        "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR",
        "I0000 00:00:1795975199.427173    9027 port.cc:153] oneDNN custom operations are on. You may",
        "F0000 00:00:1795975199.427173    9027 cpu_feature_guard.cc:9] compiled to use AVX instructions",
    ]
    code = (
        "import os\nfrom orchestrator.training.keras_setup import without_startup_log\n"
        "with without_startup_log('tensorflow'):\n"
        f"    os.write(2, {chr(10).join(said).encode()!r} + bytes([10]))\n"
        "    os.write(2, b'of the import\\n')\n"
        "os.write(2, b'after\\n')\n"
        "with without_startup_log('tensorflow'):\n    os.write(2, b'last words\\n'); os.abort()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGABRT
    assert done.stderr.splitlines() == [said[2], "of the import", "after", "last words"]
