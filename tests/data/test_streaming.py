from __future__ import annotations

import pickle
import tracemalloc
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from orchestrator.data import table_file, trees
from orchestrator.errors import DataError

COUNT = 6_000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "row": np.arange(COUNT),
            "a": rng.normal(size=COUNT),
            "kind": rng.choice(["p", "q", "r"], COUNT),
            "y": rng.choice(["u", "v"], COUNT, p=[0.9, 0.1]),
        }
    )


@pytest.fixture(params=["csv", "parquet"])
def source(request, tmp_path, frame, monkeypatch):
    """A file of several blocks or row groups, and its name."""
    monkeypatch.setattr(table_file, "BLOCK_BYTES", 16_384)
    monkeypatch.setattr(table_file, "BATCH_ROWS", 300)
    if request.param == "csv":
        frame.to_csv(tmp_path / "rows.csv", index=False)
    else:
        frame.to_parquet(tmp_path / "rows.parquet", row_group_size=700)
    return f"./rows.{request.param}"


def whole(split, batch_size=256, seed=None):
    pieces = list(split.batches(batch_size, seed))
    assert all(len(x) == len(y) == batch_size for x, y in pieces[:-1])
    return np.concatenate([x for x, _ in pieces]), np.concatenate([y for _, y in pieces])


def test_a_stream_has_the_same_rows_in_the_same_splits_as_memory(source, load):
    memory, stream = (load(source, label="y", stream=way) for way in (False, True))
    assert stream.streamed
    for part in ("train", "validation", "test"):
        x, y = whole(getattr(stream, part))
        assert getattr(stream, part).rows == len(y)
        assert np.allclose(x, getattr(memory, part).x, atol=1e-6)
        assert y.tolist() == getattr(memory, part).y.tolist()
    for name in ("classes", "fingerprint", "columns", "input_shape", "num_classes", "source"):
        assert getattr(stream, name) == getattr(memory, name)
    assert np.allclose(stream.scaling["mean"], memory.scaling["mean"])
    assert np.allclose(stream.scaling["std"], memory.scaling["std"])


def test_a_shuffled_pass_has_every_row_once_in_an_order_of_its_seed(source, load):
    train = load(source, label="y", stream=True, scale="none").train
    ordered, first, again, other = (whole(train, 64, seed)[0][:, 0] for seed in (None, 1, 1, 2))
    assert sorted(first) == sorted(ordered)
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert first.tolist() != ordered.tolist()


def test_a_stream_survives_pickling_and_opens_the_file_anew(source, load):
    data = load(source, label="y", stream=True)
    copy = pickle.loads(pickle.dumps(data))  # noqa: S301 - bytes made in this line
    assert np.array_equal(whole(copy.test)[0], whole(data.test)[0])
    assert (copy.reference, copy.options, copy.seed) == (data.reference, data.options, 0)


def test_batches_are_float32_and_int32_and_the_last_may_be_smaller(source, load):
    test = load(source, label="y", stream=True).test
    sizes = [len(y) for _, y in test.batches(500, None)]
    assert sizes == [500, 500, test.rows - 1000]
    x, y = next(test.batches(500, 3))
    assert (x.dtype, y.dtype, x.flags.c_contiguous) == (np.float32, np.int32, True)


def test_auto_streams_what_takes_a_quarter_of_the_free_memory(source, load, monkeypatch):
    assert not load(source, label="y").streamed
    monkeypatch.setattr(trees, "SHARE_OF_MEMORY", 1e-9)
    assert load(source, label="y").streamed


def test_a_parquet_files_row_groups_come_in_a_shuffled_order(tmp_path, load, frame, monkeypatch):
    monkeypatch.setattr(trees, "POOL_ROWS", 100)
    frame.to_parquet(tmp_path / "rows.parquet", row_group_size=500)
    train = load("./rows.parquet", label="y", stream=True, scale="none").train
    first = [whole(train, 50, seed)[0][:50, 0].mean() for seed in range(4)]
    assert max(first) - min(first) > COUNT / 4


def test_a_streams_memory_does_not_grow_with_its_file(tmp_path, load, monkeypatch):
    monkeypatch.setattr(table_file, "BLOCK_BYTES", 2**16)
    monkeypatch.setattr(trees, "POOL_ROWS", 1_000)
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(20_000, 40)).round(3)).rename(columns=str)
    frame.assign(y=rng.integers(0, 3, 20_000)).to_csv(tmp_path / "rows.csv", index=False)
    array_bytes = 20_000 * 40 * 8
    tracemalloc.start()
    before = pa.total_allocated_bytes()
    try:
        data = load("./rows.csv", label="y", stream=True)
        held = max(pa.total_allocated_bytes() - before for _ in data.train.batches(64, 1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < array_bytes / 2
    assert held < array_bytes / 2


def test_a_value_that_breaks_a_columns_type_late_in_the_file_is_one_sentence(tmp_path, load):
    rows = "".join(f"{i},{i % 2}\n" for i in range(300_000))
    (tmp_path / "rows.csv").write_text("a,y\n" + rows + "abc,1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"invalid value 'abc'") as caught:
        load("./rows.csv", label="y", stream=True)
    assert "\n" not in str(caught.value)


def test_whole_numbers_may_become_fractions_late_in_the_file(tmp_path, load):
    rows = "".join(f"{i},{i % 2}\n" for i in range(300_000))
    (tmp_path / "rows.csv").write_text("a,y\n" + rows + "0.5,1\n", encoding="utf-8")
    assert load("./rows.csv", label="y", stream=True).scaling["mean"][0] > 1e5


def test_missing_values_are_found_in_a_stream(source, load, tmp_path, frame):
    frame = frame.assign(a=frame.a.where(frame.row != 5_000))
    ending = source.rpartition(".")[2]
    getattr(frame, f"to_{ending}")(tmp_path / f"rows.{ending}", index=False)
    with pytest.raises(DataError, match="missing: 1 in column 'a'"):
        load(source, label="y", stream=True)


@pytest.mark.parametrize("sizes", [[1] * 10, [10], [3, 0, 4, 3]])
@pytest.mark.parametrize("seed", [None, 0])
def test_chunks_of_any_size_become_batches_of_one_size(sizes, seed):
    starts = np.cumsum([0, *sizes])
    chunks = [
        (np.arange(a, b, dtype=np.float32)[:, None], np.arange(a, b, dtype=np.int32))
        for a, b in pairwise(starts)
    ]
    found = list(trees.rebatch(chunks, 4, seed))
    assert [len(y) for _, y in found] == [4, 4, 2]
    assert sorted(np.concatenate([y for _, y in found]).tolist()) == list(range(10))
    assert all((x[:, 0] == y).all() for x, y in found)


def test_the_pool_holds_a_bounded_number_of_rows(monkeypatch):
    monkeypatch.setattr(trees, "POOL_ROWS", 100)
    taken = 0

    def chunks():
        nonlocal taken
        for _ in range(100):
            taken += 10
            yield np.zeros((10, 1), np.float32), np.zeros(10, np.int32)

    given = 0
    for _, y in trees.rebatch(chunks(), 8, 0):
        given += len(y)
        assert taken - given <= 100 + 10
    assert given == 1000
