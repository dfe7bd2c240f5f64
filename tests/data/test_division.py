from __future__ import annotations

import datetime
import pickle

import numpy as np
import pandas as pd
import pytest

from orchestrator.config.data_options import DataOptions
from orchestrator.data import load_dataset
from orchestrator.data.dataset import PARTS
from orchestrator.errors import DataError

ROWS = 240


def made(classes=3, groups=30, seed=0):
    """Return features whose first column is the row's number, labels, groups and days."""
    rng = np.random.default_rng(seed)
    x = np.stack([np.arange(ROWS), rng.normal(size=ROWS)], axis=1)
    return (
        x,
        rng.integers(0, classes, ROWS),
        rng.integers(0, groups, ROWS),
        rng.integers(0, 60, ROWS),
    )


def rows_of(split):
    return np.asarray(split.x)[:, 0].astype(int)


def by_part(data, values):
    return {part: values[rows_of(getattr(data, part))] for part in PARTS}


@pytest.fixture
def arrays(npz):
    def _arrays(seed=0, options=None, **arrays):
        return npz(seed, {"scale": "none", **options}, **arrays)

    return _arrays


@pytest.fixture
def table(tmp_path, load):
    """Write rows with a patient and a day as CSV or Parquet and load them."""

    def _table(form="csv", seed=0, frame=None, **options):
        x, y, groups, days = made()
        start = datetime.date(2024, 1, 1)
        plain = pd.DataFrame(
            {
                "row": x[:, 0],
                "patient": [f"p{group}" for group in groups],
                "day": [start + datetime.timedelta(int(day)) for day in days],
                "label": [f"c{code}" for code in y],
            }
        )
        content = plain if frame is None else frame(plain)
        path = tmp_path / f"rows.{form}"
        content.to_csv(path, index=False) if form == "csv" else content.to_parquet(path)
        return load(f"./rows.{form}", seed, label="label", scale="none", **options)

    return _table


@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_in_two_parts_and_every_row_in_one(arrays, seed):
    x, y, groups, _ = made(seed=seed)
    data = arrays(seed, {"groups": "who"}, x=x, y=y, who=groups)
    there = by_part(data, groups)
    assert not set(there["train"]) & set(there["validation"]) | set(there["test"]) & set(
        there["train"]
    )
    assert not set(there["validation"]) & set(there["test"])
    assert sorted(np.concatenate([rows_of(getattr(data, part)) for part in PARTS])) == [
        *range(ROWS)
    ]
    shares = [getattr(data, part).rows / ROWS for part in PARTS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.06)


def test_groups_keep_about_the_same_share_of_each_class_in_each_part(arrays):
    x, y, groups, _ = made()
    data = arrays(options={"groups": "who"}, x=x, y=y, who=groups)
    for part in PARTS:
        counts = np.bincount(y[rows_of(getattr(data, part))]) / getattr(data, part).rows
        assert counts == pytest.approx(np.bincount(y) / ROWS, abs=0.12)


def test_a_group_that_is_most_of_the_rows_is_trained_on(arrays):
    x, y, groups, _ = made()
    one = np.where(np.arange(ROWS) < 200, 0, groups + 1)
    data = arrays(options={"groups": "who"}, x=x, y=y, who=one)
    assert data.train.rows >= 200


def test_very_many_groups_are_dealt_in_the_shares_asked_for(arrays):
    rng = np.random.default_rng(0)
    x = np.stack([np.arange(9000), np.ones(9000)], axis=1)
    groups = rng.integers(0, 3000, 9000)
    data = arrays(options={"groups": "who"}, x=x, y=rng.integers(0, 2, 9000), who=groups)
    there = by_part(data, groups)
    assert not set(there["train"]) & set(there["test"])
    assert [len(there[part]) / 9000 for part in PARTS] == pytest.approx([0.6, 0.2, 0.2], abs=0.01)


