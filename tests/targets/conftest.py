"""Submissions, and each place as an exam needs it: real where that takes no cluster, else its smallest stand-in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.experiment.submission import make_submission
from orchestrator.targets import TARGETS, Submission, Target, find_target
from tests.targets.places import PLACES, Place

EXPERIMENT = """\
name: digits
model: ./net.py
data: digits
search_space: {learning_rate: "loguniform(1e-3, 1)", units: "choice([8, 16])"}
epochs: 2
caviar: {num_samples: 2}
"""
NET = """\
import keras


def build(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = keras.layers.Dense(hp["units"])(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.layers.Dense(num_classes, activation="softmax")(hidden))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an experiment, a state folder of its own, no cluster."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "digits.yaml").write_text(EXPERIMENT)
    (tmp_path / "net.py").write_text(NET)
    return tmp_path


@pytest.fixture
def submission(here: Path) -> Callable[..., Submission]:
    """`submission(target, *overrides)`: what would be sent."""

    def make(target: str, *overrides: str) -> Submission:
        return make_submission(here / "digits.yaml", overrides, target)[1]

    return make


@pytest.fixture(params=sorted(TARGETS))
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Place]:
    """Each place in turn, where a job prints "hello" and runs until it is stopped."""
    built = PLACES[request.param](tmp_path, monkeypatch)
    yield built
    built.close()


@pytest.fixture
def target(place: Place) -> Target:
    return find_target(place.name)


@pytest.fixture
def portable(here: Path) -> Callable[[str], str]:
    """Take this machine's own paths out of a text."""
    import sys

    def without(text: str) -> str:
        return re.sub(re.escape(sys.executable), "/python", text.replace(str(here), "/home/ada"))

    return without
