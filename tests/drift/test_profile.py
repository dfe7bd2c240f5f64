"""What a run remembers of its training data: no more than it may, and never at the cost of the run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest

from orchestrator.config import parse_experiment
from orchestrator.config.data_options import DataOptions
from orchestrator.data.dataset import Dataset, Split, StreamedDataset, StreamedSplit
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


def test_a_pixel_that_is_always_black_is_0_after_the_way_back_from_its_pictures_scale():
    x = np.random.default_rng(2).integers(0, 17, size=(300, 2, 2, 1)).astype(np.float32)
    x[:, 0, 0] = 0
    scaling = {"how": "standard", "mean": [float(x.mean())], "std": [float(x.std())]}
    scaled = ((x - x.mean(dtype=float)) / x.std(dtype=float)).astype(np.float32)
    found = profile_of(replace(dataset_of(scaled, 300), scaling=scaling)).numbers
    np.testing.assert_array_equal(found, x.reshape(300, 4))


@dataclass
class Rows:
    """Batches of rows in memory, as a stream has them; ``read`` counts what was asked of it."""

    x: np.ndarray
    y: np.ndarray
    view: str = "given"
    read: int = 0

    def __call__(self, batch_size, shuffle_seed, epoch=None):
        for at in range(0, len(self.x), 70):
            self.read += 70
            yield self.x[at : at + 70], self.y[at : at + 70]


def streamed(x, y):
    reader = Rows(x, y)
    split = StreamedSplit(len(x), reader)
    about = ({"how": "none"}, "f", "mine", x.shape[1:], None, DataOptions(source="mine"), 0)
    return StreamedDataset(split, split, split, ("0", "1"), *about, view="given"), reader


def test_rows_of_a_stream_are_drawn_from_all_of_it_however_it_is_ordered():
    x = np.arange(9000, dtype=np.float32)[:, None]
    found = profile_of(streamed(x, np.repeat([0, 1], 4500))[0])
    assert (found.rows, found.read, found.total) == (2000, 9000, 9000)
    assert found.counts == {"0": 4500, "1": 4500}
    assert 900 < (found.labels == "1").sum() < 1100
    assert len(np.unique(found.numbers)) == 2000
    np.testing.assert_array_equal(found.labels == "1", found.numbers[:, 0] >= 4500)
    again = profile_of(streamed(x, np.repeat([0, 1], 4500))[0])
    np.testing.assert_array_equal(found.numbers, again.numbers)


def test_a_long_stream_is_not_read_to_its_end_and_that_is_said():
    x = np.zeros((80_000, 1), np.float32)
    data, reader = streamed(x, np.arange(80_000) % 2)
    found = profile_of(data)
    assert 50_000 <= reader.read < 51_000
    assert sum(found.counts.values()) == 50_000
    said = "2,000 of the first 50,000 of 80,000 training rows of today"
    assert found.sample_said("today") == said
    kept = Profile.from_bytes(found.kept().to_bytes())
    assert kept.sample_said("then") == "256 of the first 50,000 of 80,000 training rows of then"


def test_nothing_is_said_of_rows_that_are_all_compared():
    x = np.zeros((90, 1), np.float32)
    assert profile_of(streamed(x, np.arange(90) % 2)[0]).sample_said("today") == ""


def test_of_wide_labels_those_of_the_rows_drawn_are_held_alone():
    data, _ = streamed(np.zeros((5000, 1), np.float32), np.zeros((5000, 65), np.float32))
    found = data.train.sample(100, 5000)
    assert (found.read, found.labels.shape) == (5000, (100, 65))
