"""What users' builders return."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from orchestrator.errors import TrialError
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch

HP = {"learning_rate": 0.1, "batch_size": 32}
SEQUENTIAL = """
    return keras.Sequential([
        keras.Input(input_shape), layers.Dense(4), layers.Dense(num_classes, activation="softmax")
    ])
"""
BUILD = "def build(hp, input_shape, num_classes):\n"


@pytest.fixture
def trained(net, train):
    """`trained(source, hp, epochs)`: a trainer after a trial, and the trial's curve."""

    def run(source, hp=HP, epochs=2, **changes):
        trainer = Trainer(net(source, **changes))
        return trainer, train(trainer, hp, epochs=epochs)

    return run


def test_a_model_compiled_by_its_builder_keeps_its_optimizer_loss_and_metrics(trained, train):
    trainer, curve = trained("""
        def build(hp, input_shape, num_classes):
            model = keras.Sequential([
                keras.Input(input_shape), layers.Dense(num_classes, activation="softmax")
            ])
            model.compile(
                keras.optimizers.Nadam(hp["learning_rate"]),
                loss="sparse_categorical_crossentropy",
                metrics=[keras.metrics.SparseTopKCategoricalAccuracy(2, name="top_2")],
            )
            return model
    """)
    assert set(curve[0]) == {"loss", "top_2", "val_loss", "val_top_2"}
    assert curve[1]["loss"] < curve[0]["loss"]
    assert trainer.slot.reason is None
    assert type(trainer.backend.compiled.model.optimizer).__name__ == "Nadam"
    assert train(trainer, HP, seed=2) != curve
    assert train(trainer, HP) == curve
    assert train(trainer, HP | {"learning_rate": 1e-5}) != curve
    assert trainer.programs.traced == 1, "another learning rate needs no program of its own"


STEP = """
    class Own(keras.Model):
        def train_step(self, data):
            x, y = data
            logs = super().train_step((x, y * 0))
            return {extra}

        def test_step(self, data):
            logs = super().test_step(data)
            return {extra}

    def build(hp, input_shape, num_classes):
        x = keras.Input(input_shape)
        return Own(x, layers.Dense(num_classes, activation="softmax")(x))
"""


def test_an_overridden_train_step_runs_compiled_and_is_honoured(trained):
    trainer, curve = trained(STEP.format(extra="logs"), epochs=3)
    assert trainer.slot.reason is None
    assert trainer.backend.path == "compiled"
    assert curve[-1]["accuracy"] > 0.95  # it sees class 0 everywhere
    assert curve[-1]["val_accuracy"] < 0.6


def test_what_an_overridden_step_returns_beside_metrics_is_the_last_batchs_as_in_fit(
    trained, net, data
):
    extra = STEP.format(
        extra='{**logs, "biggest": keras.ops.max(data[0]), "rows": len_of(data[0])}'
    )
    source = "    def len_of(x):\n        return keras.ops.shape(x)[0]\n" + extra
    _, curve = trained(source, epochs=1)
    order = np.random.default_rng([1, 0]).permutation(150)
    assert curve[0]["rows"] == 150 % 32
    assert curve[0]["biggest"] == pytest.approx(data.train.x[order[128:]].max())
    assert curve[0]["val_biggest"] == pytest.approx(data.validation.x.max())
    assert {"loss", "accuracy", "val_loss", "val_accuracy"} <= set(curve[0])


def test_an_overridden_fit_trains_by_fit_and_says_so(trained):
    trainer, curve = trained(
        """
        class Own(keras.Model):
            def fit(self, x, y, **options):
                return super().fit(x, y * 0, **options)

        def build(hp, input_shape, num_classes):
            x = keras.Input(input_shape)
            return Own(x, layers.Dense(num_classes, activation="softmax")(x))
    """,
        epochs=3,
    )
    assert trainer.backend.path == "fit"
    assert trainer.slot.reason == "the model overrides fit()"
    assert curve[-1]["accuracy"] > 0.95
    assert curve[0]["learning_rate"] == 0.1


def test_a_fit_that_calls_no_callbacks_and_returns_no_history_is_a_clear_error(trained):
    with pytest.raises(TrialError, match=r"^fit\(\): expected Keras.s History"):
        trained("""
        class Own(keras.Model):
            def fit(self, *arguments, callbacks=None, **options):
                super().fit(*arguments, **options)

        def build(hp, input_shape, num_classes):
            x = keras.Input(input_shape)
            return Own(x, layers.Dense(num_classes, activation="softmax")(x))
        """)


def test_by_fit_and_by_compiled_epochs_the_numbers_are_the_same(trained, train):
    plain = (
        BUILD
        + """
    x = keras.Input(input_shape)
    z = layers.BatchNormalization(momentum=hp["batch_norm_momentum"])(layers.Dense(4)(x))
    z = layers.Dropout(0.2)(keras.ops.relu(z))
    return {kind}(x, layers.Dense(num_classes, activation="softmax")(z))
"""
    )
    own = """
class Own(keras.Model):
    def fit(self, *arguments, **options):
        return super().fit(*arguments, **options)
"""
    compiled, curve = trained(plain.format(kind="keras.Model"))
    by_fit, other = trained(own + plain.format(kind="Own"))
    assert (compiled.backend.path, by_fit.backend.path) == ("compiled", "fit")
    for row, expected in zip(curve, other, strict=True):
        assert row == pytest.approx(expected, rel=1e-4, abs=1e-5)
    for trainer in (compiled, by_fit):
        trainer.backend.recalibrate()
    for a, b in zip(
        compiled.backend.compiled.model.variables,
        by_fit.backend.compiled.model.variables,
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5)
    assert train(by_fit, HP, seed=2) != other
    assert train(by_fit, HP) == other


