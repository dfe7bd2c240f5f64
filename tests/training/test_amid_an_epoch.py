"""An epoch trained in parts, or cut off and gone on with, is the epoch trained at once, to the last bit."""

from __future__ import annotations

import pytest

from orchestrator.training import backend
from orchestrator.training.trainer import Trainer
from orchestrator.trials import load_checkpoint, save_checkpoint
from tests.training.streams import streamed_from

HP = {"learning_rate": 0.05, "batch_size": 32, "units": 8}
STEPS = 5
USERS = """
    class Net(keras.Model):
        def __init__(self, classes):
            super().__init__()
            self.hidden = layers.Dense(4, kernel_regularizer=keras.regularizers.L2(0.01))
            self.norm = layers.BatchNormalization()
            self.drop = layers.Dropout(0.3)
            self.head = layers.Dense(classes, activation="softmax")
            self.spread = keras.metrics.MeanMetricWrapper(lambda y, p: keras.ops.max(p, -1), name="spread")

        def call(self, x, training=False):
            x = x + keras.random.normal((6,)) if training else x
            return self.head(self.drop(self.norm(self.hidden(x), training=training)))

        {step}

    def build(hp, input_shape, num_classes):
        model = Net(num_classes)
        model(keras.Input(input_shape))
        model.compile(
            optimizer=keras.optimizers.Adam({rate}, gradient_accumulation_steps=3),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy", keras.metrics.SparseTopKCategoricalAccuracy(2, name="top")],
            weighted_metrics=["sparse_categorical_crossentropy"],
        )
        return model
"""
STEP = """def train_step(self, data):
            x, y = data
            logs = super().train_step((x, y, 0.5 + keras.ops.cast(y, "float32")))
            self.spread.update_state(y, self(x))
            return logs{returns}
"""
SCHEDULE = "keras.optimizers.schedules.CosineDecay(0.1, 12)"
MODELS = {
    "dropout and averages": {"dropout": 0.3, "learning_rate_decay": 0.5},
    "adam and smoothed labels": {
        "optimizer": "adam", "dropout": 0.3, "label_smoothing": 0.1, "weight_decay": 0.01,
        "recalibrate_batch_norm": "every_validation",
    },
    "a user's own metrics and schedule": USERS.format(step="", rate=SCHEDULE),
    "a user's own step, with weights for its rows": USERS.format(
        step=STEP.format(returns=""), rate="0.05"
    ),
    "a step with figures of its own": USERS.format(
        step=STEP.format(returns=' | {"biggest": keras.ops.max(x)}'), rate="0.05"
    ),
}  # fmt: skip


@pytest.fixture
def of(mlp, net):
    """`of(model)`: its task and hyperparameters."""

    def made(model):
        return (mlp, HP | model) if isinstance(model, dict) else (net(model), HP)

    return made


