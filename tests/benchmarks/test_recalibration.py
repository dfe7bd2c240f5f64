"""Which model each rule for BatchNormalization averages hands over."""

from __future__ import annotations


def test_validation_rows_decide_and_test_rows_are_what_comes_of_it():
    from recalibration import Epoch, handed_over

    def scores(accuracy, loss):
        return {"accuracy": accuracy, "loss": loss}

    epochs = [
        Epoch(scores(0.8, 0.5), scores(0.1, 1.0), scores(0.95, 0.4), scores(0.2, 2.0)),
        Epoch(scores(0.9, 0.6), scores(0.3, 3.0), scores(0.85, 0.5), scores(0.4, 4.0)),
    ]
    assert {rule: test["accuracy"] for rule, test in handed_over(epochs).items()} == {
        "off": 0.3,
        "final": 0.4,
        "auto: loss": 0.4,
        "auto: metric": 0.3,
        "auto: both": 0.3,
        "every_validation": 0.2,
    }
