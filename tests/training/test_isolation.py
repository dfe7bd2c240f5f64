"""A trial gives the numbers that it gives alone, whatever its worker's process has seen before."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from orchestrator.catalog import CallableReference
from orchestrator.errors import TrialError
from orchestrator.training.trainer import Trainer
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth

HP = {"batch_size": 32, "units": 8}
OTHER = HP | {"learning_rate": 1e6}  # it diverges
HEAD = """
        head = layers.Dense(num_classes, activation="softmax", dtype="float32")
        model = keras.Sequential([
            keras.Input(input_shape), layers.Dense(hp["units"], activation="relu"), head
        ])
"""
COMPILE = """
        model.compile({optimizer}, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model
"""
BUILD = "\n    def build(hp, input_shape, num_classes):"
CASES = {
    "an optimizer at the file's top": """
    OPTIMIZER = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 4, 0.5))
    """ + BUILD + HEAD + COMPILE.format(optimizer="OPTIMIZER"),
    "a base model at the file's top": """
    BASE = keras.Sequential([keras.Input((6,)), layers.Dense(5, activation="tanh")])
    """ + BUILD + """
        head = layers.Dense(num_classes, activation="softmax")
        return keras.Sequential([BASE, layers.Dense(hp["units"]), head])
    """,
    "a count at the file's top": """
    SEEN = []
    """ + BUILD + """
        SEEN.append(1)
        x = keras.Input(input_shape)
        z = layers.Dense(hp["units"])(x) * float(len(SEEN))
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
    "mixed precision by the file": """
    keras.mixed_precision.set_global_policy("mixed_float16")
    """ + BUILD + HEAD + "        return model\n",
    "mixed precision by the builder of some": BUILD + """
        if hp["units"] == 8:
            keras.config.set_dtype_policy("mixed_float16")
    """ + HEAD + "        return model\n",
    "mixed precision compiled by the builder": """
    keras.mixed_precision.set_global_policy("mixed_float16")
    """ + BUILD + HEAD + COMPILE.format(optimizer='hp.get("optimizer", "adam")'),
    "an array drawn in the builder": BUILD + """
        import numpy as np
        scale = np.random.rand(*input_shape).astype("float32")
        x = keras.Input(input_shape)
        z = layers.Dense(hp["units"])(layers.Lambda(lambda rows: rows * scale)(x))
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
    "a number drawn in the builder": BUILD + """
        import random
        x = keras.Input(input_shape)
        z = layers.Dense(hp["units"])(x * random.random())
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
    "a table drawn at the file's top, which a layer reads": """
    import numpy as np
    TABLE = np.random.rand(6).astype("float32")
    class Scale(layers.Layer):
        def call(self, x):
            return x * TABLE
    """ + BUILD + """
        x = keras.Input(input_shape)
        z = layers.Dense(hp["units"])(Scale()(x))
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
    "a number drawn while the step is traced": """
    import numpy as np
    class Scale(layers.Layer):
        def call(self, x):
            return x * float(np.random.rand())
    """ + BUILD + """
        x = keras.Input(input_shape)
        z = layers.Dense(hp["units"])(Scale()(x))
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
    "a loss with weights drawn in the builder": BUILD + """
        import numpy as np
        weights = keras.ops.convert_to_tensor(np.random.rand(num_classes).astype("float32"))
        def loss(y, p):
            weight = keras.ops.take(weights, keras.ops.cast(keras.ops.reshape(y, (-1,)), "int32"))
            return weight * keras.losses.sparse_categorical_crossentropy(y, p)
    """ + HEAD + """
        model.compile("adam", loss, metrics=["accuracy"])
        return model
    """,
    "seeds set by the builder": BUILD + """
        keras.utils.set_random_seed(hp.get("own_seed", 3))
        x = keras.Input(input_shape)
        z = layers.Dropout(0.3)(layers.GaussianNoise(0.3)(layers.Dense(hp["units"])(x)))
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(z))
    """,
}  # fmt: skip
BEFORE = [OTHER, OTHER | {"units": 4, "optimizer": "sgd", "own_seed": 9}]


