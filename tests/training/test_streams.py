"""Streams train by Keras's own fit."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from orchestrator.training import keras_backend
from orchestrator.training.keras_backend import IS_TENSORFLOW, Feed, in_groups
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth
from tests.training.streams import Batches, streamed_from

HP = {"learning_rate": 0.1, "batch_size": 32}
SEED = 5


@pytest.fixture
def streamed(data):
    return streamed_from(data)


@pytest.mark.parametrize("smoothing", in_depth([0.0, 0.1], 0.1))
def test_streamed_data_train_by_fit_and_say_so(net, train, streamed, smoothing):
    source = """
def build(hp, input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape),
        layers.BatchNormalization(momentum=hp["batch_norm_momentum"]),
        layers.Dense(num_classes, activation="softmax")])
"""
    hp = HP | {"label_smoothing": smoothing}
    trainer = Trainer(net(source, dataset=streamed))
    curve = train(trainer, hp, epochs=3)
    assert trainer.backend.path == "fit"
    assert trainer.slot.reason == "the data are streamed"
    assert curve[-1]["val_accuracy"] > 0.6
    trainer.backend.recalibrate()
    assert train(trainer, hp, epochs=3) == curve


COMPILED = """
def build(hp, input_shape, num_classes):
    model = keras.Sequential([keras.Input(input_shape),
        layers.Dense(8, activation="relu"), layers.Dense(num_classes, activation="softmax")])
    model.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.mark.parametrize(
    ("limit", "value"), [("GROUP_BYTES", 2_000), ("GROUP_SECONDS", 0.0), ("GROUP_SECONDS", 1e9)]
)
def test_a_stream_s_epochs_are_those_of_plain_keras_to_the_bit(
    limit, value, net, streamed, same, monkeypatch
):
    monkeypatch.setattr(keras_backend, limit, value)
    task = net(COMPILED, dataset=streamed)
    trainer = Trainer(task)
    trainer.begin({"batch_size": 32}, SEED)
    plain = task.model.load()({}, streamed.input_shape, len(streamed.classes))
    plain.set_weights(trainer.backend.compiled.model.get_weights())
    assert streamed.train.rows % 32, "the last batch is a smaller one"
    for epoch in range(3):
        ours = train_epoch(trainer)
        batches = streamed.train.batches(32, SEED + epoch, epoch)
        fitted = plain.fit(batches, steps_per_epoch=trainer.steps_per_epoch, verbose=0).history
        judged = plain.evaluate(
            streamed.validation.batches(1024, None), verbose=0, return_dict=True
        )
        expected = {name: values[0] for name, values in fitted.items()}
        expected |= {f"val_{name}": value for name, value in judged.items()}
        assert {name: ours[name] for name in expected} == expected
    same(trainer.backend.compiled.model.get_weights(), plain.get_weights())


OWN_FIT = (
    COMPILED.replace("keras.Sequential(", "Own(")
    + """

class Own(keras.Sequential):
    def fit(self, *given, **options):
        return super().fit(*given, **options)
"""
)


@pytest.mark.parametrize("value", [0.0, 1e9])
def test_one_fit_over_a_stream_is_that_of_plain_keras_to_the_bit(
    value, net, streamed, same, monkeypatch
):
    monkeypatch.setattr(keras_backend, "GROUP_SECONDS", value)
    task = net(OWN_FIT, dataset=streamed)
    trainer = Trainer(task)
    trainer.begin({"batch_size": 32}, SEED)
    plain = task.model.load()({}, streamed.input_shape, len(streamed.classes))
    plain.set_weights(trainer.backend.compiled.model.get_weights())
    curve = [train_epoch(trainer) for _ in range(3)]
    every = (batch for at in range(3) for batch in streamed.train.batches(32, SEED + at, at))
    steps = trainer.steps_per_epoch
    expected = plain.fit(every, steps_per_epoch=steps, epochs=3, verbose=0).history
    assert {name: [row[name] for row in curve] for name in expected} == expected
    same(trainer.backend.compiled.model.get_weights(), plain.get_weights())
    judged = plain.evaluate(streamed.validation.batches(1024, None), verbose=0, return_dict=True)
    assert {name: curve[-1][f"val_{name}"] for name in judged} == judged


