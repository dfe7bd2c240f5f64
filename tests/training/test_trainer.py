"""One worker's trainer over many trials: nothing of one trial is left in the next."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.training.trainer import Trainer
from orchestrator.trials import load_checkpoint, save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import further

A = {"units": 8, "hidden_layers": 1, "batch_size": 32, "learning_rate": 0.05, "dropout": 0.2}
B = A | {"learning_rate": 1.0, "batch_size": 16, "momentum": 0.99}
OTHER_STRUCTURE = A | {"units": 4}
BATCH_NORM = """
    def build(hp, input_shape, num_classes):
        model = keras.Sequential([keras.Input(input_shape)])
        model.add(layers.Dense(hp.get("units", 4)))
        model.add(layers.BatchNormalization(momentum={momentum}))
        model.add(layers.Dropout(0.2))
        model.add(layers.Dense(num_classes, activation="softmax"))
        return model
"""


def layer(trainer, kind):
    [found] = [at for at in trainer.backend.compiled.model.layers if type(at).__name__ == kind]
    return found


def traces(trainer):
    program = trainer.backend.program
    loops = (program._train, *program._evaluations.values(), program._recalibrate)
    return [loop.experimental_get_tracing_count() for loop in loops]


@pytest.fixture(scope="module")
def warm(mlp):
    return Trainer(mlp)


@pytest.mark.parametrize(
    ("optimizer", "changes"),
    [
        ("sgd", {"learning_rate": 0.7, "momentum": 0.3, "batch_size": 11, "weight_decay": 0.3}),
        ("adam", {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 0.1, "learning_rate_decay": 0.1}),
        further("rmsprop", {"beta_2": 0.5, "momentum": 0.1, "batch_norm_momentum": 0.6}),
    ],
)
def test_live_hyperparameters_and_the_batch_size_need_no_new_trace(warm, train, optimizer, changes):
    hp = A | {"optimizer": optimizer, "weight_decay": 0.01}
    first = train(warm, hp)
    warm.backend.recalibrate()
    programs, before = warm.programs.traced, traces(warm)
    assert train(warm, hp | changes) != first
    warm.backend.recalibrate()
    train(warm, hp | {"batch_size": 1000})
    assert warm.programs.traced == programs
    assert traces(warm) == before == [1, 1, 1]


@pytest.mark.parametrize("name", ["learning_rate", "momentum", "weight_decay", "batch_size"])
def test_each_live_hyperparameter_is_in_force_on_a_reused_program(warm, train, state, name):
    hp = A | {"weight_decay": 0.01}
    changed = hp | {name: {"batch_size": 48}.get(name, 0.5)}
    train(warm, hp, epochs=1)
    usual = state(warm)
    train(warm, changed, epochs=1)
    assert any(not np.allclose(a, b) for a, b in zip(usual, state(warm), strict=True))


def test_a_trial_after_others_on_the_same_worker_gives_its_curve_again(mlp, train, state, same):
    worker = Trainer(mlp)
    first, end = train(worker, A), state(worker)
    for other in (B, OTHER_STRUCTURE, A | {"optimizer": "adam"}):
        assert train(worker, other) != first
        worker.backend.recalibrate()
    assert train(worker, A) == first
    same(state(worker), end)


def test_seeds_decide_weights_order_and_dropout(warm, train, state):
    first = train(warm, A, seed=1)
    assert train(warm, A, seed=2) != first
    assert train(warm, A, seed=1) == first


def test_a_trial_cut_off_in_the_middle_leaves_nothing_behind(warm, train, state, same):
    first, end = train(warm, A), state(warm)
    train(warm, B, epochs=1)
    warm.begin(B, 3)
    assert train(warm, A) == first
    same(state(warm), end)


def test_a_model_that_draws_from_keras_own_generator_repeats_itself(net, train):
    task = net("""
        class Noise(layers.Layer):
            def call(self, x, training=False):
                return x + keras.random.normal((6,)) if training else x

        def build(hp, input_shape, num_classes):
            head = layers.Dense(num_classes, activation="softmax")
            return keras.Sequential([keras.Input(input_shape), Noise(), head])
    """)
    worker = Trainer(task)
    first = train(worker, {"learning_rate": 0.1})
    assert train(worker, {"learning_rate": 0.1}, seed=2) != first
    assert train(worker, {"learning_rate": 0.1}) == first
    assert train(Trainer(task), {"learning_rate": 0.1}) == first


def test_the_programs_used_last_are_kept_and_one_dropped_is_built_again_right(mlp, train):
    worker = Trainer(mlp, programs_kept=2)
    sizes = {units: A | {"units": units} for units in (2, 3, 4)}
    curves = {units: train(worker, hp, epochs=1) for units, hp in sizes.items()}  # keeps 3 and 4
    assert worker.programs.traced == 3
    assert train(worker, sizes[3], epochs=1) == curves[3]  # 4 is now the older one
    assert worker.programs.traced == 3
    assert train(worker, sizes[2], epochs=1) == curves[2]
    assert worker.programs.traced == 4
    assert train(worker, sizes[3], epochs=1) == curves[3]
    assert worker.programs.traced == 4
    assert train(worker, sizes[4], epochs=1) == curves[4]
    assert worker.programs.traced == 5


def test_a_checkpoint_goes_on_as_if_never_interrupted(mlp, train, state, same, tmp_path):
    hp = A | {"optimizer": "adam", "learning_rate_decay": 0.3}
    worker = Trainer(mlp)
    whole = train(worker, hp, epochs=3)
    end = state(worker)
    train(worker, hp, epochs=1)
    save_checkpoint(tmp_path / "a.npz", worker.checkpoint({"trial": "00000"}))
    train(worker, hp | {"learning_rate": 0.5}, seed=9)
    for resumed in (worker, Trainer(mlp)):
        checkpoint = load_checkpoint(tmp_path / "a.npz")
        assert checkpoint.about["trial"] == "00000"
        resumed.begin(checkpoint.about["hyperparameters"], 12345)
        resumed.restore(checkpoint)
        assert [train_epoch(resumed) for _ in range(2)] == whole[1:]
        same(state(resumed), end)


@pytest.mark.parametrize(("batch_size", "steps"), [(1, 150), (2, 75), (32, 5), (512, 1)])
def test_the_momentum_follows_the_steps_per_epoch_where_the_space_leaves_it(
    warm, batch_size, steps
):
    trainer = warm
    trainer.begin(A | {"batch_size": batch_size}, 0)
    expected = min(0.99, max(0.5, 1 - 10 / steps))
    assert float(layer(trainer, "BatchNormalization").momentum) == pytest.approx(expected)


def test_the_momentum_is_the_given_one_where_the_space_gives_it(warm, train):
    for given in (0.6, 0.9, 0.999):
        train(warm, A | {"batch_norm_momentum": given}, epochs=1)
        assert float(layer(warm, "BatchNormalization").momentum) == pytest.approx(given)


@pytest.mark.parametrize("own", [0.8, further(0.9)])
def test_a_users_own_momentum_stays(net, train, own):
    trainer = Trainer(net(BATCH_NORM.format(momentum=own)))
    train(trainer, {"learning_rate": 0.1}, epochs=1)
    assert float(layer(trainer, "BatchNormalization").momentum) == pytest.approx(own)
    trainer.backend.recalibrate()
    assert float(layer(trainer, "BatchNormalization").momentum) == pytest.approx(own)


@pytest.mark.parametrize("given", [None, further(0.9), further(0.7)])
def test_a_momentum_of_ones_own_beside_one_that_is_read_stays(net, train, given):
    trainer = Trainer(
        net("""
        def build(hp, input_shape, num_classes):
            return keras.Sequential([
                keras.Input(input_shape),
                layers.BatchNormalization(momentum=0.9, name="own"),
                layers.BatchNormalization(momentum=hp["batch_norm_momentum"], name="read"),
                layers.Dense(num_classes, activation="softmax"),
            ])
    """)
    )
    train(trainer, {"learning_rate": 0.1, "batch_norm_momentum": 0.9}, epochs=1)
    trainer.begin({"learning_rate": 0.1, "batch_norm_momentum": given}, 1)
    model = trainer.backend.compiled.model
    assert float(model.get_layer("own").momentum) == pytest.approx(0.9)
    followed = 0.5 if given is None else given
    assert float(model.get_layer("read").momentum) == pytest.approx(followed)


def test_a_momentum_made_from_the_one_that_is_read_is_right_for_every_trial(net):
    trainer = Trainer(net(BATCH_NORM.format(momentum='hp["batch_norm_momentum"] ** 2')))
    for given in (0.9, 0.6):
        trainer.begin({"learning_rate": 0.1, "batch_norm_momentum": given}, 1)
        assert float(layer(trainer, "BatchNormalization").momentum) == pytest.approx(given**2)


def test_recalibration_gives_the_true_statistics_and_no_other_state(net, data, train, state, same):
    trainer = Trainer(net(BATCH_NORM.format(momentum=0.9)))
    train(trainer, {"learning_rate": 0.1}, epochs=2)
    before = state(trainer)
    trainer.backend.recalibrate()
    after = state(trainer)
    norm = layer(trainer, "BatchNormalization")
    averages = {norm.moving_mean.path, norm.moving_variance.path}
    model = trainer.backend.compiled.model
    for variable, old, new in zip(model.variables, before, after, strict=False):
        assert (variable.path in averages) != np.array_equal(old, new), variable.path
    dense = model.layers[0]
    z = data.train.x @ dense.kernel.numpy() + dense.bias.numpy()
    np.testing.assert_allclose(norm.moving_mean.numpy(), z.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), z.var(axis=0), rtol=1e-4)
    same(before[len(model.variables) :], after[len(model.variables) :])


def test_training_goes_on_after_recalibration_with_the_momentum_it_had(warm, train):
    trainer = warm
    train(trainer, A, epochs=1)
    norm = layer(trainer, "BatchNormalization")
    before = float(norm.momentum)
    trainer.backend.recalibrate()
    assert float(norm.momentum) == before


@pytest.mark.parametrize("kind", ["keras.Model", "ByFit"])
def test_a_layer_that_is_called_twice_a_step_averages_over_its_calls(net, data, kind):
    trainer = Trainer(
        net(f"""
        class ByFit(keras.Model):
            def make_train_function(self, force=False):
                return super().make_train_function(force)

        def build(hp, input_shape, num_classes):
            x = keras.Input(input_shape)
            norm = layers.BatchNormalization()
            z = layers.Concatenate()([norm(x), norm(3 * x + 1)])
            return {kind}(x, layers.Dense(num_classes, activation="softmax")(z))
    """)
    )
    trainer.begin({"learning_rate": 0.1}, 1)
    trainer.backend.recalibrate()
    [norm] = [at for at in trainer.backend.compiled.model.layers if "batch" in at.name]
    x = data.train.x
    np.testing.assert_allclose(
        norm.moving_mean, (x.mean(0) + (3 * x + 1).mean(0)) / 2, rtol=1e-4, atol=1e-5
    )
    variance = (x.var(0) + (3 * x + 1).var(0)) / 2
    np.testing.assert_allclose(norm.moving_variance, variance, rtol=1e-4)
