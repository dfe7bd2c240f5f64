"""The corrected score is nearly right where the raw one is too good: searches are made up whose truths are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from orchestrator.records import RunFolder, RunWriter, TrialEnd, read_run
from orchestrator.search import selection_bias
from orchestrator.search.selection_bias import KEPT, SHARED, corrected_score, optimism


@pytest.fixture(autouse=True)
def few_draws(monkeypatch):
    monkeypatch.setattr(selection_bias, "DRAWS", 40)


def a_search(rng, trials, epochs, spread):
    """Return (values, truths) (trials, epochs): rising curves, and all of the noise of 1 but the shared."""
    truth = rng.normal(0, spread, trials)[:, None] - 6 * np.exp(-np.arange(epochs) / 3) * (
        epochs > 1
    )
    noise = rng.normal(0, math.sqrt(1 - SHARED), truth.shape)
    for at in range(1, epochs):
        noise[:, at] = KEPT * noise[:, at - 1] + math.sqrt(1 - KEPT**2) * noise[:, at]
    return truth + noise, truth


def biases(trials, epochs, spread, searches=30):
    """Return how much too good the raw and the corrected score of the winner are on average, in standard errors."""
    rng = np.random.default_rng(7)
    raw, corrected = [], []
    for _ in range(searches):
        values, truth = a_search(rng, trials, epochs, spread)
        at = np.unravel_index(values.argmax(), values.shape)
        raw.append(values[at] - truth[at])
        corrected.append(raw[-1] - optimism(values.tolist(), 1.0)[0])
    return np.mean(raw), np.mean(corrected)


@pytest.mark.parametrize(
    ("trials", "epochs", "spread"),
    [(1, 27, 0), (5, 1, 0), (20, 1, 0), (20, 1, 0.5), (100, 1, 0), (20, 9, 0.5), (60, 9, 2)],
)
def test_the_corrected_score_is_nearly_right_where_the_raw_one_is_too_good(trials, epochs, spread):
    raw, corrected = biases(trials, epochs, spread)
    assert raw > 0.35
    assert abs(corrected) < min(0.3, 0.6 * raw)


@pytest.mark.parametrize(("trials", "epochs"), [(2, 1), (20, 1)])
def test_where_truths_differ_by_far_more_than_the_noise_there_is_little_to_correct(trials, epochs):
    raw, corrected = biases(trials, epochs, spread=8)
    assert abs(raw) < 0.25 and abs(corrected) < 0.3


def test_a_winner_far_ahead_is_not_held_to_what_the_others_scored():
    others = [[value] for value in np.random.default_rng(0).normal(0, 1, 50)]
    assert optimism([*others, [100.0]], 1.0)[0] == pytest.approx(0, abs=0.2)


def test_trials_that_failed_change_nothing():
    tops = [[value] for value in np.random.default_rng(1).normal(0, 0.3, 20)]
    assert optimism([*tops, *[[-1000.0]] * 30], 1.0) == optimism(tops, 1.0)


def test_more_noise_more_correction_none_none():
    curves = np.random.default_rng(2).normal(0, 0.5, (20, 5)).tolist()
    found = [optimism(curves, noise)[0] for noise in (0, 0.2, 1.0, 3.0)]
    assert found[0] == 0
    assert found == sorted(found)


def test_it_is_the_same_at_every_reading():
    curves = np.random.default_rng(3).normal(0, 1, (10, 4)).tolist()
    assert optimism(curves, 1.0) == optimism(curves, 1.0)


def test_long_runs_are_thinned_and_not_slow():
    curves = np.random.default_rng(4).normal(0, 1, (2000, 300)).tolist()
    found, _ = optimism(curves, 1.0)
    assert 0.5 < found < 5


@pytest.fixture
def recorded(tmp_path):
    """`recorded(curves, rows, winner={}, metric="val_accuracy")`: a run's records."""

    def make(curves, rows=200, winner=None, **experiment):
        folder = RunFolder.create(tmp_path, "one")
        asked = {"name": "one", "model": "mlp", "metric": "val_accuracy", **experiment}
        folder.write_experiment("\n".join(f"{key}: {value}" for key, value in asked.items()))
        folder.write_manifest({"data": {"rows": {"validation": rows}}})
        with RunWriter(folder) as writer:
            for index, curve in enumerate(curves):
                trial = f"{index:05}"
                writer.trial_started(trial, index, index, {})
                writer.epochs(
                    {
                        "trial": trial,
                        "epoch": at,
                        "metrics": {asked["metric"]: value},
                        "seconds": 0.1,
                    }
                    for at, value in enumerate(curve, 1)
                )
                writer.trial_ended(TrialEnd(trial, "finished", 1.0))
            if winner:
                writer.event("winner", epoch=1, metric=1.0, **winner)
        return read_run(folder.path)

    return make


def test_an_accuracy_is_corrected_by_its_number_of_rows(recorded):
    found = corrected_score(recorded([[0.9], [0.89], [0.905]], rows=200))
    assert found.raw == 0.905
    assert found.value < 0.9 and found.low < found.value < found.high <= 1
    assert found.noise == pytest.approx(math.sqrt(0.9 * 0.1 / 200), rel=0.05)
    assert (found.trials, found.epochs) == (3, 3)


def test_a_loss_is_corrected_upwards_by_the_noise_that_its_examination_found(recorded):
    curves = [[0.5, 0.41], [0.6, 0.42], [0.55, 0.43]]
    winner = {"trial": "00000", "noise": {"val_loss": 0.05}, "validation": {"loss": 0.41}}
    found = corrected_score(recorded(curves, winner=winner, metric="val_loss", mode="min"))
    assert found.value > found.raw == 0.41
    assert found.noise == 0.05


@pytest.mark.parametrize(
    ("curves", "experiment"),
    [
        ([[0.9]], {}),
        ([[math.nan], [0.5]], {}),
        ([[0.9], [0.8]], {"metric": "accuracy"}),
        ([[0.9], [0.8]], {"metric": "val_loss", "mode": "min"}),
        ([], {}),
    ],
)
def test_nothing_is_corrected_where_nothing_was_picked_or_its_noise_is_not_known(
    recorded, curves, experiment
):
    assert corrected_score(recorded(curves, **experiment)) is None


def test_all_right_is_not_free_of_noise(recorded):
    found = corrected_score(recorded([[1.0]] * 20, rows=36))
    assert found.raw == 1.0
    assert 0.9 < found.value < 1
