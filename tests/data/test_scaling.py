from __future__ import annotations

import numpy as np
import pytest

from orchestrator.data.scaling import Moments, fit_scaler, moments_of


def test_features_are_standardised_by_the_training_rows_alone(npz, rows):
    x, y = rows
    data = npz(x_train=x, y_train=y, x_test=x * 100, y_test=y, x_val=x - 1e6, y_val=y)
    assert np.allclose(data.train.x.mean(axis=0), 0, atol=1e-5)
    assert np.allclose(data.train.x.std(axis=0), 1, atol=1e-5)
    assert np.allclose(data.test.x, (x * 100 - x.mean(0)) / x.std(0), rtol=1e-4)
    assert np.allclose(data.scaling["mean"], x.mean(axis=0))
    assert np.allclose(data.scaling["std"], x.std(axis=0))
    assert data.scaling["how"] == "standard"


def test_images_have_one_mean_and_deviation_a_channel(npz):
    rng = np.random.default_rng(0)
    x = rng.normal([10, 200], [1, 30], (40, 4, 4, 2))
    data = npz(x=x, y=np.arange(40) % 2)
    assert len(data.scaling["mean"]) == 2
    assert np.allclose(data.train.x.mean(axis=(0, 1, 2)), 0, atol=1e-4)


def test_a_constant_feature_is_shifted_only(npz):
    x = np.column_stack([np.full(20, 0.1), np.arange(20)])
    data = npz(x=x, y=np.arange(20) % 2)
    assert not data.train.x[:, 0].any()
    assert data.scaling["std"][0] == 1


def test_minmax_puts_training_rows_between_0_and_1(npz, rows):
    data = npz(x=rows[0], y=rows[1], options={"scale": "minmax"})
    assert data.train.x.min(axis=0).tolist() == [0, 0, 0]
    assert data.train.x.max(axis=0).tolist() == [1, 1, 1]
    assert set(data.scaling) == {"how", "min", "max"}


def test_none_leaves_the_values(npz, rows):
    data = npz(x=rows[0], y=rows[1], options={"scale": "none"})
    assert set(data.train.x[:, 0]) <= set(rows[0][:, 0].astype(np.float32))
    assert data.scaling == {"how": "none"}


def test_a_large_offset_does_not_drown_a_small_spread(npz):
    x = 1.7e9 + np.arange(100.0)[:, None] % 10
    data = npz(x=x, y=np.arange(100) % 2)
    assert np.allclose(np.unique(data.train.x).std(), 1, atol=0.1)
    assert len(np.unique(data.train.x)) == 10


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_moments_merge_to_those_of_the_whole(chunk):
    x = np.random.default_rng(1).normal(1e6, [1, 50], (100, 2))
    moments = Moments.of(x[:chunk])
    for start in range(chunk, 100, chunk):
        moments = moments.plus(x[start : start + chunk])
    assert moments.count == 100
    assert np.allclose(moments.mean, x.mean(axis=0), rtol=1e-14)
    assert np.allclose(moments.squares / 100, x.var(axis=0), rtol=1e-9)
    assert moments.low.tolist() == x.min(axis=0).tolist()


def test_moments_of_chosen_rows_are_those_of_the_rows():
    x = np.arange(20.0).reshape(10, 2)
    moments = moments_of(x, np.array([0, 9]))
    assert moments.mean.tolist() == [9, 10]
    assert fit_scaler("auto", moments).scale(x[[0, 9]]).tolist() == [[-1, -1], [1, 1]]
