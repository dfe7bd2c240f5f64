"""A changed hyperparameter: live, or around the model's weights, or refused with nothing changed."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.training.state_transfer import slots_of
from tests.depth import further

BAD = [
    {"learning_rate": "abc"}, {"learning_rate": None}, {"learning_rate": float("nan")},
    {"learning_rate": [0.1]}, {"learning_rate": True}, {"learning_rate": -0.1},
    {"momentum": "high"}, {"batch_size": 0}, {"batch_size": 2.5}, {"batch_size": "64"},
    {"weight_decay": "x"}, {"label_smoothing": "x"}, {"label_smoothing": 2.0}, {"dropout": "abc"},
    {"dropout": 1.5}, {"dropout": None}, {"decay_schedule": "stairs"}, {"learning_rate_decay": -1},
    {"activation": "nosuch"}, {"activation": 3}, {"optimizer": "lion"}, {"batch_norm_momentum": 2},
    {"recalibrate_batch_norm": "always"}, {"lerning_rate": 0.1}, {"units": 8}, {"units": "many"},
    {"hidden_layers": 2}, {"batch_norm": False}, {}, {"": 1},
    {"learning_rate": 0.01, "units": 8}, {"learning_rate": 0.01, "nonsense": 8},
]  # fmt: skip


def traces(trainer):
    program = trainer.backend.program
    loops = (program._train, *program._evaluations.values())
    return [trainer.programs.traced, *(loop.experimental_get_tracing_count() for loop in loops)]


@pytest.mark.parametrize(
    ("start", "changes"),
    [
        ({}, {"learning_rate": 0.01, "momentum": 0.5, "batch_size": 50}),
        further({"weight_decay": 0.01}, {"weight_decay": 0.1, "learning_rate_decay": 0.0}),
        ({"optimizer": "adam"}, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1}),
        ({}, {"momentum": 0.95, "one_minus_momentum": 0.05, "batch_norm_momentum": 0.7}),
    ],
)
def test_a_live_change_traces_nothing(panda, start, changes):
    life = panda(start=start)
    life.advance()
    before, programs = traces(life.trainer), life.trainer.slot
    asked = life.set(**changes)
    life.advance(2)
    assert life.answer(asked)["how"] == "live"
    assert traces(life.trainer) == before
    assert life.trainer.slot is programs


@pytest.mark.parametrize(
    "changes",
    [
        further({"dropout": 0.4}), further({"dropout": 0.0}), {"label_smoothing": 0.1}, further({"activation": "tanh"}),
        further({"weight_decay": 0.01}), {"optimizer": "sgd", "dropout": 0.3},
    ],
)  # fmt: skip
def test_a_rebuilt_model_keeps_its_weights_and_slots(panda, same, changes):
    life = panda()
    life.to_day(2)
    backend = life.trainer.backend
    weights = [w.numpy() for w in backend.compiled.model.weights]
    slots = [v.numpy() for v in slots_of(backend.compiled.optimizer.keras)]
    before = backend.evaluate("validation")["accuracy"]
    asked = life.set(**changes)
    life.ask("pause")
    life.advance()
    assert life.answer(asked)["how"] == "rebuilt"
    assert life.trainer.backend is not backend
    compiled = life.trainer.backend.compiled
    same([w.numpy() for w in compiled.model.weights], weights)
    same([v.numpy() for v in slots_of(compiled.optimizer.keras)], slots)
    assert any(np.any(slot) for slot in slots)
    if "activation" not in changes:
        assert life.trainer.backend.evaluate("validation")["accuracy"] == before
    life.ask("continue")
    life.advance()
    assert life.metrics()[-1]["accuracy"] > 0.5


def test_a_change_of_shapes_is_refused_by_the_layers_name(panda, same):
    life = panda()
    life.to_day(1)
    before = life.state()
    units, layers = life.set(units=8), life.set(hidden_layers=2)
    life.ask("pause")
    life.advance()
    assert "z1/kernel (64, 8) instead of (64, 16)" in life.answer(units)["reason"]
    assert "z2" in life.answer(layers)["reason"]
    assert "new panda" in life.answer(units)["reason"]
    same(life.state(), before)
    assert life.hyperparameters["units"] == 16


def test_what_cannot_be_set_is_refused_with_a_reason_and_training_goes_on_as_if_unasked(panda):
    quiet = panda("quiet")
    quiet.advance(3)
    life = panda("life")
    life.advance()
    asked = [life.ask("set", changes=changes) for changes in BAD]
    life.advance(2)
    for request, changes in zip(asked, BAD, strict=True):
        answer = life.answer(request)
        assert answer["kind"] == "refused", changes
        assert "\n" not in answer["reason"]
    assert life.metrics() == quiet.metrics()
    assert life.chosen == quiet.chosen


COMPILED = """
    def build(hp, input_shape, num_classes):
        head = layers.Dense(num_classes, activation="softmax")
        model = keras.Sequential([keras.Input(input_shape), layers.Flatten(), head])
        optimizer = keras.optimizers.Adam({rate})
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""


def test_a_learning_rate_that_a_users_own_optimizer_reads_is_put_in_force(panda_of, same):
    life = panda_of(COMPILED.format(rate='hp["learning_rate"]'))
    life.advance()
    before = life.state()
    asked = life.set(learning_rate=0.001)
    life.ask("pause")
    life.advance()
    assert life.answer(asked)["how"] == "rebuilt"
    optimizer = life.trainer.backend.compiled.model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.001)
    same(life.state(), before)


def test_a_learning_rate_that_the_builder_does_not_read_is_put_in_force_live(panda_of):
    life = panda_of(COMPILED.format(rate="0.01"), start={"batch_size": 64})
    life.advance()
    asked = life.set(learning_rate=0.001)
    life.advance()
    assert life.answer(asked)["how"] == "live"
    optimizer = life.trainer.backend.compiled.model.optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.001)


def test_a_learning_rate_of_a_builders_schedule_is_refused(panda_of):
    schedule = "keras.optimizers.schedules.ExponentialDecay(0.01, 9, 0.9)"
    life = panda_of(COMPILED.format(rate=schedule), start={"batch_size": 64})
    life.advance()
    asked, live = life.set(learning_rate=0.001), life.set(batch_size=32)
    life.advance()
    assert "learning_rate" in life.answer(asked)["reason"]
    assert life.answer(live)["how"] == "live"
