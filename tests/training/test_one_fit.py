"""A model with a fit of its own trains by one fit over all epochs, as in plain Keras."""

from __future__ import annotations

import re
import textwrap
from dataclasses import replace

import keras
import numpy as np
import pytest

from orchestrator.catalog.user_code import load_file
from orchestrator.errors import TrialError
from orchestrator.training.keras_internals import rows_in
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth

EPOCHS = 4
HP = {"batch_size": 32}
OWN = """
    class Own(keras.Model):
        seen = []
        {fit}

    def build(hp, input_shape, num_classes):
        x = keras.Input(input_shape)
        z = layers.Dropout(0.2)(layers.Dense(4, activation="relu")(x))
        model = Own(x, layers.Dense(num_classes, activation="softmax")(z))
        model.compile({optimizer}, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
WITH = """def fit(self, *given, callbacks=None, **options):
            mine = {callback}
            return super().fit(*given, callbacks=[*(callbacks or []), mine], **options)
"""
ADAM = "keras.optimizers.Adam(0.05)"
FITS = {
    "a schedule": WITH.format(
        callback="keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * 0.5**epoch)"
    ),
    "a reduction on a plateau": WITH.format(
        callback='keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=9, factor=0.1)'
    ),
    "weights of classes": """def fit(self, *given, **options):
            return super().fit(*given, class_weight={0: 1.0, 1: 20.0, 2: 3.0}, **options)
    """,
    "two phases": """def fit(self, x, y, epochs=1, **options):
            super().fit(x, y, epochs=2, **options)
            self.optimizer.learning_rate = 0.001
            self.layers[1].trainable = False
            return super().fit(x, y, epochs=epochs - 2, **options)
    """,
    "rows of its own": """def fit(self, x, y, **options):
            return super().fit(x, y, validation_split=0.3, **(options | {"validation_data": None}))
    """,
    "averages of weights": WITH.format(callback="keras.callbacks.SwapEMAWeights()"),
}  # fmt: skip


def by_plain_keras(source, tmp_path, data, epochs=EPOCHS):
    """Each epoch's logs, and the model, as Keras alone trains it over the same batches."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    file = tmp_path / "plain.py"
    file.write_text("import keras\nfrom keras import layers\n" + textwrap.dedent(source))
    model = load_file(file).build(HP, (6,), 3)
    seen: list[dict] = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            seen.append({})

        def on_epoch_end(self, epoch, logs=None):
            seen[-1] = logs

    def order(rows):
        return np.random.default_rng([1, len(seen) - 1]).permutation(rows)

    with rows_in(order):
        model.fit(
            data.train.x, data.train.y, batch_size=32, epochs=epochs, verbose=0, callbacks=[Watch()],
            validation_data=(data.validation.x, data.validation.y),
        )  # fmt: skip
    return seen, model


def source_of(name):
    optimizer = ADAM.replace(")", ", use_ema=True)") if name == "averages of weights" else ADAM
    return OWN.replace("{fit}", FITS[name]).replace("{optimizer}", optimizer)