@pytest.mark.parametrize("name", in_depth(CASES, "mixed precision by the builder of some"))
def test_a_trial_after_others_is_the_trial_alone(name, net, train):
    task = net(CASES[name])
    alone = train(Trainer(task), HP)
    worker = Trainer(task)
    for other in BEFORE:
        train(worker, other, seed=7)
    assert train(worker, HP) == alone
    kept = worker.checkpoint({})
    expected = train_epoch(worker)
    train(worker, OTHER, seed=7)
    worker.resume(kept)
    assert train_epoch(worker) == expected


@pytest.mark.cluster
def test_tensorflows_own_random_numbers_are_the_trials_own(net, train):
    task = net("""
    import tensorflow as tf
    class Noise(layers.Layer):
        def call(self, x, training=False):
            return x + tf.random.normal((6,)) if training else x
    """ + BUILD + """
        x = keras.Input(input_shape)
        return keras.Model(x, layers.Dense(num_classes, activation="softmax")(Noise()(x)))
    """)  # fmt: skip
    alone = train(Trainer(task), HP)
    worker = Trainer(task)
    train(worker, OTHER, seed=7)
    assert train(worker, HP) == alone
    assert train(worker, HP) == alone


@pytest.mark.parametrize(("source", "traced"), [
    (BUILD + HEAD + "        return model\n", 1),
    (CASES["an array drawn in the builder"], 3),
    (CASES["mixed precision compiled by the builder"], 1),
])  # fmt: skip
def test_programs_are_shared_where_only_variables_differ(net, source, traced):
    trainer = Trainer(net(source))
    for seed in (1, 2, 3):
        trainer.begin(HP, seed)
    assert trainer.programs.traced == traced


@pytest.mark.cluster
def test_mixed_precision_is_plain_keras_in_mixed_precision(net, data, train):
    curve = train(Trainer(net(CASES["mixed precision by the file"])), HP)
    policy = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_float16")
        keras.utils.set_random_seed(1)
        head = keras.layers.Dense(3, activation="softmax", dtype="float32")
        hidden = keras.layers.Dense(8, activation="relu")
        model = keras.Sequential([keras.Input((6,)), hidden, head])
        sgd = keras.optimizers.SGD(0.01, momentum=0.9)
        model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
        for epoch, row in enumerate(curve):
            order = np.random.default_rng([1, epoch]).permutation(150)
            x, y = data.train.x[order], data.train.y[order]
            fitted = model.fit(x, y, batch_size=32, shuffle=False, verbose=0).history
            assert row["loss"] == pytest.approx(fitted["loss"][0], rel=2e-3)
    finally:
        keras.config.set_dtype_policy(policy)


def test_what_a_builder_sets_for_the_process_is_gone_before_the_next(net, train):
    source = BUILD + """
        if hp["units"] == 4:
            keras.config.set_floatx("float64")
            keras.config.set_epsilon(0.1)
            keras.config.set_dtype_policy("float64")
            import tensorflow as tf
            tf.config.run_functions_eagerly(True)
    """ + HEAD + "        return model\n"  # fmt: skip
    trainer = Trainer(net(source))
    trainer.begin(HP | {"units": 4}, 1)
    trainer.begin(HP, 1)
    assert (keras.config.floatx(), keras.config.epsilon()) == ("float32", 1e-7)
    assert trainer.backend.compiled.model.layers[0].compute_dtype == "float32"
    assert not keras.src.backend.tensorflow.trainer.tf.config.functions_run_eagerly()


def test_names_are_the_same_in_each_trial(net, train):
    source = BUILD + HEAD + """
        model.compile("adam", "sparse_categorical_crossentropy", metrics=[
            keras.metrics.MeanMetricWrapper(lambda y, p: keras.ops.max(p, -1)) for _ in range(2)
        ])
        return model
    """  # fmt: skip
    trainer = Trainer(net(source))
    curves = [train(trainer, HP | {"units": units}, epochs=1) for units in (4, 5, 4)]
    names = [sorted(curve[0]) for curve in curves]
    assert names[0] == names[1] == names[2]
    assert "mean_metric_wrapper_1" in names[0]