@pytest.fixture
def step_by_step(monkeypatch):
    """`step_by_step()`: from here on every chunk of an epoch is one step."""
    return lambda: monkeypatch.setattr(backend, "CHUNK_SECONDS", 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_an_epoch_in_parts_is_the_epoch_at_once(name, of, train, state, same, step_by_step):
    task, hp = of(MODELS[name])
    whole, parts = Trainer(task), Trainer(task)
    curve, end = train(whole, hp), state(whole)
    step_by_step()
    assert train(parts, hp) == curve
    same(state(parts), end)
    assert traces(parts) == traces(whole)


BY_FIT = """
    class ByFit(keras.Model):
        def make_train_function(self, force=False):
            return super().make_train_function(force)

    def build(hp, input_shape, num_classes):
        x = keras.Input(input_shape)
        z = layers.BatchNormalization()(layers.Dense(4, activation="relu")(x))
        y = layers.Dense(num_classes, activation="softmax")(layers.Dropout(0.3)(z))
        model = {kind}(x, y)
        {compile}
        return model
"""
COMPILE = """model.compile(optimizer="adam", loss="sparse_categorical_crossentropy",
            metrics=["accuracy"]{options})"""
FITTED = {
    "a training function of its own": (BY_FIT.format(kind="ByFit", compile=""), False),
    "the same, its metrics made late": (
        BY_FIT.format(kind="ByFit", compile=COMPILE.format(options="")), False,
    ),
    "one that runs eagerly": (
        BY_FIT.format(kind="keras.Model", compile=COMPILE.format(options=", run_eagerly=True")),
        False,
    ),
    "a stream": (BY_FIT.format(kind="keras.Model", compile=""), True),
}  # fmt: skip


@pytest.mark.parametrize("name", FITTED)
def test_by_fit_too_parts_and_an_interruption_change_nothing(
    name, net, data, train, state, same, step_by_step, tmp_path
):
    source, streamed = FITTED[name]
    task = net(source, dataset=streamed_from(data) if streamed else data)
    whole = Trainer(task)
    curve, end = train(whole, HP), state(whole)
    assert whole.backend.path == "fit"
    assert whole.backend.compiled.model.optimizer.iterations == 2 * STEPS
    step_by_step()
    cut = Trainer(task)
    assert train(cut, HP, epochs=1) == curve[:1]
    for step in range(1, STEPS):
        assert cut.train_chunk() is None
        assert cut.position.steps == step
    save_checkpoint(tmp_path / "cut.npz", cut.checkpoint({}))
    resumed = Trainer(task)
    resumed.resume(load_checkpoint(tmp_path / "cut.npz"))
    for trainer in (cut, resumed):
        assert trainer.train_epoch() == curve[1]
        same(state(trainer), end)


@pytest.mark.parametrize(
    "source",
    [
        BY_FIT.replace("make_train_function(self, force=False)", "fit(self, *given, **options)")
        .replace("make_train_function(force)", "fit(*given, **options)")
        .format(kind="ByFit", compile=""),
        BY_FIT.format(kind="ByFit", compile=COMPILE.format(options="").replace(
            '"adam"', "keras.optimizers.Adam(use_ema=True)"
        )),
    ],
)  # fmt: skip
def test_what_fit_does_once_a_call_is_done_once_an_epoch(source, net, step_by_step):
    step_by_step()
    trainer = Trainer(net(source))
    trainer.begin(HP, 1)
    assert trainer.backend.path == "fit"
    assert trainer.train_chunk() is not None


def traces(trainer):
    return trainer.backend.program._train.experimental_get_tracing_count()


def test_a_cheap_epoch_is_one_call_of_the_program_once_a_step_is_known(mlp):
    trainer = Trainer(mlp)
    trainer.begin(HP, 1)
    assert trainer.train_chunk() is None
    assert trainer.position.steps == 1
    assert trainer.train_chunk() is not None
    assert trainer.train_chunk() is not None
    trainer.begin(HP | {"batch_size": 10}, 2)
    assert trainer.train_chunk() is not None


@pytest.mark.parametrize("name", MODELS)
def test_a_trial_cut_off_amid_an_epoch_goes_on_as_if_it_never_was(
    name, of, train, state, same, step_by_step, tmp_path
):
    task, hp = of(MODELS[name])
    whole = Trainer(task)
    curve, end = train(whole, hp), state(whole)
    step_by_step()
    cut = Trainer(task)
    cut.begin(hp, 1)
    cut.train_epoch()
    for step in range(1, STEPS):
        assert cut.train_chunk() is None
        file = tmp_path / f"{step}.npz"
        save_checkpoint(file, cut.checkpoint({}))
    for step in (1, STEPS - 1):
        resumed = Trainer(task)
        train(resumed, hp | {"learning_rate": 0.5}, seed=9)
        resumed.resume(load_checkpoint(tmp_path / f"{step}.npz"))
        assert resumed.position.steps == step
        assert resumed.train_epoch() == curve[1]
        same(state(resumed), end)
