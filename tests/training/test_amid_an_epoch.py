"""An epoch trained in parts, or cut off and gone on with, is the epoch trained at once, to the last bit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator.training import backend
from orchestrator.training.keras_backend import NAME, RUNS_PYTHON
from orchestrator.training.trainer import Trainer
from orchestrator.trials import load_checkpoint, save_checkpoint
from orchestrator.trials.panda.day_cycle import train_epoch
from tests.depth import in_depth
from tests.training.conftest import curve_of, net_in, state_of
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


@dataclass(frozen=True)
class Trained:
    """A model trained epoch by epoch, and again step by step with a checkpoint after each."""

    task: Any
    hp: dict[str, Any]
    curve: list[dict[str, float]]
    end: tuple[Any, ...]
    in_parts: list[dict[str, float]]
    end_in_parts: tuple[Any, ...]
    traces: tuple[int, int]
    checkpoints: dict[int, Path]


@pytest.fixture(
    scope="module",
    params=in_depth(MODELS, "adam and smoothed labels"),
)
def trained(request, mlp, data, tmp_path_factory):
    """What the tests of one model read: training it is what takes the time."""
    model, folder = MODELS[request.param], tmp_path_factory.mktemp("trained")
    if NAME == "jax" and isinstance(model, str):
        pytest.skip("Keras refuses draws without a seed there, and has other steps")
    task, hp = (mlp, HP | model) if isinstance(model, dict) else (net_in(folder, data, model), HP)
    whole, parts = Trainer(task), Trainer(task)
    curve, end = curve_of(whole, hp), state_of(whole)
    files = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backend, "CHUNK_SECONDS", 0.0)
        in_parts = curve_of(parts, hp, epochs=1)
        for step in range(1, STEPS):
            assert parts.train_chunk() is None
            files[step] = folder / f"{step}.npz"
            save_checkpoint(files[step], parts.checkpoint({}))
        in_parts.append(train_epoch(parts))
    counts = traces(whole), traces(parts)
    return Trained(task, hp, curve, end, in_parts, state_of(parts), counts, files)


@pytest.fixture
def step_by_step(monkeypatch):
    """`step_by_step()`: from here on every chunk of an epoch is one step."""
    return lambda: monkeypatch.setattr(backend, "CHUNK_SECONDS", 0.0)


def test_an_epoch_in_parts_is_the_epoch_at_once(trained, same):
    assert trained.in_parts == trained.curve
    same(trained.end_in_parts, trained.end)
    assert trained.traces[0] == trained.traces[1]


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


@pytest.mark.parametrize("name", in_depth(FITTED, "a stream"))
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
    assert train_epoch(cut) == curve[1]
    same(state(cut), end)
    resumed = Trainer(task)  # after the other, since PyTorch has one generator a process
    resumed.resume(load_checkpoint(tmp_path / "cut.npz"))
    assert train_epoch(resumed) == curve[1]
    same(state(resumed), end)


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
    if trainer.backend.path == "fit":  # on JAX and PyTorch
        return 0
    return trainer.backend.program._train.experimental_get_tracing_count()


def test_a_cheap_epoch_is_one_call_of_the_program_once_a_step_is_known(mlp, monkeypatch):
    monkeypatch.setattr(backend, "CHUNK_SECONDS", 1e9)  # cheap by any clock
    trainer = Trainer(mlp)
    trainer.begin(HP, 1)
    assert trainer.train_chunk() is None
    assert trainer.position.steps == 1
    assert trainer.train_chunk() is not None
    assert trainer.train_chunk() is not None
    trainer.begin(HP | {"batch_size": 10}, 2)
    assert trainer.train_chunk() is not None or RUNS_PYTHON, "known from the trial before"


def test_a_trial_cut_off_amid_an_epoch_goes_on_as_if_it_never_was(
    trained, train, state, same, step_by_step
):
    step_by_step()
    resumed = Trainer(trained.task)
    for step in (1, STEPS - 1):
        train(resumed, trained.hp | {"learning_rate": 0.5}, seed=9)
        resumed.resume(load_checkpoint(trained.checkpoints[step]))
        assert resumed.position.steps == step
        assert train_epoch(resumed) == trained.curve[1]
        same(state(resumed), trained.end)
