from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import RecordError
from orchestrator.trials import Checkpoint, load_checkpoint, save_checkpoint

ONE = Checkpoint(
    (np.arange(6, dtype="float32").reshape(2, 3), np.array([3, 4], "uint32")),
    (np.array(7, "int64"),),
    {"trial": "00003", "epoch": 2, "hyperparameters": {"units": 8, "activation": None}},
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    file = tmp_path_factory.mktemp("whole") / "a.npz"
    save_checkpoint(file, ONE)
    return file.read_bytes()


def test_a_checkpoint_reads_back_as_it_was(tmp_path):
    save_checkpoint(tmp_path / "a.npz", ONE)
    read = load_checkpoint(tmp_path / "a.npz")
    for written, got in zip(
        (*ONE.model, *ONE.optimizer), (*read.model, *read.optimizer), strict=True
    ):
        assert written.dtype == got.dtype
        np.testing.assert_array_equal(written, got)
    assert read.about == ONE.about


def test_variables_come_back_in_their_order_however_many(tmp_path):
    many = tuple(np.array(at) for at in range(3_000))
    save_checkpoint(tmp_path / "a.npz", Checkpoint(many, many, {}))
    read = load_checkpoint(tmp_path / "a.npz")
    assert [int(at) for at in read.model] == [int(at) for at in read.optimizer] == [*range(3_000)]


@settings(max_examples=60)
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_checkpoint_is_a_record_error_that_names_the_file(
    whole, tmp_path_factory, share
):
    file = tmp_path_factory.getbasetemp() / "torn.npz"
    file.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(RecordError, match=r"torn\.npz: expected a whole checkpoint"):
        load_checkpoint(file)


@settings(max_examples=150)
@given(at=st.floats(0, 1, exclude_max=True), other=st.integers(0, 255))
def test_a_damaged_checkpoint_is_a_record_error_or_reads_as_it_was(
    whole, tmp_path_factory, at, other
):
    file = tmp_path_factory.getbasetemp() / "damaged.npz"
    place = int(at * len(whole))
    file.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
    try:
        read = load_checkpoint(file)
    except RecordError:
        return
    for a, b in zip(read.model, ONE.model, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_checkpoint_at_all_is_a_record_error(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(RecordError):
        load_checkpoint(tmp_path / "a.npz")


def test_an_absent_checkpoint_is_a_record_error(tmp_path):
    with pytest.raises(RecordError, match=r"a\.npz"):
        load_checkpoint(tmp_path / "a.npz")


def test_nothing_in_a_checkpoint_is_unpickled(tmp_path):
    harmful = np.array([object()], dtype=object)
    np.savez(tmp_path / "a.npz", about=np.array(json.dumps({})), model_0000=harmful)
    with pytest.raises(RecordError):
        load_checkpoint(tmp_path / "a.npz")
