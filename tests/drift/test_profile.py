"""What a run remembers of its training data: no more than it may, and never at the cost of the run."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.config import parse_experiment
from orchestrator.data.dataset import Dataset, Split
from orchestrator.drift.profile import LOOKED_AT_NUMBERS, Profile, profile_of
from orchestrator.experiment.data_profile import profile_to_keep

RNG = np.random.default_rng(0)


def dataset_of(x, rows=3000):
    y = np.arange(rows) % 2
    split = Split(x, y, None)
    return Dataset(split, split, split, ("0", "1"), {"how": "none"}, "f", "mine")


def prepared(dataset, **data):
    experiment = parse_experiment(
        {"name": "one", "model": "mlp", "search_space": "mlp", "data": {"source": "digits", **data}}
    )
    return SimpleNamespace(trials=SimpleNamespace(dataset=dataset), experiment=experiment)


def test_of_wide_rows_fewer_are_looked_at():
    wide = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint8), (3000, 200, 200, 1), (0, 0, 0, 0))
    found = profile_of(dataset_of(wide))
    assert found.rows == LOOKED_AT_NUMBERS // 40_000 == 500
    assert found.numbers.shape[1] <= 1024


def test_rows_of_several_inputs_are_counted_together():
    inputs = {"a": np.zeros((3000, 4)), "b": RNG.normal(size=(3000, 3))}
    assert profile_of(dataset_of(inputs)).numbers.shape == (2000, 7)


def test_with_0_rows_no_row_is_kept():
    data = dataset_of(RNG.normal(size=(3000, 4)).astype(np.float32))
    kept = profile_to_keep(prepared(data, profile_rows=0))
    assert isinstance(kept, bytes) and Profile.from_bytes(kept).rows == 0
    assert Profile.from_bytes(profile_to_keep(prepared(data))).rows == 256


@pytest.mark.parametrize("error", [RuntimeError("read once"), MemoryError(), OSError("gone")])
def test_data_that_cannot_be_read_again_cost_the_profile_alone(error):
    class Once:
        streamed = True
        table = None

        @property
        def input_shape(self):
            raise error

    assert profile_to_keep(prepared(Once())) == f"{type(error).__name__}: {error}"


def test_trials_without_data_have_no_profile():
    assert profile_to_keep(prepared(None)) is None


@pytest.mark.parametrize("how", ["standard", "minmax"])
def test_scaling_and_its_way_back_change_no_number(how):
    x = np.random.default_rng(1).poisson(1.0, size=(3000, 5)).astype(np.float32)
    x[:, 4] = 0
    mean, std, high = x.mean(0), np.where(x.std(0) > 0, x.std(0), 1), x.max(0)
    scaling = {
        "how": how,
        "mean": mean.tolist(),
        "std": std.tolist(),
        "min": [0] * 5,
        "max": high.tolist(),
    }
    scaled = (x - mean) / std if how == "standard" else x / np.where(high > 0, high, 1)
    rows = np.arange(3000) % 2
    split = Split(scaled.astype(np.float32), rows, None)
    found = profile_of(Dataset(split, split, split, ("0", "1"), scaling, "f", "mine")).numbers
    assert {float(value) for value in np.unique(found)} <= {float(value) for value in range(12)}
