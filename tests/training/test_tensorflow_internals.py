"""What TensorFlow keeps for itself and we use: one test a use, which fails where a new version changes it."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from orchestrator.training.keras_internals import build_metrics
from orchestrator.training.tensorflow_internals import (
    DefinedFunction,
    definitions_of,
    forget_custom_gradients,
    operations_in,
    scratch_gradients_forgotten,
)


def test_custom_gradients_of_a_graph_are_taken_out_of_the_registry():
    graphs = []

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.nn.silu(x)
        graphs.append(tf.compat.v1.get_default_graph())
        return tape.gradient(y, x)

    before = set(gradient_registry._registry)
    slope(tf.constant(1.0))
    made = set(gradient_registry._registry) - before
    assert made, "TensorFlow keeps custom gradients no more: forget_custom_gradients can go"
    for graph in graphs:
        forget_custom_gradients(graph)
    assert not made & set(gradient_registry._registry)


def test_operations_inside_the_functions_of_a_graph_are_found():
    inner = tf.function(lambda: tf.random.uniform((1,)))
    graph = tf.function(lambda: inner() + 1.0).get_concrete_function().graph
    assert "RandomUniform" in operations_in(graph)


def test_custom_gradients_of_keras_scratch_graphs_are_taken_out_of_the_registry():
    def registered_by_a_model() -> set[str]:
        before = set(gradient_registry._registry)
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1, activation="silu")])
        model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
        build_metrics(model, (np.ones((2, 2), "float32"), np.ones(2, "float32")))
        return set(gradient_registry._registry) - before

    made = registered_by_a_model()
    assert made, "Keras's scratch graphs keep none: scratch_gradients_forgotten can go"
    with scratch_gradients_forgotten():
        again = registered_by_a_model()
    assert again and not again & set(gradient_registry._registry)


def test_a_function_runs_from_its_definitions_with_those_that_it_calls():
    inner = tf.function(lambda x: x * 2.0)
    count = tf.Variable(5.0)

    @tf.function(input_signature=[tf.TensorSpec((), tf.int32)], autograph=False)
    def sums(steps):
        def body(at, total):
            return at + 1, inner(total) + count

        return tf.while_loop(lambda at, _: at < steps, body, [0, 1.0])[1]

    traced = sums.get_concrete_function()
    other = tf.Variable(7.0)
    run = DefinedFunction(definitions_of(traced), [other.handle], 1)
    assert traced.captured_inputs == [count.handle]
    assert float(run(tf.constant(2))[0]) == (1 * 2 + 7) * 2 + 7
    assert float(sums(tf.constant(2))) == (1 * 2 + 5) * 2 + 5