@pytest.mark.parametrize("name", in_depth(FITS, "two phases"))
def test_an_own_fit_is_one_fit(name, net, train, data, tmp_path):
    source = source_of(name)
    trainer = Trainer(net(source, epochs=EPOCHS))
    curve = train(trainer, HP, epochs=EPOCHS)
    assert trainer.backend.path == "fit"
    expected, model = by_plain_keras(source, tmp_path, data)
    for row, plain in zip(curve, expected, strict=True):
        for key in {"loss", "accuracy", "learning_rate"} & {*row, *plain}:
            assert row[key] == pytest.approx(plain[key], rel=1e-4), key
        if name != "rows of its own":
            assert row["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-4)
    trainer.backend.close()
    for ours, theirs in zip(trainer.backend.compiled.model.weights, model.weights, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", in_depth(["two phases", "averages of weights"]))
def test_a_trial_after_another_is_the_trial_alone(name, net, train):
    trainer = Trainer(net(source_of(name), epochs=3))
    curve = train(trainer, HP, epochs=3)
    assert train(trainer, HP | {"learning_rate": 1e9}, epochs=1) != curve[:1]
    assert train(trainer, HP, epochs=3) == curve


@pytest.mark.cluster
def test_what_is_done_once_a_fit_is_done_once_and_an_abandoned_fit_stops(net, train):
    callback = "keras.callbacks.LambdaCallback(on_train_begin=lambda _: self.seen.append('begin'), "
    callback += "on_train_end=lambda _: self.seen.append('end'))"
    source = OWN.replace("{fit}", WITH.format(callback=callback)).replace("{optimizer}", ADAM)
    trainer = Trainer(net(source, epochs=3))
    train(trainer, HP, epochs=3)
    seen = type(trainer.backend.compiled.model).seen
    assert seen == ["begin"]
    trainer.leave()
    assert seen == ["begin", "end"]
    train(trainer, HP, epochs=2)
    other = type(trainer.backend.compiled.model).seen
    trainer.leave()
    assert other == ["begin"]
    assert trainer.slot is None


def test_a_fit_that_a_callback_ends_has_no_further_epoch(net, train, data, tmp_path):
    stop = 'keras.callbacks.EarlyStopping("val_loss", patience=1, min_delta=9)'
    source = OWN.replace("{fit}", WITH.format(callback=stop)).replace("{optimizer}", ADAM)
    trainer = Trainer(net(source, epochs=9))
    expected, _ = by_plain_keras(source, tmp_path, data, epochs=9)
    curve = train(trainer, HP, epochs=len(expected))
    assert curve[-1]["val_loss"] == pytest.approx(expected[-1]["val_loss"], rel=1e-4)
    assert trainer.train_chunk() is None
    assert trainer.ended == f"a callback ended it after epoch {len(expected)}"
    with pytest.raises(TrialError, match=re.escape(trainer.ended)):
        train_epoch(trainer)


@pytest.mark.cluster
def test_a_fit_that_calls_no_callbacks_is_called_for_each_epoch(net, train, same, state):
    loop = """def fit(self, x, y, epochs=1, **options):
            options.pop("callbacks", None)
            options.pop("validation_data", None)
            return super().fit(x, y, epochs=epochs, **options)
    """
    none = """def fit(self, x, y, epochs, batch_size, shuffle, verbose):
            return super().fit(x, y, epochs=epochs, batch_size=batch_size, shuffle=shuffle, verbose=0)
    """
    ends = []
    for fit in (loop, none):
        source = OWN.replace("{fit}", fit).replace("{optimizer}", ADAM)
        trainer = Trainer(net(source))
        ends.append((train(trainer, HP), state(trainer)))
    assert ends[0][0] == ends[1][0]
    same(ends[0][1], ends[1][1])


@pytest.mark.cluster
def test_what_a_fit_raises_is_raised_where_it_is_driven(net, train):
    source = OWN.replace("{fit}", """def fit(self, *given, **options):
            super().fit(*given, **options)
            raise ValueError("enough")
    """).replace("{optimizer}", ADAM)  # fmt: skip
    trainer = Trainer(net(source, epochs=2))
    train(trainer, HP, epochs=2)
    with pytest.raises(ValueError, match="enough"):
        train_epoch(trainer)


@pytest.mark.cluster
def test_a_trial_that_was_cut_off_starts_again_since_callbacks_remember(net, train):
    trainer = Trainer(net(source_of("a reduction on a plateau"), epochs=EPOCHS))
    curve = train(trainer, HP, epochs=2)
    kept = trainer.checkpoint({})
    curve += [train_epoch(trainer) for _ in range(2, EPOCHS)]
    again = Trainer(trainer.task)
    assert not again.take_up(kept)
    assert [train_epoch(again) for _ in range(EPOCHS)] == curve


@pytest.mark.cluster
def test_a_change_of_the_batch_size_has_the_fit_begin_anew_at_that_epoch(net, train):
    trainer = Trainer(net(source_of("a schedule"), epochs=EPOCHS))
    train(trainer, HP, epochs=2)
    trainer.change({"batch_size": 50})
    assert train_epoch(trainer)["learning_rate"] == pytest.approx(0.025)


BESIDE = """
    def build(hp, input_shape, num_classes):
        return keras.Sequential([
            keras.Input(input_shape), layers.Dense(num_classes, activation="softmax")
        ])

    def callbacks(hp):
        halved = keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * hp["factor"]**epoch)
        return [halved, keras.callbacks.EarlyStopping("val_loss", patience=2, min_delta=9)]
"""


def with_callbacks(net, source=BESIDE, function="callbacks"):
    task = net(source, epochs=9)
    return replace(task, callbacks=replace(task.model, function=function, text="./net.py:it"))


def test_a_trials_callbacks_act_as_in_keras(net, train, data):
    trainer = Trainer(with_callbacks(net))
    hp = HP | {"factor": 0.5, "optimizer": "adam"}
    curve = train(trainer, hp, epochs=3)
    assert [row["learning_rate"] for row in curve] == pytest.approx([0.1, 0.05, 0.025])
    assert trainer.train_chunk() is None
    assert trainer.ended == "a callback ended it after epoch 3"
    assert trainer.slot.reason == "it has callbacks"
    assert train(trainer, hp, epochs=3) == curve
    keras.utils.set_random_seed(1)
    head = keras.layers.Dense(3, activation="softmax")
    model = keras.Sequential([keras.Input((6,)), head])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    for epoch, row in enumerate(curve):
        model.optimizer.learning_rate = 0.1 * 0.5**epoch
        order = np.random.default_rng([1, epoch]).permutation(150)
        model.fit(data.train.x[order], data.train.y[order], batch_size=32, shuffle=False, verbose=0)
        loss, _ = model.evaluate(data.validation.x, data.validation.y, verbose=0)
        assert row["val_loss"] == pytest.approx(loss, rel=1e-4)


@pytest.mark.cluster
def test_metrics_by_name_are_reported_beside_callbacks(net, train):
    task = replace(with_callbacks(net), metrics=("macro_f1",))
    curve = train(Trainer(task), HP | {"factor": 0.5}, epochs=2)
    alone = train(Trainer(replace(task, callbacks=None)), HP | {"learning_rate": 0.1}, epochs=1)
    assert curve[0]["val_macro_f1"] == pytest.approx(alone[0]["val_macro_f1"], rel=1e-4)
    assert "val_macro_f1" in curve[1]


@pytest.mark.parametrize("optimizer", in_depth(["sgd", "rmsprop", "adamw"], "adamw"))
def test_what_a_callback_saves_amid_training_is_loaded_by_plain_keras(
    net, train, tmp_path, optimizer
):
    file = tmp_path / "amid.keras"
    source = BESIDE.replace("layers.Dense", "layers.BatchNormalization(), layers.Dense", 1)
    source += f"""
    def saved(hp):
        return keras.callbacks.ModelCheckpoint({str(file)!r})
    """
    trainer = Trainer(with_callbacks(net, source, "saved"))
    hp = HP | {"optimizer": optimizer, "learning_rate": 0.05}
    row = train(trainer, hp, epochs=1)[0]
    model = keras.saving.load_model(file)
    data = trainer.task.dataset.validation
    loss, accuracy = model.evaluate(data.x, data.y, verbose=0)
    assert (loss, accuracy) == pytest.approx((row["val_loss"], row["val_accuracy"]), rel=1e-4)
    assert type(model.optimizer).__module__.startswith("keras.")
    assert float(model.optimizer.learning_rate) == pytest.approx(0.05)


def test_a_callback_that_restores_another_trials_state_is_refused(net, tmp_path):
    source = (
        BESIDE
        + f"""
    def kept(hp):
        return [keras.callbacks.BackupAndRestore({str(tmp_path)!r})]
    """
    )
    with pytest.raises(TrialError, match="Received: BackupAndRestore"):
        Trainer(with_callbacks(net, source, "kept")).begin(HP, 1)


@pytest.mark.parametrize(
    ("returned", "what"), [("[1]", "int in it"), ("None", "NoneType"), ("'no'", "str")]
)
def test_what_is_no_callback_is_refused(net, returned, what):
    source = BESIDE + f"\n    def wrong(hp):\n        return {returned}\n"
    trainer = Trainer(with_callbacks(net, source, "wrong"))
    with pytest.raises(TrialError) as caught:
        trainer.begin(HP, 1)
    expected = "callbacks ./net.py:it: expected a list of Keras callbacks. Received:"
    assert str(caught.value) == f"{expected} {what}."
