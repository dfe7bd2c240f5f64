"""An epoch trained in parts, or cut off and gone on with, is the epoch trained at once, to the last bit."""

from __future__ import annotations

import pytest

from orchestrator.config import Span
from orchestrator.strategies import TrialSpec
from orchestrator.training import pace, session
from orchestrator.training.checkpoint import load_checkpoint, save_checkpoint
from orchestrator.training.progress import Progress
from orchestrator.training.session import Goal
from orchestrator.training.trainer import Trainer
from orchestrator.training.trial_session import TrialSession

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
    """`step_by_step()`: from here on every part of an epoch is one step."""
    return lambda: monkeypatch.setattr(pace, "PART_SECONDS", 0.0)


@pytest.mark.parametrize("name", MODELS)
def test_an_epoch_in_parts_is_the_epoch_at_once(name, of, train, state, same, step_by_step):
    task, hp = of(MODELS[name])
    whole, parts = Trainer(task), Trainer(task)
    curve, end = train(whole, hp), state(whole)
    step_by_step()
    assert train(parts, hp) == curve
    same(state(parts), end)
    assert traces(parts) == traces(whole)


def traces(trainer):
    return trainer.learner.program._train.experimental_get_tracing_count()


def test_a_cheap_epoch_is_one_call_of_the_program_once_a_step_is_known(mlp):
    trainer = Trainer(mlp)
    trainer.begin(HP, 1)
    assert trainer.train_part() is None
    assert trainer.within.steps == 1
    assert trainer.train_part() is not None
    assert trainer.train_part() is not None
    trainer.begin(HP | {"batch_size": 10}, 2)
    assert trainer.train_part() is not None


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
        assert cut.train_part() is None
        file = tmp_path / f"{step}.npz"
        save_checkpoint(file, cut.checkpoint({}))
    for step in (1, STEPS - 1):
        resumed = Trainer(task)
        train(resumed, hp | {"learning_rate": 0.5}, seed=9)
        resumed.resume(load_checkpoint(tmp_path / f"{step}.npz"))
        assert resumed.within.steps == step
        assert resumed.train_epoch() == curve[1]
        same(state(resumed), end)


@pytest.fixture
def begin(mlp, tmp_path, step_by_step, monkeypatch):
    """`begin(every)`: a trial in a new worker, whose epochs last so long that every step is a report."""
    step_by_step()
    monkeypatch.setattr(session, "AMID_SECONDS", 0.0)

    def begun(every):
        goal = Goal("val_accuracy", "max", frozenset(), tmp_path, every)
        return TrialSession(Trainer(mlp), TrialSpec("00000", 0, 3, HP), goal)

    return begun


def reports(trial):
    """Return the rows of each report to the end."""
    found, progress = [], Progress()
    while not progress.done:
        progress = Progress()
        trial.advance(progress, 0.0)
        found.append([(row["epoch"], row["metrics"]) for row in progress.rows])
    return found


def test_a_trial_returns_amid_an_epoch_with_nothing_to_tell(begin, mlp):
    told = reports(begin(Span(1, "epoch")))
    assert [len(rows) for rows in told] == mlp.epochs * ([0] * (STEPS - 1) + [1])


@pytest.mark.parametrize("asked", [True, False])
def test_what_is_kept_amid_an_epoch_is_gone_on_from(begin, mlp, tmp_path, asked):
    whole = reports(begin(Span(1, "epoch")))
    (tmp_path / "00000.last.npz").unlink()
    killed = begin(Span(100, "epoch") if asked else Span(STEPS + 2, "step"))
    for _ in range(STEPS + 3):
        killed.advance(Progress(), 0.0)
        if asked:
            killed.keep()
    assert reports(begin(Span(100, "epoch"))) == whole[STEPS + (3 if asked else 2) :]


def test_a_state_asked_for_in_epochs_is_kept_between_epochs_alone(begin, tmp_path):
    trial = begin(Span(1, "epoch"))
    for _ in range(2 * STEPS - 1):
        trial.advance(Progress(), 0.0)
    about = load_checkpoint(tmp_path / "00000.last.npz").about
    assert about["epoch"] == 1
    assert "within_epoch" not in about


def test_an_epochs_seconds_are_those_of_all_its_parts(begin, tmp_path):
    killed = begin(Span(1, "step"))
    killed.advance(Progress(), 0.0)
    before = load_checkpoint(tmp_path / "00000.last.npz").about["within_epoch"]["seconds"]
    taken_up, progress = begin(Span(100, "epoch")), Progress()
    while not progress.rows:
        taken_up.advance(progress, 0.0)
    assert progress.rows[0]["seconds"] > before > 0
