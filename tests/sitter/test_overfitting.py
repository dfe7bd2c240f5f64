from __future__ import annotations

import pytest


def lived(sitter, day, pairs, **hyperparameters):
    found = []
    for number, (loss, val_loss) in enumerate(pairs, 1):
        found.append(sitter.after_day(day(number, None, loss, val_loss, **hyperparameters)))
    return found


OVERFITS = [(0.5, 0.6), (0.4, 0.5), (0.3, 0.52), (0.2, 0.55)]


@pytest.mark.parametrize("mode", ["advise", "act"])
def test_validation_worsening_while_training_improves_is_only_ever_advised_on(sitter, day, mode):
    *quiet, [finding] = lived(sitter(mode), day, OVERFITS, dropout=0.2)
    assert quiet == [[]] * 3
    assert (finding.rule, finding.action, finding.changes) == (
        "overfitting",
        "none",
        {"dropout": 0.3},
    )
    assert finding.evidence["best_val_loss"] == 0.5


@pytest.mark.parametrize(
    "pairs",
    [
        [(0.5, 0.6), (0.4, 0.5), (0.3, 0.52), (0.31, 0.55)],
        [(0.5, 0.6), (0.4, 0.5), (0.3, 0.52), (0.2, 0.51)],
        [(0.5, 0.6), (0.4, 0.5), (0.3, 0.501), (0.2, 0.502)],
    ],
    ids=["training worsens too", "validation recovers", "within the smallest rise"],
)
def test_less_than_that_is_none(sitter, day, pairs):
    assert lived(sitter(), day, pairs) == [[]] * 4


def test_without_dropout_weight_decay_is_suggested(sitter, day):
    assert lived(sitter(), day, OVERFITS)[-1][0].changes == {"weight_decay": 1e-4}
    [finding] = lived(sitter(), day, OVERFITS, weight_decay=0.01)[-1]
    assert finding.changes == {"weight_decay": pytest.approx(0.03)}


def test_it_is_said_once_while_it_lasts(sitter, day):
    found = lived(sitter(), day, [*OVERFITS, (0.1, 0.6), (0.05, 0.7)])
    assert [len(each) for each in found] == [0, 0, 0, 1, 0, 0]
