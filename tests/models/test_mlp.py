"""The mlp's formulas: z = Wx, BatchNormalization, the softmax head and dJ/dz = ŷ - y."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

SATURATED = np.array([[1000, -1000, 0], [0, 1000, -1000], [30, -30, 0], [1, 2, 3]], "float32")
LABELS = np.array([1, 0, 1, 2], "int32")  # the first three are as wrong as float32 can say
ONE_HOT = np.eye(3, dtype="float32")[LABELS]


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def head_alone(build):
    """The bundled head with W = I and b = 0, so that its z is its input and J may be taken by z."""
    model = build("mlp", {"hidden_layers": 0}, (3,), 3)
    model.get_layer("y_hat").set_weights([np.eye(3), np.zeros(3)])
    return model


def loss_and_gradient(model, z, y):
    with tf.GradientTape() as tape:
        tape.watch(z)
        loss = model.compute_loss(x=z, y=y, y_pred=model(z, training=True))
    return loss, tape.gradient(loss, z)


@pytest.mark.parametrize("run", [lambda f: f, tf.function], ids=["eager", "graph"])
@pytest.mark.parametrize(
    ("kind", "y", "smoothing"),
    [
        (keras.losses.SparseCategoricalCrossentropy, LABELS, 0.0),
        (keras.losses.CategoricalCrossentropy, ONE_HOT, 0.0),
        (keras.losses.CategoricalCrossentropy, ONE_HOT, 0.1),
    ],
    ids=["sparse", "one-hot", "smoothed"],
)
def test_the_gradient_by_z_is_y_hat_minus_y_also_where_y_hat_saturates(
    build, kind, y, smoothing, run
):
    model = head_alone(build)
    options = {"label_smoothing": smoothing} if smoothing else {}
    model.compile(loss=kind(reduction="sum", **options))
    step = run(lambda z: loss_and_gradient(model, z, y))
    loss, gradient = step(tf.constant(SATURATED))
    assert np.isfinite(loss) and loss > 2000
    target = ONE_HOT * (1 - smoothing) + smoothing / 3
    np.testing.assert_allclose(gradient, softmax(SATURATED) - target, atol=1e-6)


def test_evaluation_reports_the_whole_cross_entropy_of_a_confident_mistake(build):
    model = head_alone(build)
    model.compile(loss="sparse_categorical_crossentropy")
    assert model.evaluate(SATURATED[:1], LABELS[:1], verbose=0) == pytest.approx(2000.0)


def test_fit_moves_b_by_alpha_times_y_minus_y_hat(build):
    model = head_alone(build)
    model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy")
    model.fit(SATURATED, LABELS, batch_size=4, epochs=1, verbose=0)
    expected = -0.5 * (softmax(SATURATED) - ONE_HOT).mean(axis=0)
    np.testing.assert_allclose(model.get_layer("y_hat").bias, expected, atol=1e-6)


def test_one_more_class_is_one_more_unit_and_nothing_else(build):
    ten, eleven = (build("mlp", {"units": 32}, (8, 8, 1), classes) for classes in (10, 11))
    assert eleven.count_params() - ten.count_params() == 32 + 1
    *hidden, _, _ = ten.get_weights()
    for left, right in zip(hidden, eleven.get_weights(), strict=False):
        np.testing.assert_array_equal(left, right)


def test_batch_normalization_takes_the_mini_batch_in_training(build, pictures):
    model = build("mlp", {"hidden_layers": 1})
    z = keras.Model(model.input, model.get_layer("z1").output)(pictures).numpy()
    normed = keras.Model(model.input, model.get_layer("z1_norm").output)
    z_tilde = normed(pictures, training=True).numpy()
    expected = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-3)
    np.testing.assert_allclose(z_tilde, expected, rtol=1e-3, atol=1e-4)


def test_batch_normalization_takes_the_moving_averages_in_prediction(build, pictures):
    model = build("mlp", {"hidden_layers": 1, "units": 4, "batch_norm_momentum": 0.8})
    z = keras.Model(model.input, model.get_layer("z1").output)(pictures).numpy()
    normed = keras.Model(model.input, model.get_layer("z1_norm").output)
    normed(pictures, training=True)
    mean = 0.2 * z.mean(axis=0)  # one step from the initial 0 and 1
    variance = 0.8 + 0.2 * z.var(axis=0)
    expected = (z[:1] - mean) / np.sqrt(variance + 1e-3)
    np.testing.assert_allclose(normed(pictures[:1]), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("shape", [(7,), (8, 8), (8, 8, 1), (2, 3, 4, 5)])
def test_inputs_of_any_shape_are_flattened(build, shape):
    model = build("mlp", {"hidden_layers": 1}, shape, 3)
    assert model.get_layer("z1").kernel.shape == (np.prod(shape), 64)


def test_hidden_layers_and_units_are_as_asked(build):
    model = build("mlp", {"hidden_layers": 3, "units": 5})
    assert [model.get_layer(f"z{n}").units for n in (1, 2, 3)] == [5, 5, 5]
    assert model.layers[-1].units == 10
