from __future__ import annotations

import pickle

import numpy as np
import pytest

from orchestrator.data import pipelines
from orchestrator.errors import DataError

HEAD = """import tensorflow as tf
x = np.arange(80, dtype='float32').reshape(40, 2)
y = np.arange(40) % 4
def rows(n, labels=y): return tf.data.Dataset.from_tensor_slices((x[:n], labels[:n]))
"""


def numbers(split, batch_size=8, seed=None):
    return [int(value) for x, _ in split.batches(batch_size, seed) for value in x[:, 0]]


@pytest.mark.parametrize(
    "tail",
    [
        "return {'train': rows(40), 'validation': rows(20), 'test': rows(12)}",
        "return rows(40), rows(20), rows(12)",
        "return rows(40).batch(7), rows(20).batch(7), rows(12).batch(5)",
        "return rows(40).batch(8, drop_remainder=True), rows(20), rows(12)",
        "h = np.eye(4)[y]\nreturn rows(40, h), rows(20, h), rows(12, h)",
        "h = np.eye(4)[y]\nreturn rows(40, h).batch(3), rows(20, h).batch(3), rows(12, h).batch(4)",
    ],
)
def test_pipelines_are_streamed_batched_or_not(function, tail):
    data = function(HEAD + tail)
    assert data.streamed
    assert data.input_shape == (2,)
    assert data.classes == ("0", "1", "2", "3")
    assert [split.rows for split in (data.train, data.validation, data.test)] == [40, 20, 12]
    assert numbers(data.validation) == list(range(0, 40, 2))
    x, y = next(data.train.batches(16, None))
    assert (x.shape, y.dtype) == ((16, 2), np.int32)
    assert y.tolist() == [0, 1, 2, 3] * 4


def test_labels_of_a_pipeline_may_be_strings(function):
    data = function(HEAD + "s = np.array(['a', 'b', 'c', 'd'])[y]\nreturn rows(40, s), rows(20, s)")
    assert data.classes == ("a", "b", "c", "d")
    assert data.test.rows == 0
    assert list(data.test.batches(4, 0)) == []


def test_a_shuffled_pass_has_every_row_once(function):
    train = function(HEAD + "return rows(40), rows(20)").train
    assert sorted(numbers(train, 8, 1)) == numbers(train)
    assert numbers(train, 8, 1) == numbers(train, 8, 1) != numbers(train)


def test_a_worker_opens_the_pipelines_itself(function):
    data = function(HEAD + "return rows(40), rows(20)")
    copy = pickle.loads(pickle.dumps(data))  # noqa: S301 - bytes made in this line
    pipelines._opened.clear()
    assert numbers(copy.validation) == numbers(data.validation)


def test_a_pipeline_scales_itself_unless_it_is_told_to(function):
    tail = "return rows(40), rows(20)"
    assert function(HEAD + tail).scaling == {"how": "none"}
    data = function(HEAD + tail, scale="standard")
    x = np.concatenate([x for x, _ in data.train.batches(8, None)])
    assert np.allclose(x.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(x.std(axis=0), 1, atol=1e-6)


def test_the_fingerprint_does_not_depend_on_the_order_of_rows(function):
    first, other, shuffled = (
        function(HEAD + f"return rows({count}){tail}, rows(20)").fingerprint
        for count, tail in ((40, ""), (36, ""), (40, ".shuffle(40)"))
    )
    assert first == shuffled != other


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        ("return rows(40)", "one, which cannot be split"),
        ("return {'train': rows(40)}", "a validation set was expected"),
        ("return {'train': rows(40), 'validation': (x, y)}", "a dict of 'train': "),
        ("return rows(40).repeat(), rows(20)", r"that ends.*Leave \.repeat\(\) out"),
        ("return rows(0), rows(20)", "without elements"),
        ("return rows(40), rows(3)", "class '3' has 10 rows in train and none in validation"),
        ("return rows(40), rows(20).map(lambda a, b: {'a': a})", r"elements \(x, y\)"),
        ("return rows(40), rows(20).map(lambda a, b: (a, b, 1.0))", r"elements \(x, y\)"),
        ("return rows(40), rows(20).map(lambda a, b: (a / 0, b))", r"\(validation\): finite num"),
        ("return rows(40), rows(20).map(lambda a, b: (a[:1], b))", r"one shape in all splits"),
        ("return rows(40, x[:, 0] / 3), rows(20)", "not quantities"),
        (
            "return rows(40), rows(20).map(lambda a, b: (tf.gather(a, [7]), b))",
            "its code raised InvalidArgumentError",
        ),
    ],
)
def test_a_pipeline_that_cannot_be_used_is_refused_in_one_sentence(function, tail, message):
    with pytest.raises(DataError, match=message) as caught:
        function(HEAD + tail)
    assert "\n" not in str(caught.value)
