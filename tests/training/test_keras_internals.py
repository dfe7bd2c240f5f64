"""What Keras keeps for itself and we use: one test a use, which fails where a new version of Keras changes it."""

from __future__ import annotations

import random
import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework.ops import gradient_registry

from orchestrator.training import keras_internals as internals
from orchestrator.training.constants import constants_of


@pytest.fixture(autouse=True)
def settings_as_before():
    policies, names, switches = (
        internals.policies(),
        internals.names_counted(),
        internals.switches(),
    )
    yield
    internals.put_policies_back(policies)
    internals.forget_names(names)
    internals.put_switches_back(switches)


@pytest.fixture
def net():
    """`net(**options)`: a small model, compiled with those options where there are any."""

    def net(**options):
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        if options:
            model.compile(**options)
        return model

    return net


def test_the_layers_of_a_model_inside_a_model_are_found(net):
    inner = net()
    outer = keras.Sequential([inner, keras.layers.Dense(1)])
    assert {*inner.layers, *outer.layers} <= set(internals.layers_of(outer))


def test_an_optimizer_holds_a_variable_or_the_schedule_that_it_was_given():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    assert isinstance(internals.rate_held_by(keras.optimizers.SGD(0.1)), keras.Variable)
    assert internals.rate_held_by(keras.optimizers.SGD(schedule)) is schedule


def test_a_step_asks_one_method_for_its_learning_rate():
    still = type("Still", (keras.optimizers.SGD,), {internals.CURRENT_RATE: lambda self: 0.0})(0.5)
    variable = keras.Variable(1.0)
    still.apply([tf.constant(1.0)], [variable])
    assert float(variable) == 1.0


def test_the_variables_that_an_optimizer_updates_are_known(net):
    model, optimizer = net(), keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    assert [*map(id, internals.built_on(optimizer))] == [*map(id, model.trainable_variables)]


def test_a_step_of_an_optimizer_on_one_replica_leaves_no_custom_gradient():
    variable, optimizer = keras.Variable(1.0), keras.optimizers.SGD(0.5)
    internals.on_one_replica(optimizer)
    optimizer.build([variable])
    before = set(gradient_registry._registry)
    tf.function(lambda: optimizer.apply_gradients([(tf.constant(1.0), variable)]))()
    assert (float(variable), set(gradient_registry._registry) - before) == (0.5, set())


def test_equal_models_differ_in_nothing_but_keras_bookkeeping(net):
    found = []
    for _ in range(2):
        internals.forget_names()
        found.append(constants_of(net(optimizer="sgd", loss="mse")))
    assert found[0] == found[1] is not None


def test_compiled_metrics_have_results_once_a_step_was_trained(net):
    model = net(optimizer="sgd", loss="mse", metrics=["mae"])
    before = internals.compiled_metrics_are_built(model)
    model.train_on_batch(np.ones((4, 2)), np.ones(4))
    assert (before, internals.compiled_metrics_are_built(model)) == (False, True)


def test_compiled_metrics_are_made_of_shapes_and_types_alone(net):
    model = net(optimizer="sgd", loss="mse", metrics=["mae"])
    internals.build_metrics(model, (np.ones((2, 2), "float32"), np.ones(2, "float32")))
    assert internals.compiled_metrics_are_built(model)


def test_keras_own_metrics_are_told_from_those_that_do_more_when_they_are_reset(net):
    class Mine(keras.metrics.MeanAbsoluteError):
        def reset_state(self):
            super().reset_state()

    models = [net(loss="mse", metrics=[metric]) for metric in ("mae", Mine())]
    for model in models:
        model.train_on_batch(np.ones((4, 2)), np.ones((4, 1)))
    assert [*map(internals.resets_variables_alone, models)] == [True, False]


def test_metrics_are_named_as_in_what_keras_reports():
    x = keras.Input((2,))
    model = keras.Model(x, {"a": keras.layers.Dense(1)(x), "b": keras.layers.Dense(1)(x)})
    twice = ["mae", "mae"]
    model.compile(loss="mse", metrics={"a": twice, "b": ["mse"]}, weighted_metrics={"a": ["mae"]})
    y = {"a": np.ones((4, 1)), "b": np.ones((4, 1))}
    model.train_on_batch(np.ones((4, 2)), y)
    assert {name for name, _ in internals.metrics_by_name(model)} == {*model.get_metrics_result()}


def test_a_metric_holds_the_function_that_it_averages(net):
    def mine(y_true, y_pred):
        return keras.ops.abs(y_pred[:, 0])

    model = net(optimizer="sgd", loss="mse", metrics=[mine])
    model.train_on_batch(np.ones((4, 2)), np.ones(4))
    metrics = dict(internals.metrics_by_name(model))
    assert internals.averaged_by(metrics["mine"]) is mine