def test_training_rows_come_before_validation_rows_before_test_rows_ties_together(arrays):
    x, y, _, days = made()
    data = arrays(options={"order": "day"}, x=x, y=y, day=days)
    there = by_part(data, days)
    assert there["train"].max() < there["validation"].min()
    assert there["validation"].max() < there["test"].min()
    shares = [getattr(data, part).rows / ROWS for part in PARTS]
    assert shares == pytest.approx([0.6, 0.2, 0.2], abs=0.03)


@pytest.mark.parametrize("form", ["csv", "parquet"])
@pytest.mark.parametrize("stream", [False, True])
def test_a_column_of_dates_orders_a_table_and_is_no_feature(table, form, stream):
    _, _, _, days = made()
    data = table(form, order="day", drop=["patient"], stream=stream)
    assert data.columns == ("row",)
    in_memory = data.fold(1) if not stream else table(form, order="day", drop=["patient"])
    there = by_part(in_memory, days)
    assert there["train"].max() < there["validation"].min()
    assert data.division["parts"]["train"][0] == "2024-01-01"
    assert data.fingerprint == table(form, order="day", drop=["patient"]).fingerprint


def test_a_table_streamed_or_not_has_the_same_rows_in_its_parts(table):
    memory, stream = (table(groups="patient", drop=["day"], stream=how) for how in (False, True))
    for part in PARTS:
        x, _ = next(getattr(stream, part).batches(ROWS, None))
        assert x.tolist() == getattr(memory, part).x.tolist()


def test_texts_of_numbers_are_ordered_as_numbers(arrays):
    x, y, _, days = made()
    texts = arrays(options={"order": "day"}, x=x, y=y, day=days.astype(str))
    numbers = arrays(options={"order": "day"}, x=x, y=y, day=days)
    assert rows_of(texts.test).tolist() == rows_of(numbers.test).tolist()


