"""What a retrained configuration scores: at epochs that its other seeds choose."""

from __future__ import annotations

from types import SimpleNamespace

from orchestrator.experiment.candidates import Candidate
from orchestrator.experiment.retraining import Retraining
from orchestrator.records import trial_name


def scores(curves, mode="max", endings=None):
    """Return the scores of one candidate whose seeds have these curves."""
    by_trial = {trial_name(at): curve for at, curve in enumerate(curves)}
    ends = dict(zip(by_trial, endings or ["finished"] * len(curves), strict=True))
    records = SimpleNamespace(
        mode=mode,
        metric="val_x",
        trial=lambda name: SimpleNamespace(ending=ends[name]),
        of=lambda name: SimpleNamespace(
            epochs=[{"metrics": {"val_x": value}} for value in by_trial[name]]
        ),
    )
    candidate = Candidate("incumbent", "incumbent", {})
    retraining = Retraining(None, "incumbent", (candidate,), {})
    return retraining.scores(records, [(0, seed) for seed in range(len(curves))])["incumbent"]


def test_an_epoch_is_chosen_by_the_other_seeds():
    assert scores([[1, 5, 2], [1, 2, 4], [0, 3, 6]]) == (2, 2, 3)
    assert scores([[9, 5], [8, 7]], mode="min") == (5, 7)


def test_one_that_did_not_train_to_its_end_has_no_score():
    assert scores([[9], [1, 2], [2, 1]], endings=["diverged", *["finished"] * 2]) == (None, 1, 1)


def test_a_single_seed_has_its_best_and_one_without_a_finite_value_none():
    assert scores([[1, 3, 2]]) == (3,)
    assert scores([[None, None], [None, None]]) == (None, None)