def test_keras_own_losses_are_told_from_other_functions():
    losses = (keras.losses.mean_squared_error, keras.losses.Huber())
    assert [*map(internals.is_loss, (*losses, keras.ops.mean))] == [True, True, False]


def test_the_validation_of_a_fit_is_told_from_other_evaluations(net):
    asked = []

    class Heard(keras.Sequential):
        def evaluate(self, *given, **options):
            asked.append(bool(options.get(internals.VALIDATES)))
            return super().evaluate(*given, **options)

    model = Heard([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    data = (np.ones((4, 2)), np.ones(4))
    model.fit(*data, validation_data=data, verbose=0)
    model.evaluate(*data, verbose=0)
    assert asked == [True, False]


def test_keras_numbers_what_it_names_and_begins_anew_where_it_has_forgotten():
    internals.forget_names()
    names = [keras.metrics.AUC().name, keras.metrics.AUC().name]
    counted = internals.times_named(internals.name_of_kind(keras.metrics.AUC))
    internals.forget_names()
    assert (names, counted, keras.metrics.AUC().name) == (["auc", "auc_1"], 2, "auc")


def test_a_thread_has_the_policy_of_another_where_it_is_given_its_state():
    keras.config.set_dtype_policy("mixed_float16")
    state, found = dict(internals.thread_state()), []

    def look():
        found.append(keras.config.dtype_policy().name)
        internals.thread_state().update(state)
        found.append(keras.config.dtype_policy().name)

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert found == ["float32", "mixed_float16"]


def test_policies_are_put_back():
    before = internals.policies()
    keras.config.set_dtype_policy("mixed_float16")
    internals.put_policies_back(before)
    assert keras.config.dtype_policy().name == "float32"


def test_policies_that_keras_makes_by_itself_are_none_that_were_set():
    internals.put_policies_back({})
    assert keras.config.dtype_policy().name == "float32" and not internals.policies_set()
    keras.config.set_dtype_policy("mixed_float16")
    assert [*internals.policies_set()] == ["dtype_policy"]


@pytest.mark.parametrize(
    "set_one, value",
    [("set_floatx", "float64"), ("set_epsilon", 1e-3), ("set_image_data_format", "channels_first")],
)
def test_each_switch_is_found_and_put_back(set_one, value):
    before = internals.switches()
    getattr(keras.config, set_one)(value)
    assert internals.switches() != before
    internals.put_switches_back(before)
    assert internals.switches() == before


def test_a_registered_class_is_forgotten_by_its_module():
    kind = type("Mine", (keras.layers.Layer,), {"__module__": "of_a_user.net"})
    keras.saving.register_keras_serializable("of_a_user")(kind)
    assert kind in keras.saving.get_custom_objects().values()
    kept = internals.registered()
    internals.forget_registered("of_a_user.")
    assert kind not in keras.saving.get_custom_objects().values()
    internals.register(kept)
    assert kind in keras.saving.get_custom_objects().values()
    internals.forget_registered("of_a_user.")


def test_what_has_no_generator_of_its_own_draws_from_the_one_of_the_process():
    generator = internals.generator()
    before = np.asarray(generator.state).copy()
    keras.random.normal((1,))
    assert not np.array_equal(before, np.asarray(generator.state))
    assert internals.generator_in_place() is generator


def test_the_seed_of_each_first_value_is_one_that_keras_drew(net):
    random.seed(3)
    with internals.watched_variables() as (drawn, initialisers):
        model = net()
    kernel, bias = (initialisers[id(variable)] for variable in model.trainable_variables)
    assert internals.seed_is_drawn(kernel) and kernel.seed in drawn.seeds
    assert not internals.seed_is_drawn(bias)
    random.seed(3)
    assert [internals.default_seed() for _ in drawn.seeds] == drawn.seeds


def test_fit_takes_rows_in_the_order_that_it_is_given(net):
    seen = []

    class Heard(keras.Sequential):
        def train_step(self, data):
            tf.numpy_function(
                lambda x: seen.extend(x[:, 0].tolist()) or np.int64(0), [data[0]], tf.int64
            )
            return super().train_step(data)

    model = Heard([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    rows = np.arange(6, dtype="float32")[:, None]
    with internals.rows_in(lambda count: np.arange(count)[::-1]):
        model.fit(rows, rows, batch_size=2, verbose=0)
    assert seen == [5, 4, 3, 2, 1, 0]
