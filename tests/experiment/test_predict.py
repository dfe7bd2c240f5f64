"""A run's winner is asked about rows in every form that training takes; what does not fit is refused in a sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from orchestrator.errors import DataError, UnknownNameError
from orchestrator.experiment import run

SPACE = {"learning_rate": "choice([0.05])", "units": "choice([8])", "batch_size": "choice([16])"}
SUBCLASS = """
import keras

class Net(keras.Model):
    def __init__(self, classes):
        super().__init__()
        self.head = keras.layers.Dense(classes)

    def call(self, x):
        return self.head(x)

def build(hp, input_shape, num_classes):
    return Net(num_classes)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("predict")


@pytest.fixture(scope="module")
def trained(place):
    """`trained(name, data=..., model=...)`: a finished run, trained in this process."""

    def finished(name, data, **keys):
        asked = {
            "name": name, "model": "mlp", "data": data, "epochs": 4, "search_space": SPACE,
            "caviar": {"num_samples": 1, "scheduler": "none"}, "storage_path": str(place / "runs"),
        }  # fmt: skip
        return run(asked | keys, progress=False, executor="inline")

    return finished


def blobs(rows=120, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, rows)
    return rng.normal(0, 1, (rows, 4)) + 4 * codes[:, None], codes


@pytest.fixture(scope="module")
def table(place, trained):
    x, codes = blobs()
    frame = pd.DataFrame(x, columns=list("abcd")).round(3)
    frame["soil"] = np.array(["sand", "clay", "loam"])[codes]
    frame["kind"] = np.array([3, 9, 10])[codes]
    frame.loc[::20, "a"] = np.nan
    frame.to_csv(place / "t.csv", index=False)
    data = {"source": str(place / "t.csv"), "label": "kind", "missing": "median"}
    return trained("table", data), frame


def test_a_table_is_asked_by_file_frame_dict_and_list_alike(table, place):
    run, frame = table
    new = frame.drop(columns="kind")[:7][["soil", *"dcba"]]
    new.to_parquet(place / "new.parquet")
    new.fillna("").to_csv(place / "new.csv", index=False, sep=";", decimal=",")
    said = run.predict(new)
    assert list(said.columns) == ["class", "p(3)", "p(9)", "p(10)"]
    assert said["class"].tolist() == frame["kind"][:7].tolist()
    assert said.iloc[:, 1:].sum(axis=1).to_numpy() == pytest.approx(np.ones(7))
    for other in (
        place / "new.parquet", str(place / "new.csv"), frame[:7],
        new.to_dict("list"), new.to_dict("records"), new[[*"abcd", "soil"]].to_numpy(),
    ):  # fmt: skip
        pd.testing.assert_frame_equal(run.predict(other), said, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop(columns="b"), "no b"),
        (lambda rows: rows.assign(b="high"), "column 'b': numbers were expected.*'high'"),
        (lambda rows: rows.assign(b=np.inf), "finite"),
        (lambda rows: rows.assign(soil=1.5), "column 'soil': texts were expected"),
        (lambda rows: rows.assign(b=pd.Timestamp("2026-01-01")), "column 'b': numbers"),
        (lambda rows: rows.iloc[:0], "rows were expected"),
        (lambda rows: np.zeros((2, 3)), "array of shape"),
        (lambda rows: "no.csv", "no file"),
    ],
)
def test_rows_that_do_not_fit_a_table_are_refused_in_one_sentence(table, change, message):
    run, frame = table
    with pytest.raises((DataError, UnknownNameError), match=message) as caught:
        run.predict(change(frame[:3].copy()))
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def arrays(place, trained):
    x, codes = blobs()
    np.savez(place / "rows.npz", x=x, y=codes * 2.5 + 0.25)
    return trained("arrays", str(place / "rows.npz"), task="regression", epochs=20), x, codes


