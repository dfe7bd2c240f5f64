"""The contract of `build(hp, input_shape, num_classes)`, asked of every file in models/."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

EVERY = sorted(path.stem for path in (Path(__file__).parents[2] / "models").glob("[!_]*.py"))
pytestmark = pytest.mark.parametrize("name", EVERY)


def weighted(model):
    """Layers whose z a BatchNormalization may take."""
    kinds = (keras.layers.Dense, keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)
    return [layer for layer in model.layers if isinstance(layer, kinds)]


def norms(model):
    kind = keras.layers.BatchNormalization
    return [layer for layer in model.layers if isinstance(layer, kind)]


def before(layer):
    return [node.operation for node in layer._inbound_nodes[0].parent_nodes]


def after(layer):
    return [node.operation for node in layer._outbound_nodes]


@pytest.mark.parametrize("num_classes", [2, 10, 11])
def test_the_head_has_exactly_one_unit_a_class(name, build, num_classes):
    assert build(name, {}, (8, 8, 1), num_classes).output_shape == (None, num_classes)


@pytest.mark.parametrize("shape", [(8, 8, 1), (28, 28, 1), (5, 3, 2), (8, 8)])
def test_every_row_of_the_output_sums_to_one(name, build, shape):
    rows = build(name, {}, shape)(np.ones((3, *shape), "float32")).numpy()
    np.testing.assert_allclose(rows.sum(axis=1), 1.0, rtol=1e-5)
    assert (rows >= 0).all()


def test_the_model_comes_uncompiled(name, build):
    assert not build(name, {}).compiled


def test_no_bias_and_no_activation_stand_before_a_batch_normalization(name, build):
    model = build(name, {})
    assert norms(model)
    for norm in norms(model):
        (source,) = before(norm)
        assert source in weighted(model)
        assert source.use_bias is False
        assert source.activation is keras.activations.linear


def test_activations_come_after_batch_normalization(name, build):
    model = build(name, {})
    hidden = [layer for layer in model.layers if isinstance(layer, keras.layers.Activation)]
    assert hidden
    for layer in hidden:
        (source,) = before(layer)
        assert isinstance(source, (keras.layers.BatchNormalization, keras.layers.Add))


def test_only_the_head_keeps_a_bias_with_batch_normalization_and_all_do_without(name, build):
    *hidden, head = weighted(build(name, {}))
    assert head.use_bias and not any(layer.use_bias for layer in hidden)
    without = build(name, {"batch_norm": False})
    assert norms(without) == [] and all(layer.use_bias for layer in weighted(without))


def test_hyperparameters_reach_the_layers(name, build):
    hp = {"batch_norm_momentum": 0.75, "activation": "tanh", "dropout": 0.25}
    model = build(name, hp)
    assert {norm.momentum for norm in norms(model)} == {0.75}
    kinds = [layer for layer in model.layers if isinstance(layer, keras.layers.Activation)]
    assert {layer.activation for layer in kinds} == {keras.activations.tanh}
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert drops and {layer.rate for layer in drops} == {0.25}


def test_no_dropout_layer_without_dropout(name, build):
    layers = build(name, {"dropout": 0.0}).layers
    assert not any(isinstance(layer, keras.layers.Dropout) for layer in layers)


def test_a_batch_of_one_is_predicted_as_it_is_within_a_larger_batch(name, build, pictures):
    model = build(name, {})
    model(pictures, training=True)
    together, alone = model(pictures).numpy(), model(pictures[:1]).numpy()
    np.testing.assert_allclose(alone, together[:1], rtol=1e-4, atol=1e-6)


def test_one_step_of_training_moves_gamma_beta_and_the_moving_averages(name, build, pictures):
    model = build(name, {})
    model.compile(
        keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy", run_eagerly=True
    )
    old = [[np.array(w) for w in norm.get_weights()] for norm in norms(model)]
    model.train_on_batch(pictures, np.arange(16) % 10)
    for norm, weights in zip(norms(model), old, strict=True):
        assert {w.name for w in norm.trainable_weights} == {"gamma", "beta"}
        for new, former in zip(norm.get_weights(), weights, strict=True):
            assert np.isfinite(new).all() and not np.array_equal(new, former)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(name, build):
    one, same, other = (build(name, {"dropout": 0.5}, seed=seed) for seed in (1, 1, 2))
    for left, right in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)
    kernel = weighted(one)[0].get_weights()[0]
    assert not np.array_equal(kernel, weighted(other)[0].get_weights()[0])


def test_it_saves_and_loads_without_running_foreign_code(name, build, pictures, tmp_path):
    model = build(name, {"dropout": 0.1})
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_allclose(again(pictures), model(pictures), rtol=1e-6)


def test_the_head_stays_float32_under_mixed_precision(name, build):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert build(name, {}).output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy(policy)