@dataclass(frozen=True)
class Counted(Batches):
    """A stream that notes each pass over it."""

    passes: list[int] = field(default_factory=list)

    def __call__(self, *given):
        self.passes.append(1)
        return super().__call__(*given)


def test_an_epoch_reads_a_stream_once(net, streamed):
    counted = Counted(streamed.train.batches.split)
    dataset = replace(streamed, train=replace(streamed.train, batches=counted))
    trainer = Trainer(net(COMPILED, dataset=dataset))
    trainer.begin({"batch_size": 32}, SEED)
    train_epoch(trainer)
    before = len(counted.passes)
    train_epoch(trainer)
    assert len(counted.passes) == before + 1


def batches_of(*rows, first=0):
    """Batches of so many rows, which are numbers in order."""
    number = itertools.count(first)
    for count in rows:
        x = np.array([[next(number)] for _ in range(count)], dtype=np.float32)
        yield {"a": x, "b": np.repeat(x, 3, axis=1)}, x[:, 0].astype(np.int32)


def numbers(batches):
    return [np.asarray(y).tolist() for _, y in batches]


def test_batches_are_one_group_up_to_a_smaller_one(monkeypatch):
    monkeypatch.setattr(keras_backend, "GROUP_SECONDS", 1e9)
    groups = list(in_groups(batches_of(3, 3, 3, 2, 3)))
    assert [(len(y), size) for (_, y), size in groups] == [(11, 3), (3, 3)]
    groups = list(in_groups(batches_of(2, 3, 3)))
    assert [(len(y), size) for (_, y), size in groups] == [(2, 2), (6, 3)]


def test_a_batch_that_took_long_is_passed_on_before_the_next_is_asked_for(monkeypatch):
    monkeypatch.setattr(keras_backend, "GROUP_SECONDS", 0.0)
    given = batches_of(3, 3)
    assert [len(y) for (_, y), _ in itertools.islice(in_groups(given), 1)] == [3]
    assert numbers(given) == [[3, 4, 5]]


@pytest.mark.parametrize(("limit", "value"), [("GROUP_BYTES", 1), ("GROUP_SECONDS", 1e9)])
def test_fit_is_given_the_batches_as_they_are(limit, value, monkeypatch):
    monkeypatch.setattr(keras_backend, "GROUP_SECONDS", 1e9)
    monkeypatch.setattr(keras_backend, limit, value)
    feed = Feed(next(batches_of(2)))
    for rows in ((4, 4, 4, 1), (5, 5), (2,), ()):
        once = [*batches_of(*rows)]
        twice = numbers([*once, *batches_of(*rows, first=50)])
        again = feed.of(lambda rows=rows: [batches_of(*rows), batches_of(*rows, first=50)])
        assert numbers(again) == twice
        fed = [*feed.of_one(batches_of(*rows))]
        assert numbers(fed) == numbers(once)
        assert all(set(x) == {"a", "b"} and x["b"].shape[1:] == (3,) for x, _ in fed)


@pytest.mark.skipif(not IS_TENSORFLOW, reason="others are given a generator")
def test_short_and_long_passes_look_the_same_to_fit(monkeypatch):
    """What is traced for one does for the other; and it does not depend on the clock whether Keras knows a length."""
    feed, seen = Feed(next(batches_of(2))), set()
    for most in (1, 1e9):
        monkeypatch.setattr(keras_backend, "GROUP_BYTES", most)
        given = feed.of_one(batches_of(4, 4))
        seen.add((repr(given.element_spec), int(given.cardinality())))
    assert len(seen) == 1


@pytest.mark.skipif(not IS_TENSORFLOW, reason="others ask for one batch after another")
def test_an_epoch_s_last_batches_do_not_wait_for_the_next_epoch_s_first(monkeypatch):
    monkeypatch.setattr(keras_backend, "GROUP_SECONDS", 1e9)
    trained, waited = threading.Event(), []

    def later():
        waited.append(trained.wait(30))
        yield from batches_of(4, first=8)

    fed = iter(Feed(next(batches_of(2))).of(lambda: [batches_of(4, 4), later()]))
    assert numbers(itertools.islice(fed, 2)) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    trained.set()
    assert numbers(fed) == [[8, 9, 10, 11]]
    assert waited == [True]