def test_arrays_are_asked_as_values_archives_tables_and_functions(arrays, place):
    run, x, codes = arrays
    said = run.predict(x)
    assert list(said.columns) == ["prediction"]
    assert np.abs(said["prediction"] - (codes * 2.5 + 0.25)).mean() < 1
    np.save(place / "x.npy", x)
    pd.DataFrame(x).to_csv(place / "x.csv", index=False)
    (place / "new.py").write_text(
        f"import numpy as np\ndef rows():\n    a = np.load({str(place / 'rows.npz')!r})\n"
        "    return a['x'], a['y']\n"
    )
    for other in (place / "rows.npz", place / "x.npy", place / "x.csv", f"{place / 'new.py'}:rows"):
        pd.testing.assert_frame_equal(run.predict(other), said, rtol=1e-4, atol=1e-4)
    assert run.predict(x[0])["prediction"][0] == pytest.approx(said["prediction"][0], rel=1e-4)
    with pytest.raises(DataError, match=r"shape \(4,\) were expected. Received: shape \(3,\)"):
        run.predict(x[:, :3])
    with pytest.raises(DataError, match="numbers were expected"):
        run.predict(x.astype(str))


@pytest.mark.cluster
def test_pictures_are_asked_by_file_and_folder_at_the_size_of_training(place, trained):
    from keras.utils import save_img

    rng = np.random.default_rng(0)
    for name, light in (("dark", 40), ("light", 200)):
        (place / "pictures" / name).mkdir(parents=True)
        for at in range(12):
            pixels = np.clip(rng.normal(light, 20, (8, 8, 3)), 0, 255)
            save_img(place / "pictures" / name / f"{at}.png", pixels, scale=False)
    run = trained("pictures", str(place / "pictures"), epochs=8)
    said = run.predict(place / "pictures")
    assert list(said.columns) == ["file", "class", "p(dark)", "p(light)"]
    assert (said["class"] == said["file"].str.partition("/")[0]).mean() > 0.9
    one = run.predict(place / "pictures" / "light" / "3.png")
    assert one["file"].tolist() == ["3.png"]
    save_img(place / "large.png", np.zeros((9, 8, 3)), scale=False)
    with pytest.raises(DataError, match=r"pictures of 8x8x3 .*large.png of 9x8x3"):
        run.predict(place / "large.png")


@pytest.mark.cluster
def test_a_model_that_keras_cannot_save_is_built_around_its_weights(place, trained, capsys):
    (place / "net.py").write_text(SUBCLASS)
    x, codes = blobs()
    np.savez(place / "named.npz", x=x, y=np.array(["hen", "duck", "goose"])[codes])
    data = {"source": str(place / "named.npz"), "scale": "standard"}
    space = {"learning_rate": "choice([0.05])", "batch_size": "choice([16])"}
    run = trained("kept", data, model=str(place / "net.py"), search_space=space, epochs=12)
    assert "Net, a class with arguments and without get_config" in capsys.readouterr().err
    said = run.predict(x)
    assert list(said.columns) == ["class", "p(duck)", "p(goose)", "p(hen)"]
    names = np.array(["hen", "duck", "goose"])[codes]
    assert (said["class"] == names).mean() > 0.8
    assert run.load_model()(x[:2]).shape == (2, 3)


@pytest.mark.parametrize(
    ("pieces", "columns"),
    [
        pytest.param((0, 1), ["class", "p(False)", "p(True)"], marks=pytest.mark.cluster),
        ("flags", ["flag_0", "flag_1"]),
    ],
)
def test_binary_and_several_labels_are_answered_in_their_terms(place, trained, pieces, columns):
    x, codes = blobs()
    flags = np.array([[0, 1], [1, 1], [1, 0]])[codes]
    y = flags if pieces == "flags" else codes > 0
    np.savez(place / f"{columns[0]}.npz", x=x, y=y)
    task = "multilabel" if pieces == "flags" else "binary"
    run = trained(f"of_{columns[0]}", str(place / f"{columns[0]}.npz"), task=task, epochs=12)
    said = run.predict(x)
    assert list(said.columns)[: len(columns)] == columns
    right = said[columns[: 2 if task == "multilabel" else 1]].to_numpy() == y.reshape(len(x), -1)
    assert right.mean() > 0.8