@pytest.mark.parametrize(
    ("inside", "what"),
    [
        ("BASE, layers.Dense(8)", r"the weights .*kernel"),
        ("layers.Dense(8)", "the optimizer Adam"),
    ],
)
def test_what_is_shared_by_an_installed_module_is_refused_by_name(
    inside, what, tmp_path, monkeypatch, data, net
):
    source = f"""
import keras
from keras import layers
BASE = keras.Sequential([keras.Input((6,)), layers.Dense(5)])
ADAM = keras.optimizers.Adam()
def build(hp, input_shape, num_classes):
    head = layers.Dense(num_classes, activation="softmax")
    model = keras.Sequential([{inside}, head])
    model.build((None, *input_shape))
    model.compile(ADAM if "BASE" not in "{inside}" else "sgd", "sparse_categorical_crossentropy")
    return model
"""
    name = f"installed_{abs(hash(inside))}"
    (tmp_path / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    reference = CallableReference("module", name, "build", f"{name}:build")
    trainer = Trainer(type(net("def build(a, b, c): ..."))(reference, data, 2))
    trainer.begin(HP, 1)
    with pytest.raises(TrialError, match=f"a model of its own for each trial. Received: {what}"):
        trainer.begin(HP, 2)


@pytest.mark.parametrize("way", in_depth(["compiled", "fit"], "compiled"))
def test_one_that_draws_from_tensorflows_generator_starts_again_where_it_was_cut_off(
    net, train, way
):
    noisy = """
        import tensorflow as tf

        class Noise(layers.Layer):
            def call(self, x, training=False):
                return x + tf.random.normal(tf.shape(x), seed=3) if training else x

        class Net(keras.Model):
            OWN

        def build(hp, input_shape, num_classes):
            x = keras.Input(input_shape)
            return Net(x, layers.Dense(num_classes, activation="softmax")(Noise()(x)))
    """
    own = "def make_train_function(self, force=False):\n                return super().make_train_function(force)"
    trainer = Trainer(net(noisy.replace("OWN", own if way == "fit" else "pass")))
    curve = train(trainer, {"batch_size": 32}, epochs=2)
    train(trainer, {"batch_size": 32}, epochs=1)
    assert trainer.backend.path == way
    again = Trainer(trainer.task)
    assert not again.take_up(trainer.checkpoint({}))
    assert [train_epoch(again) for _ in range(2)] == curve


RATES = {
    "in its optimizer": (COMPILE.format(optimizer='keras.optimizers.Adam(hp["rate"])'), 1),
    "in its optimizer's schedule": (COMPILE.format(
        optimizer='keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(hp["rate"], 4, 0.5))'), 2),
    "in a decay of weights": (COMPILE.format(
        optimizer='keras.optimizers.Adam(0.01, weight_decay=hp["rate"])'), 2),
    "in a loss": ("""
        def loss(y, p):
            return hp["rate"] * keras.losses.sparse_categorical_crossentropy(y, p)
        model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"])
        return model
    """, 2),
    "in a penalty": ("""
        model.layers[0].kernel_regularizer = keras.regularizers.L2(hp["rate"])
    """ + COMPILE.format(optimizer='"adam"'), 2),
    "in a step of its own": ("""
        class Stepping(keras.Sequential):
            rate = hp["rate"]
            def train_step(self, data):
                logs = super().train_step(data)
                for weight in self.trainable_variables:
                    weight.assign(weight * (1 - self.rate))
                return logs
        model = Stepping(model.layers)
    """ + COMPILE.format(optimizer='"adam"'), 2),
}  # fmt: skip


@pytest.mark.parametrize("where", in_depth(RATES, "in a loss"))
def test_a_value_that_lives_in_a_variable_is_traced_once_and_any_other_again(where, net, train):
    compiled, traced = RATES[where]
    task = net(BUILD + HEAD + compiled)
    alone = train(Trainer(task), {"units": 8, "rate": 0.03})
    worker = Trainer(task)
    other = train(worker, {"units": 8, "rate": 0.3}, seed=7)
    assert train(worker, {"units": 8, "rate": 0.03}) == alone != other
    assert worker.programs.traced == traced
