"""What users' builders and hyperparameters do wrong."""

from __future__ import annotations

import pytest

from orchestrator.errors import TrialError
from orchestrator.training.trainer import Trainer

HP = {"learning_rate": 0.1, "batch_size": 32}
SEQUENTIAL = """
    return keras.Sequential([
        keras.Input(input_shape), layers.Dense(4), layers.Dense(num_classes, activation="softmax")
    ])
"""
BUILD = "def build(hp, input_shape, num_classes):\n"
WAY_OUT = "Or compile the model in its builder, with a loss and metrics of your own."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("    return hp['no_such']",
         "model ./net.py: its code raised KeyError: 'no_such' (net.py line 4, in build)."),
        ("    raise ValueError('too deep\\nand more')",
         "model ./net.py: its code raised ValueError: too deep (net.py line 4, in build)."),
        ("    return 5", "model ./net.py: expected a keras.Model. Received: int."),
        ("    pass", "model ./net.py: expected a keras.Model. Received: NoneType."),
        ("    return keras.Sequential([keras.Input(input_shape), layers.Dense(2)])",
         "model ./net.py: expected a softmax head with 3 units, one a class, or as many logits."
         f" Received: 2 units, no softmax or sigmoid. {WAY_OUT}"),
        ("    return keras.Sequential([layers.Dense(2)])",
         "model ./net.py: expected a softmax head with 3 units, one a class, or as many logits."
         f" Received: 2 units, no softmax or sigmoid. {WAY_OUT}"),
        ("    x = keras.Input(input_shape)\n"
         "    return keras.Model(x, [layers.Dense(3)(x), layers.Dense(3)(x)])",
         "model ./net.py: expected one output of shape (rows, units)."
         f" Received: a model with 2 outputs. {WAY_OUT}"),
    ],
)  # fmt: skip
def test_a_builder_that_cannot_be_trained_is_one_clear_sentence(net, body, sentence):
    with pytest.raises(TrialError) as caught:
        Trainer(net(BUILD + body)).begin(HP, 0)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"optimizer": "adm"},
         "optimizer: expected a known optimizer. Received: 'adm'. Did you mean 'adam'?"
         " Known: adam, adamw, rmsprop, sgd."),
        ({"decay_schedule": "cosin", "learning_rate_decay": 0.1},
         "decay_schedule: expected a known schedule. Received: 'cosin'. Did you mean 'cosine'?"
         " Known: cosine, exponential, inverse_time, none, sqrt."),
        ({"batch_size": 0}, "batch_size: expected a whole number above 0. Received: 0."),
        ({"batch_size": 2.5}, "batch_size: expected a whole number above 0. Received: 2.5."),
    ],
)  # fmt: skip
def test_a_hyperparameter_of_training_that_makes_no_sense_is_one_clear_sentence(
    mlp, train, wrong, sentence
):
    with pytest.raises(TrialError) as caught:
        train(Trainer(mlp), HP | wrong, epochs=1)
    assert str(caught.value) == sentence


def test_a_trial_after_one_that_raised_is_itself(net, train):
    trainer = Trainer(net(BUILD + "    1 / hp['divisor']\n" + SEQUENTIAL))
    curve = train(trainer, HP | {"divisor": 1})
    with pytest.raises(TrialError, match="ZeroDivisionError"):
        trainer.begin(HP | {"divisor": 0}, 0)
    assert train(trainer, HP | {"divisor": 1}) == curve
