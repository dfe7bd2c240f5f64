"""What a model's outputs say of what it learns, whatever its features and labels are."""

from __future__ import annotations

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from orchestrator.data.labels import describe
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.training.heads import goal_of, look_at_head, task_of_model
from orchestrator.training.task import Task


@pytest.fixture
def looked():
    """`looked(units, activation)`: the head of a small net on large positive features."""

    def look(units, activation):
        rng = np.random.default_rng(0)
        x = tf.constant(rng.uniform(1000, 1010, (20, 4)).astype("float32"))
        keras.utils.set_random_seed(0)
        hidden = layers.Dense(6, "relu", kernel_initializer="ones")
        model = keras.Sequential([keras.Input((4,)), hidden, layers.Dense(units, activation)])
        return model, look_at_head(model, x)

    return look


@pytest.mark.parametrize(
    ("units", "activation", "values"),
    [
        (1, None, "any"),
        (3, None, "any"),
        (3, "softmax", "softmax"),
        (1, "softmax", "softmax"),
        (1, "sigmoid", "unit"),
        (1, "softplus", "not negative"),
        (1, "tanh", "signed unit"),
        (4, "tanh", "signed unit"),
        (1, "relu", "not negative"),
        (1, "relu6", "not negative"),
        (1, "elu", "bounded"),
        (2, "selu", "bounded"),
        (1, "leaky_relu", "any"),
    ],
)
def test_outputs_tell_their_activation_beside_features_of_one_sign(
    looked, units, activation, values
):
    assert looked(units, activation)[1].values == values


@pytest.mark.parametrize(
    ("y", "units", "activation"),
    [
        (np.arange(20) % 3, 1, "sigmoid"),
        (np.eye(3)[np.arange(20) % 3], 1, None),
        (np.arange(20) % 2, 1, "softmax"),
        (np.arange(20) % 2, 1, "tanh"),
        (np.random.default_rng(0).random((20, 4)) > 0.5, 4, "tanh"),
        (np.arange(20) % 2, 1, "relu"),
        (np.arange(20) % 2, 1, "elu"),
    ],
    ids=[
        "3 classes, sigmoid",
        "one-hot, one unit",
        "softmax of 1",
        "tanh",
        "flags, tanh",
        "relu",
        "elu",
    ],
)
def test_a_head_that_cannot_give_the_labels_is_refused(looked, y, units, activation):
    model, head = looked(units, activation)
    with pytest.raises(TrialError, match=r"expected .* Received"):
        task_of_model(model, head, describe([y], "data"), "auto", "model ./net.py")


def test_whole_numbers_are_quantities_to_one_free_unit_and_know_their_deviation(looked):
    y = np.arange(20) % 5 * 10_000
    labels = describe([y], "data").fitted(y)
    assert task_of_model(*looked(1, None), labels, "auto", "model").kind == "regression"
    standardized = labels.view(y, "standardized")
    np.testing.assert_allclose([standardized.mean(), standardized.std()], [0, 1], atol=1e-6)


def test_rows_of_true_and_false_are_flags():
    y = np.random.default_rng(0).random((20, 4)) > 0.5
    assert (describe([y], "data").form, describe([y], "data").width) == ("flags", 4)


@pytest.mark.parametrize(("activation", "refused"), [("relu", True), (None, False)])
def test_a_trial_whose_loss_is_of_other_targets_is_refused_where_trials_are_ranked_by_it(
    looked, activation, refused
):
    model, _ = looked(1, activation)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)).astype("float32"), rng.normal(size=20)
    labels = describe([y], "data")
    first = Task("regression", standardized=True)
    for by_loss in (False, True):
        task = SimpleNamespace(
            dataset=SimpleNamespace(labels=labels), task=first, by_loss=by_loss,
            model=SimpleNamespace(kind="file", text="./net.py"),
        )  # fmt: skip
        if refused and by_loss:
            with pytest.raises(ExperimentFileError, match="such as val_mae"):
                goal_of(model, task, tf.constant(x))
        else:
            assert goal_of(model, task, tf.constant(x)).task.standardized is not refused