def test_a_fingerprint_tells_other_groups_and_is_as_before_without_any(arrays):
    x, y, groups, _ = made()
    plain = arrays(options={}, x=x, y=y, who=groups)
    first = arrays(options={"groups": "who"}, x=x, y=y, who=groups)
    other = arrays(options={"groups": "who"}, x=x, y=y, who=(groups + 1) // 2)
    assert len({plain.fingerprint, first.fingerprint, other.fingerprint}) == 3
    assert plain.division == {}


def test_frames_and_loaders_take_a_column_or_a_key(function):
    body = "x = rng.normal(size=(90, 2))\ny = np.arange(90) % 3\nyear = np.arange(90) // 9\n"
    keys = function(body + "return {'x': x, 'y': y, 'year': year}", order="year", scale="none")
    frame = "import pandas as pd\nreturn pd.DataFrame(x, columns=['a', 'b']).assign(year=year), y"
    columns = function(body + frame, order="year", scale="none")
    assert keys.test.x.tolist() == columns.test.x.tolist()
    assert columns.columns == ("a", "b")


def test_parts_that_a_user_gave_are_checked_and_the_rest_is_cut(arrays):
    x, y, groups, _ = made()
    given = {"x_train": x[:160], "y_train": y[:160], "x_test": x[160:], "y_test": y[160:]}
    apart = {"who_train": groups[:160], "who_test": groups[160:] + 100}
    data = arrays(options={"groups": "who"}, **given, **apart)
    there = groups[rows_of(data.train)], groups[rows_of(data.validation)]
    assert not set(there[0]) & set(there[1])
    both = {"who_train": groups[:160], "who_test": groups[160:]}
    with pytest.raises(DataError, match=r"a group in one part alone.*'\d+' in train and in test"):
        arrays(options={"groups": "who"}, **given, **both)
    with pytest.raises(DataError, match=r"test rows after the training rows were expected"):
        arrays(options={"order": "who"}, **given, **both)


FOLDS = [{}, {"groups": "who"}, {"order": "day"}]


@pytest.mark.parametrize("along", FOLDS, ids=["stratified", "groups", "order"])
def test_folds_share_no_validation_row_and_never_touch_the_test_rows(arrays, along):
    x, y, groups, days = made()
    data = arrays(options={"folds": 4, **along}, x=x, y=y, who=groups, day=days)
    folds = [data.fold(number) for number in range(1, 5)]
    assert rows_of(folds[0].validation).tolist() == rows_of(data.validation).tolist()
    assert {tuple(rows_of(fold.test)) for fold in folds} == {tuple(rows_of(data.test))}
    judged = np.concatenate([rows_of(fold.validation) for fold in folds])
    assert len(judged) == len(set(judged))
    for fold in folds:
        assert not set(rows_of(fold.train)) & {*rows_of(fold.validation), *rows_of(fold.test)}
    if "order" not in along:
        assert len(judged) + data.test.rows == ROWS


def test_folds_in_time_train_on_what_was_before_and_fold_1_on_most(arrays):
    x, y, _, days = made()
    data = arrays(options={"folds": 4, "order": "day"}, x=x, y=y, day=days)
    sizes = []
    for number in range(1, 5):
        there = by_part(data.fold(number), days)
        assert there["train"].max() < there["validation"].min()
        sizes.append(len(there["train"]))
    assert sizes == sorted(sizes, reverse=True)


def test_folds_of_groups_share_none(arrays):
    x, y, groups, _ = made()
    data = arrays(options={"folds": 4, "groups": "who"}, x=x, y=y, who=groups)
    for number in range(1, 5):
        there = by_part(data.fold(number), groups)
        assert not set(there["train"]) & set(there["validation"])


def test_a_fold_is_scaled_by_its_own_training_rows_and_opens_in_another_process(npz):
    x, y, _, _ = made()
    data = pickle.loads(pickle.dumps(npz(x=x, y=y, options={"folds": 3})))  # noqa: S301
    fold = data.fold(3)
    assert fold.train.x.mean(axis=0) == pytest.approx([0, 0], abs=1e-6)
    assert fold.scaling != data.scaling
    assert fold.fingerprint == data.fingerprint


@pytest.mark.parametrize("stream", [False, True])
def test_a_table_opens_folds_with_their_own_categories(table, stream):
    data = table(folds=3, groups="patient", stream=stream, columns={"row": "text"}, drop=["day"])
    assert data.columns != data.fold(2).columns
    assert data.fold(2).division["folds"] == 3


def test_folds_are_of_the_rows_that_were_read_once(load, tmp_path):
    (tmp_path / "load.py").write_text(
        "import numpy as np\n\ndef load():\n"
        "    return np.random.default_rng().normal(size=(90, 2)), np.arange(90) % 3\n"
    )
    data = load("./load.py", folds=3)
    assert data.fold(2).fingerprint == data.fingerprint


def test_quantities_are_folded_too(arrays):
    x, _, _, _ = made()
    data = arrays(options={"folds": 5, "task": "regression"}, x=x, y=x[:, 1] * 3.3)
    assert [data.fold(fold).validation.rows for fold in range(1, 6)] == pytest.approx(
        [38] * 5, abs=1
    )


REFUSED = {
    "near miss": ({"groups": "wo"}, {}, r"data.groups. Received: 'wo'. Did you mean 'who'\?"),
    "too few groups": (
        {"groups": "who"},
        {"who": np.arange(ROWS) % 2},
        r"at least 3 groups .* Received: 2",
    ),
    "gap": (
        {"groups": "who"},
        {"who": np.where(np.arange(ROWS) == 7, np.nan, np.arange(ROWS))},
        "1 that are missing",
    ),
    "text gap": (
        {"groups": "who"},
        {"who": np.array(["a", "NA", "b"] * 80)},
        "80 that are missing",
    ),
    "day first": (
        {"order": "day"},
        {"day": np.array(["31/05/2024"] * ROWS)},
        r"2024-05-31 .* Received: '31/05/2024'",
    ),
    "mixed": (
        {"order": "day"},
        {"day": np.array(["3", "2024-05-31"] * 120)},
        "numbers alone, or times alone",
    ),
    "infinite": ({"order": "day"}, {"day": np.array([np.inf] * ROWS)}, "finite numbers"),
    "few times": ({"order": "day"}, {"day": np.arange(ROWS) % 2}, "at least 3 different times"),
    "few for folds": (
        {"groups": "who", "folds": 9},
        {"who": np.arange(ROWS) // 3 % 9},
        r"at least 9 groups .* each of 9 folds beside",
    ),
    "length": ({"groups": "who"}, {"who": np.arange(5)}, "a value for each of the 240 rows"),
    "shape": (
        {"groups": "who"},
        {"who": np.ones((ROWS, 2))},
        r"one value a row .* shape \(240, 2\)",
    ),
    "many folds": (
        {"folds": 90, "task": "classification"},
        {},
        r"at least 90 rows of each class beside the test rows",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_groups_times_and_folds_are_refused_in_a_sentence(arrays, case):
    options, others, message = REFUSED[case]
    x, y, groups, days = made()
    with pytest.raises(DataError, match=message):
        arrays(options=options, **{"x": x, "y": y, "who": groups, "day": days, **others})


def test_a_class_of_one_group_or_of_late_times_is_refused(arrays):
    x, y, groups, days = made()
    alone = np.where(groups == 3, 9, y)
    with pytest.raises(DataError, match=r"each class in two groups or more .* class '9' in '3'"):
        arrays(options={"groups": "who", "task": "classification"}, x=x, y=alone, who=groups)
    late = np.where(days > 57, 9, y)
    with pytest.raises(
        DataError, match=r"training rows of every class were expected.*none of class '9'"
    ):
        arrays(options={"order": "day", "task": "classification"}, x=x, y=late, day=days)


def test_sources_without_columns_or_names_refuse_groups(load, function, tmp_path):
    with pytest.raises(DataError, match=r"one called 'who', were expected for data.groups"):
        load("digits", groups="who")
    with pytest.raises(DataError, match=r"one called 'who', were expected for data.groups"):
        function("return rng.normal(size=(90, 2)), np.arange(90) % 3", groups="who")


def test_streams_that_cannot_be_cut_refuse_groups_and_folds(function):
    body = (
        "import tensorflow as tf\nx = np.ones((9, 2), np.float32)\n"
        "one = tf.data.Dataset.from_tensor_slices((x, np.arange(9) % 3)).batch(3)\n"
        "return {'train': one, 'validation': one}"
    )
    for options in ({"groups": "who"}, {"folds": 3}):
        with pytest.raises(DataError, match=rf"data.{next(iter(options))} was expected for"):
            function(body, **options)


def test_data_with_all_splits_refuse_groups_and_with_validation_rows_folds(arrays):
    x, y, groups, _ = made()
    parts = {
        f"{kind}_{part}": value
        for part in ("train", "val", "test")
        for kind, value in (("x", x), ("y", y))
    }
    who = {f"who_{part}": groups for part in ("train", "val", "test")}
    with pytest.raises(
        DataError, match=r"data without a split of its own was expected for data.groups"
    ):
        arrays(options={"groups": "who"}, **parts, **who)
    with pytest.raises(
        DataError, match=r"data without validation rows of its own was expected for data.folds"
    ):
        arrays(options={"folds": 3}, **{key: parts[key] for key in parts if "test" not in key})


def test_python_objects_are_split_along_a_series_of_times():
    x, y, _, days = made()
    frame = pd.DataFrame(
        {"a": x[:, 0], "when": pd.Timestamp("2024-01-01", tz="UTC") + pd.to_timedelta(days, "D")}
    )
    from orchestrator.experiment.given import given_objects

    reference = given_objects(data=(frame, y)).data
    data = load_dataset(reference, DataOptions(source="x", order="when", scale="none"), 0)
    there = by_part(data, days)
    assert there["train"].max() < there["validation"].min() < there["test"].min()
