from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from orchestrator.data import elements, pipelines
from orchestrator.errors import DataError
from tests.depth import further

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
        further("return rows(40), rows(20), rows(12)"),
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
        ("return rows(3), rows(40)", "class '3' has 10 rows in validation and none in train"),
        ("return rows(40), rows(20).map(lambda a, b: {'a': a})", r"elements \(x, y\)"),
        ("return rows(40), rows(20).map(lambda a, b: (a, b, 1.0, 2.0))", r"elements \(x, y\)"),
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
        function(HEAD + tail, task="classification")
    assert "\n" not in str(caught.value)


FOREVER = """import tensorflow as tf
r = np.random.default_rng(0)
x = np.arange(800, dtype='float32').reshape(200, 4)
def batches(start, stop, size=32):
    def forever():
        r = np.random.default_rng(start)
        while True:
            rows = r.integers(start, stop, size)
            yield x[rows], rows % 2
    shapes = tf.TensorSpec((None, 4), tf.float32), tf.TensorSpec((None,), tf.int32)
    return tf.data.Dataset.from_generator(forever, output_signature=shapes)
def counting(stop=None):
    def count():
        for at in itertools.count():
            if at == stop: return
            yield np.full((8, 1), at, 'float32'), np.arange(8) % 2
    shapes = tf.TensorSpec((8, 1), tf.float32), tf.TensorSpec((8,), tf.int32)
    return tf.data.Dataset.from_generator(count, output_signature=shapes)
import itertools
"""


def test_a_generator_without_end_is_noticed_by_its_rows(function):
    with pytest.raises(DataError) as caught:
        function(FOREVER + "return batches(0, 150), batches(150, 200)")
    said = str(caught.value)
    assert "(train): a tf.data.Dataset that ends was expected" in said
    assert "rows read so far, the same 150 rows again and again" in said
    assert "data.steps_per_epoch: 100" in said
    assert "\n" not in said


def test_one_whose_rows_are_new_each_time_is_noticed_by_the_clock(function, monkeypatch):
    monkeypatch.setattr(elements, "MOST_SECONDS", 0.0)
    with pytest.raises(
        DataError, match=r"\(train\).*rows read so far.*and no end.*steps_per_epoch"
    ):
        function(FOREVER + "return counting(), counting()")


def test_reading_a_pipeline_of_unknown_length_shows_how_far_it_is(function, monkeypatch, capsys):
    monkeypatch.setattr(elements, "SPEAK_SECONDS", 0.0)
    data = function(FOREVER + "return counting(20), counting(3)")
    assert "(train): read 80 rows so far" in capsys.readouterr().err
    assert (data.train.rows, data.validation.rows) == (160, 24)


def test_few_different_rows_that_end_are_no_generator_without_end(function):
    body = FOREVER + "return batches(0, 50).take(900), batches(0, 50).take(2)"
    assert function(body).train.rows == 900 * 32


@pytest.mark.parametrize("tail", ["counting(), counting()", "counting(9).repeat(), counting()"])
def test_steps_make_epochs_of_an_endless_pipeline(function, tail):
    data = function(FOREVER + f"return {tail}", steps_per_epoch=4, validation_steps=2)
    assert (data.train.rows, data.validation.rows) == (32, 16)

    def batches_of(epoch):
        return [int(x[0, 0]) for x, _ in data.train.batches(8, None, epoch)]

    assert [batches_of(epoch) for epoch in (0, 1)] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert batches_of(1) == [4, 5, 6, 7]
    assert numbers(data.validation) == numbers(data.validation) == [0] * 8 + [1] * 8
    assert sorted(numbers(data.train, 8, 3)) == numbers(data.train)


def test_an_epoch_in_steps_is_the_same_after_another_that_was_left_in_its_middle(function):
    data = function(
        FOREVER + "return counting(), counting()", steps_per_epoch=3, validation_steps=1
    )
    expected = [int(x[0, 0]) for x, _ in data.train.batches(8, None, 2)]
    next(data.train.batches(8, None, 1))
    pipelines._opened.clear()
    assert [int(x[0, 0]) for x, _ in data.train.batches(8, None, 2)] == expected == [6, 7, 8]


def test_a_pipeline_that_ends_begins_anew_where_its_steps_go_on(function):
    data = function(FOREVER + "return counting(5), counting(5)", steps_per_epoch=3)
    assert [int(x[0, 0]) for x, _ in data.train.batches(8, None, 1)] == [3, 4, 0]
    assert data.validation.rows == 40


def test_a_label_that_the_first_steps_do_not_have_is_refused(function):
    body = FOREVER + "d = counting().map(lambda a, b: (a, b + tf.cast(a[:, 0] > 3, tf.int32)))"
    data = function(body + "\nreturn d, d", steps_per_epoch=2, validation_steps=2)
    assert len(list(data.train.batches(8, None, 0))) == 2
    with pytest.raises(DataError, match=r"labels that the first steps have.*2.*steps_per_epoch"):
        list(data.train.batches(8, None, 2))


def test_steps_of_single_rows_are_refused(function):
    with pytest.raises(DataError, match=r"of batches was expected with data\.steps_per_epoch"):
        function(HEAD + "return rows(40), rows(20)", steps_per_epoch=2)


