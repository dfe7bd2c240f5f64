"""Tables of curves: what is read from them, and each thing that is refused, in one sentence."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from orchestrator.domains import Space
from orchestrator.errors import DataError, UnknownNameError
from orchestrator.simulation import curves_of, read_columns

SPACE = Space.parse(
    {
        "learning_rate": "loguniform(1e-3, 1)",
        "momentum": "one_minus_loguniform(0.9, 0.99)",
        "units": "choice([32, 64])",
        "layers": "integer(1, 3)",
        "nesterov": "choice([true, false])",
        "optimizer": "sgd",
        "beta": {"domain": "uniform(0, 1)", "when": {"units": 64}},
    }
)


def columns(**changed):
    made = {
        "config": ["a", "a", "b", "b"],
        "epoch": [1, 2, 1, 2],
        "val_loss": [2.0, 1.0, 3.0, 0.5],
        "seconds": [0.1, 0.2, 0.3, 0.4],
        "learning_rate": [0.1, 0.1, 0.01, 0.01],
        "momentum": [0.9, 0.9, 0.99, 0.99],
        "units": [32, 32, 64, 64],
        "layers": [1, 1, 3, 3],
        "nesterov": [True, True, False, False],
        "beta": [None, None, 0.5, 0.5],
    }
    return made | changed


def table(**changed):
    return curves_of(columns(**changed), "t.csv", SPACE, "val_loss")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_file_is_read_as_the_space_has_its_values(tmp_path, ending):
    file = tmp_path / f"curves.{ending}"
    written = pa.table(columns(units=[32.0, 32.0, 64.0, 64.0]))
    write = {"csv": pyarrow.csv.write_csv, "parquet": pyarrow.parquet.write_table}[ending]
    write(written, file)
    first, second = curves_of(read_columns(file), str(file), SPACE, "val_loss").curves
    assert first.hyperparameters == {
        "learning_rate": 0.1, "momentum": 0.9, "one_minus_momentum": 0.1, "units": 32, "layers": 1,
        "nesterov": True, "optimizer": "sgd",
    }  # fmt: skip
    assert isinstance(first.hyperparameters["units"], int)
    assert second.hyperparameters["beta"] == 0.5
    assert second.seconds.tolist() == [0.3, 0.4]
    assert second.row("00007", 2) == {
        "trial": "00007", "epoch": 2, "metrics": {"val_loss": 0.5}, "seconds": 0.4,
    }  # fmt: skip


def test_rows_may_stand_in_any_order_and_without_a_config_or_seconds():
    order = [3, 0, 2, 1]
    made = {name: [values[row] for row in order] for name, values in columns().items()}
    del made["config"], made["seconds"]
    curves = curves_of(made, "t.csv", SPACE, "val_loss").curves
    assert [each.metrics["val_loss"].tolist() for each in curves] == [[3.0, 0.5], [2.0, 1.0]]
    assert curves[0].seconds.tolist() == [1.0, 1.0]


def test_a_curve_that_ends_in_no_number_has_diverged():
    curves = table(val_loss=[2.0, math.nan, 3.0, None]).curves
    assert [each.ending for each in curves] == ["diverged", "diverged"]
    assert [each.ending for each in table().curves] == [None, None]


def test_a_target_is_what_the_best_share_of_all_configurations_reach():
    many = {
        "config": list(range(100)),
        "epoch": [1] * 100,
        "val_loss": list(np.linspace(1, 2, 100)),
        "learning_rate": list(np.geomspace(0.001, 1, 100)),
    }
    space = Space.parse({"learning_rate": "loguniform(1e-3, 1)"})
    found = curves_of(many, "t", space, "val_loss")
    assert found.target(0.99, "val_loss", "min", 1) == 1.0
    assert found.target(0.95, "val_loss", "min", 1) == pytest.approx(1 + 4 / 99)


REFUSED = {
    "learning_rate": (
        {"learning_rate": [0.1, 0.1, 7.0, 7.0]},
        r"t.csv, config b, learning_rate: expected a value of loguniform\(1e-3, 1\). Received: 7.0.",
    ),
    "units": ({"units": [32, 32, 48, 48]}, r"config b, units: expected a value of choice"),
    "layers": ({"layers": [1, 1, 2.5, 2.5]}, r"config b, layers: expected a value of integer"),
    "several": ({"layers": [1, 2, 3, 3]}, "config a, layers: expected one value. Received: 'several'"),
    "absent": ({"beta": [None] * 4}, "config b, beta: expected a value. Received: None"),
    "gap": (
        {"epoch": [1, 3, 1, 2]},
        "config a: expected each epoch from 1 to 3 once. Received: 'epoch 3 as number 2'",
    ),
    "twice": ({"epoch": [1, 1, 1, 2]}, "config a: expected each epoch from 1 to 1 once"),
    "zero": ({"epoch": [0, 1, 1, 2]}, "config a, epoch: expected a whole number from 1 on. Received: 0"),
    "seconds": ({"seconds": [-1.0, 1, 1, 1]}, "config a, seconds: expected a number of at least 0"),
    "metric": ({"val_loss": ["x", "y", "z", "w"]}, "t.csv, val_loss: expected numbers. Received: 'x'"),
    "empty": ({name: [] for name in columns()}, "t.csv: expected at least one row"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_table_that_cannot_be_used_is_refused_in_one_sentence(name):
    changed, said = REFUSED[name]
    with pytest.raises(DataError, match=said) as refused:
        table(**changed)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("missing", ["learning_rate", "epoch", "val_loss"])
def test_a_missing_column_is_named_with_those_there_are(missing):
    made = columns()
    made[f"{missing}s"] = made.pop(missing)
    with pytest.raises(
        DataError, match=f"expected a column '{missing}'.*Did you mean '{missing}s'"
    ):
        curves_of(made, "t.csv", SPACE, "val_loss")


def test_a_file_that_is_no_table_is_refused(tmp_path):
    with pytest.raises(UnknownNameError, match=r"--table: expected a file\. Received"):
        read_columns(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"expected a file that ends in \.csv or \.parquet"):
        read_columns(tmp_path / "curves.xlsx")
    broken = tmp_path / "broken.parquet"
    broken.write_text("no Parquet")
    with pytest.raises(DataError, match="expected PARQUET"):
        read_columns(broken)


def test_curves_shorter_than_a_trial_are_refused_with_their_number():
    with pytest.raises(
        DataError, match=r"expected 3 epochs .* 'fewer for 2 of 2: a \(2\), b \(2\)'"
    ):
        table().check_epochs(3)
    table(val_loss=[2.0, math.nan, 3.0, math.nan]).check_epochs(3)
