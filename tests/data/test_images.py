"""A folder of pictures, one folder a class, is a dataset."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import tensorflow as tf

from orchestrator.config import parse_experiment
from orchestrator.config.targets import TARGETS
from orchestrator.data import trees
from orchestrator.data.pictures import read_header
from orchestrator.errors import DataError
from orchestrator.experiment.packaging import gather

ENCODERS = {"png": tf.io.encode_png, "jpg": tf.io.encode_jpeg}


@pytest.fixture
def draw(tmp_path):
    """Write pictures of noise into folders: ``draw("cat/1.png", (4, 5, 3))``."""

    def _draw(name, shape=(4, 5, 3), seed=0):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        path.write_bytes(ENCODERS[name.rpartition(".")[2]](pixels).numpy())
        return pixels

    return _draw


@pytest.fixture
def pets(draw):
    """Twenty pictures of two classes, by the sum of their pixels."""
    return {
        int(draw(f"{name}/{at}.png", seed=100 * at + number).sum()): name
        for number, name in enumerate(("cat", "dog"))
        for at in range(10)
    }


def rows(data, part):
    split = getattr(data, part)
    if not data.streamed:
        return split.x, split.y
    x, y = zip(*split.batches(3, None), strict=True)
    return np.concatenate(x), np.concatenate(y)


def test_folders_and_files_whose_names_are_no_utf_8_are_as_any_others(load, draw):
    names = [os.fsdecode(name) for name in (b"gr\xfcn", b"wei\xdf")]
    for name in names:
        for at in range(10):
            draw(os.fsdecode(b"%s/\xe9%d.png" % (os.fsencode(name), at)))
    assert load("./photos/", scale="none").classes == tuple(names)


@pytest.mark.parametrize("stream", [False, True])
def test_each_folder_is_a_class_and_each_picture_a_row(load, pets, stream):
    data = load("./photos/", scale="none", stream=stream)
    assert data.streamed == stream
    assert (data.classes, data.input_shape) == (("cat", "dog"), (4, 5, 3))
    found = {}
    for part in ("train", "validation", "test"):
        x, y = rows(data, part)
        assert getattr(data, part).rows == len(y)
        found |= {
            int(one.astype(np.int64).sum()): data.classes[c] for one, c in zip(x, y, strict=True)
        }
    assert found == pets


def test_a_stream_has_the_same_pictures_in_the_same_splits_as_memory(load, pets):
    memory, stream = (load("./photos", stream=way) for way in (False, True))
    copy = pickle.loads(pickle.dumps(stream))  # noqa: S301 - bytes made in this line
    for part in ("train", "validation", "test"):
        assert np.allclose(rows(copy, part)[0], rows(memory, part)[0], atol=1e-5)
        assert rows(copy, part)[1].tolist() == rows(memory, part)[1].tolist()
    assert stream.fingerprint == memory.fingerprint
    first, again, other = (
        np.concatenate([y for _, y in stream.train.batches(4, s)]) for s in (1, 1, 2)
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_large_folders_are_streamed(load, pets, monkeypatch):
    monkeypatch.setattr(trees, "SHARE_OF_MEMORY", 1e-12)
    assert load("./photos").streamed


def test_splits_may_be_folders(load, draw):
    counts = {"train": 6, "val": 3, "test": 2}
    for part, count in counts.items():
        for at in range(count):
            for name in ("a", "b"):
                draw(f"{part}/{name}/{at}.jpg", seed=at)
    for stream in (False, True):
        data = load("./photos", stream=stream)
        assert (data.train.rows, data.validation.rows, data.test.rows) == (12, 6, 4)


def test_pixels_are_those_that_keras_reads(load, draw, tmp_path):
    import keras

    for at in range(5):
        draw(f"a/{at}.jpg", (9, 7, 3), at)
        draw(f"b/{at}.jpg", (6, 8, 3), at)
    theirs = keras.utils.image_dataset_from_directory(
        tmp_path / "photos", image_size=(6, 6), batch_size=None, shuffle=False, verbose=False
    )
    expected = np.stack([x for x, _ in theirs.as_numpy_iterator()])
    data = load("./photos", scale="none", image_size=[6, 6])
    ours = np.concatenate([rows(data, part)[0] for part in ("train", "validation", "test")])

    def in_order(x):
        return x[np.argsort(x.reshape(len(x), -1).mean(axis=1))]

    assert np.abs(in_order(ours) - in_order(expected)).max() <= 0.51


@pytest.mark.parametrize(
    ("shapes", "channels"),
    [
        ([(4, 5, 1), (4, 5, 1)], 1),
        ([(4, 5, 1), (4, 5, 3)], 3),
        ([(4, 5, 3), (4, 5, 4)], 3),
        ([(4, 5, 2), (4, 5, 1)], 1),
        ([(4, 5, 4), (4, 5, 2)], 3),
    ],
)
def test_grey_colour_and_alpha_become_one_shape(load, draw, shapes, channels):
    for at in range(4):
        for name, shape in zip("ab", shapes, strict=True):
            draw(f"{name}/{at}.png", shape, at)
    assert load("./photos").input_shape == (4, 5, channels)


def test_pictures_of_different_sizes_are_asked_about(load, draw):
    for at in range(4):
        draw(f"a/{at}.png", (4, 5, 3), at)
        draw(f"b/{at}.png", (8, 9, 3), at)
    with pytest.raises(DataError, match=r"2 different sizes.*data\.image_size: \[8, 9\]"):
        load("./photos")
    assert load("./photos", image_size=[6, 7]).input_shape == (6, 7, 3)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("content", [b"", b"no picture", "half"])
def test_a_broken_file_is_named(load, pets, tmp_path, content, stream):
    path = tmp_path / "photos" / "cat" / "3.png"
    path.write_bytes(path.read_bytes()[:60] if content == "half" else content)
    with pytest.raises(DataError, match=r"decoded were expected.*cat/3\.png") as caught:
        load("./photos", stream=stream)
    assert "\n" not in str(caught.value)


def test_other_files_are_left_out_with_a_word(load, pets, tmp_path, capsys):
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("mew")
    (tmp_path / "photos" / ".DS_Store").write_text("")
    assert load("./photos").train.rows == 12
    assert "1 files that are no pictures are left out (cat/notes.txt)" in capsys.readouterr().err


def test_folders_that_are_no_classes_are_refused(load, draw, tmp_path):
    draw("a/1.png")
    with pytest.raises(DataError, match="at least two folders in photos, one a class"):
        load("./photos")
    (tmp_path / "photos" / "b").mkdir()
    with pytest.raises(DataError, match="PNG, JPEG, GIF or BMP files were expected in b"):
        load("./photos")


def test_headers_say_what_the_decoder_gives(draw, tmp_path):
    for name, shape in (
        ("a.png", (4, 5, 4)),
        ("b.jpg", (9, 7, 3)),
        ("c.jpg", (3, 2, 1)),
        ("d.png", (3, 2, 1)),
    ):
        draw(name, shape)
        header = read_header(tmp_path / "photos" / name)
        assert (header.height, header.width, header.channels) == shape


def test_options_of_other_sources_are_refused(load, pets):
    with pytest.raises(
        DataError, match=r"data\.label was expected for CSV, Parquet and frames alone"
    ):
        load("./photos", label="y")


def test_a_folder_is_sent_file_by_file_to_a_place_that_does_not_see_it(pets, tmp_path):
    experiment = parse_experiment(
        {"model": "mlp", "search_space": "mlp", "name": "n", "data": {"source": "./photos/"}}
    ).at(tmp_path)
    gathered = gather(experiment, TARGETS["kuberay"](), in_place=False)
    assert gathered.references["data"] == "./photos/"
    assert len(gathered.sent) == 20
    assert "photos/cat/0.png" in gathered.sent