SUBCLASSED = """
    class Net(keras.Model):
        def __init__(self, hp, classes):
            super().__init__()
            self.hp = hp
            self.hidden = layers.Dense(4)
            self.norm = layers.BatchNormalization(momentum=hp["batch_norm_momentum"])
            self.head = layers.Dense(classes, activation="softmax")

        def call(self, x, training=False):
            z = self.norm(self.hidden(x), training=training) * self.hp["scale"]
            return self.head(z)

    def build(hp, input_shape, num_classes):
        return Net(hp, num_classes)
"""


def test_a_subclassed_model_trains_compiled_and_its_late_reads_count(trained, train):
    trainer, curve = trained(SUBCLASSED, HP | {"scale": 1.0})
    assert trainer.backend.path == "compiled"
    assert trainer.backend.compiled.parameters == 6 * 4 + 4 + 4 * 4 + 4 * 3 + 3
    assert train(trainer, HP | {"scale": 0.01}) != curve
    assert train(trainer, HP | {"scale": 1.0}) == curve


def test_a_sequential_model_without_an_input_is_built_for_the_data(trained):
    trainer, _ = trained(
        BUILD + '    return keras.Sequential([layers.Dense(num_classes, activation="softmax")])'
    )
    assert trainer.backend.compiled.parameters == 6 * 3 + 3


def test_the_loss_holds_what_regularisers_add(trained, data):
    source = (
        BUILD
        + """
    return keras.Sequential([keras.Input(input_shape), layers.Dense(
        num_classes, activation="softmax", kernel_regularizer=keras.regularizers.L2(hp["l2"])
    )])
"""
    )
    trainer, curve = trained(source, HP | {"l2": 10.0, "learning_rate": 1e-6}, epochs=1)
    model = trainer.backend.compiled.model
    y_hat = model(data.validation.x).numpy()[np.arange(70), data.validation.y]
    cost = 10 * (model.layers[0].kernel.numpy() ** 2).sum()
    assert curve[0]["val_loss"] == pytest.approx(-np.log(y_hat).mean() + cost, rel=1e-4)
    assert curve[0]["loss"] > cost


def test_batch_normalization_inside_a_nested_model_follows_and_is_recalibrated(trained):
    trainer, _ = trained(
        BUILD
        + """
    inner = keras.Sequential([
        keras.Input(input_shape), layers.BatchNormalization(momentum=hp["batch_norm_momentum"])
    ], name="inner")
    return keras.Sequential([inner, layers.Dense(num_classes, activation="softmax")])
"""
    )
    [norm] = trainer.backend.compiled.model.get_layer("inner").layers
    assert float(norm.momentum) == pytest.approx(0.5)
    before = norm.moving_mean.numpy()
    trainer.backend.recalibrate()
    assert not np.allclose(before, norm.moving_mean.numpy())


def test_a_builder_that_reads_nothing_has_one_program(trained, train):
    trainer, _ = trained(BUILD + SEQUENTIAL)
    train(trainer, HP | {"units": 9, "learning_rate": 0.5})
    assert trainer.programs.traced == 1


def test_a_builder_that_goes_through_all_hyperparameters_shares_a_program_that_none_of_them_changes(
    trained, train
):
    source = BUILD + "    size = sum(1 for name, value in hp.items() if value == 7)\n" + SEQUENTIAL
    trainer, curve = trained(source)
    faster = train(trainer, HP | {"learning_rate": 0.2})
    assert trainer.programs.traced == 1 and faster != curve
    assert train(Trainer(trainer.task), HP | {"learning_rate": 0.2}) == faster
    assert train(trainer, HP) == curve


def test_keras_is_left_with_its_own_settings():
    assert keras.config.floatx() == "float32"


AUC = """
    def build(hp, input_shape, num_classes):
        model = keras.Sequential([
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ])
        metrics = [keras.metrics.SparseTopKCategoricalAccuracy(k=2, name=None), mean()]
        model.compile("adam", "sparse_categorical_crossentropy", metrics=metrics)
        return model

    class Confidence(keras.metrics.Mean):
        def update_state(self, y, p, sample_weight=None):
            return super().update_state(keras.ops.max(p, axis=-1))

    def mean():
        return Confidence(name=None)
"""


def test_a_metric_has_one_name_in_all_trials_whatever_keras_counts(net, train):
    trainer = Trainer(net(AUC))
    curves = [train(trainer, {"units": units}, epochs=1)[0] for units in (2, 3, 2)]
    assert {*curves[0]} == {*curves[1]} == {*curves[2]}
    assert {"confidence", "val_confidence"} < {*curves[0]}


def test_a_metric_whose_reset_does_more_than_set_variables_is_reset_each_time(trained, train):
    trainer, _ = trained("""
        class Epochs(keras.metrics.SparseCategoricalAccuracy):
            resets = 0

            def reset_state(self):
                super().reset_state()
                type(self).resets += 1

        def build(hp, input_shape, num_classes):
            model = keras.Sequential([
                keras.Input(input_shape), layers.Dense(num_classes, activation="softmax")
            ])
            model.compile("sgd", "sparse_categorical_crossentropy", metrics=[Epochs(name="n")])
            model.counted = Epochs
            return model
    """)
    before = trainer.backend.compiled.model.counted.resets
    train_epoch(trainer)
    assert trainer.backend.compiled.model.counted.resets == before + 2