@pytest.mark.parametrize(
    ("x", "y", "batched"),
    [
        ((None, 4), (None,), True),
        ((None, 4), (None, 3), True),
        ((8, 4), (8,), True),
        ((8, 4), (8, 3), True),
        ((None, 28, 28, 1), (None, 10), True),
        ((None,), (None,), True),
        ((4,), (), False),
        ((4,), (4,), False),
        ((4,), (3,), False),
        ((28, 28, 1), (10,), False),
        ((28, 28, 1), (1,), False),
        ((28, 28), (28, 27), True),
    ],
)
def test_a_batch_is_known_by_its_spec(x, y, batched):
    import tensorflow as tf

    assert elements.is_batched([tf.TensorSpec(x)], [tf.TensorSpec(y)]) == batched


def test_one_hot_labels_of_as_many_classes_as_features_are_rows(function):
    tail = "z = np.eye(4)[y]\nw = np.concatenate([x, x], 1)\nd = tf.data.Dataset"
    data = function(HEAD + tail + ".from_tensor_slices((w, z))\nreturn d, d")
    assert (data.train.rows, data.input_shape, data.num_classes) == (40, (4,), 4)


@pytest.mark.parametrize("tail", ["", ".batch(7)", ".batch(8, drop_remainder=True)"])
def test_few_rows_are_the_same_batches_whatever_they_are_read_in(function, tail):
    data = function(HEAD + f"return rows(40){tail}, rows(20){tail}")
    assert data.train.batches.few
    for size, seed in ((3, None), (16, None), (8, 1), (64, 2)):
        one_by_one = replace(data.train.batches, few=False)(size, seed)
        for (x, y), (same_x, same_y) in zip(
            data.train.batches(size, seed), one_by_one, strict=True
        ):
            assert np.array_equal(x, same_x)
            assert np.array_equal(y, same_y)


@pytest.mark.parametrize("limit", ["POOL_ROWS", "POOL_BYTES"])
def test_rows_that_are_not_shuffled_all_at_once_are_read_as_they_come(function, monkeypatch, limit):
    monkeypatch.setattr(pipelines, limit, 40)
    assert not function(HEAD + "return rows(40), rows(4)").train.batches.few


KEPT = """
w = np.linspace(1, 2, 40).astype('float32')
def weighted(n): return tf.data.Dataset.from_tensor_slices((x[:n], y[:n], w[:n])).batch(7)
"""


def rows_of(split):
    return sorted(zip(split.x.tolist(), split.y.tolist(), split.weight.tolist(), strict=True))


def test_rows_that_are_kept_are_those_of_the_stream_in_the_same_splits(function):
    body = HEAD + KEPT + "return weighted(40), weighted(20)"
    streamed, kept = function(body), function(body, stream=False)
    assert (streamed.streamed, kept.streamed) == (True, False)
    assert [part.rows for part in (kept.train, kept.validation, kept.test)] == [40, 20, 0]
    for part in ("train", "validation"):
        (x, y, weight), *others = getattr(streamed, part).batches(64, None)
        assert not others
        given = [array.tolist() for array in (x, y, weight)]
        assert rows_of(getattr(kept, part)) == sorted(zip(*given, strict=True))
    assert np.array_equal(kept.validation.x, x), "in the pipeline's order"
    for fact in ("fingerprint", "classes", "scaling", "input_shape", "view", "source"):
        assert getattr(kept, fact) == getattr(streamed, fact)


def test_kept_rows_are_scaled_as_streamed_ones_and_have_the_types_that_keras_takes(function):
    body = HEAD + "def wide(n): return rows(n).map(lambda a, b: (tf.cast(a, tf.float64), b))\n"
    body += "return wide(40), wide(20), wide(12)"
    assert function(body, stream=False).train.x.dtype == np.float32
    streamed, kept = (function(body, scale="standard", stream=how) for how in ("auto", False))
    assert np.array_equal(kept.test.x, next(streamed.test.batches(64, None))[0])
    assert np.array_equal(kept.raw, function(body).test.batches.raw(64))
    assert kept.scaling == streamed.scaling


def test_kept_training_rows_have_one_order_however_they_were_shuffled(function):
    first, again = (
        function(HEAD + f"return rows(40){how}, rows(20)", stream=False).train
        for how in ("", ".shuffle(40)")
    )
    assert np.array_equal(first.x, again.x)
    assert np.array_equal(first.y, again.y)


def test_kept_rows_may_be_weighted_by_class(function):
    weights = {"0": 3.0}
    data = function(HEAD + "return rows(40), rows(20)", stream=False, class_weight=weights)
    assert data.train.weight.sum() == 10 * 3 + 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps_per_epoch": 3}, r"stream: false was expected without data\.steps_per_epoch"),
        ({}, r"fit in a quarter of the free memory.*Leave data\.stream out"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(function, monkeypatch, options, message):
    monkeypatch.setattr(pipelines, "bytes_for_data", lambda: 300)
    with pytest.raises(DataError, match=message):
        function(HEAD + "return rows(40).batch(8), rows(20).batch(8)", stream=False, **options)


def test_validation_steps_keep_the_first_batches(function):
    body = FOREVER + "return counting(20), counting()"
    data = function(body, stream=False, validation_steps=2)
    assert (data.train.rows, data.validation.rows) == (160, 16)
    assert data.validation.x[:, 0].tolist() == [0] * 8 + [1] * 8
