from __future__ import annotations

import math
from dataclasses import replace

import pytest

from orchestrator.control.hyperparameter_changes import OutOfRangeWarning, checked_changes, in_force
from orchestrator.errors import RequestError, UnknownNameError
from orchestrator.records import RunWriter, read_run
from tests.fortnight import MAIN, make_folder


@pytest.fixture
def records(tmp_path):
    """Return a function that makes the records of a panda with these hyperparameters in force."""

    def make(start=None, space=None, constraints=()):
        folder = make_folder(
            tmp_path / str(len(list(tmp_path.iterdir()))),
            search_space=space or {},
            constraints=list(constraints),
        )
        with RunWriter(folder) as writer:
            writer.trial_started(MAIN, 0, 7, start or {"learning_rate": 0.1, "units": 64})
        return read_run(folder.path)

    return make


def changed(records, **changes):
    return checked_changes(records, MAIN, changes)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("learning_rate", value) for value in ("fast", None, True, [1], math.nan, math.inf)),
        *(("batch_size", value) for value in (0.5, "64", False)),
        *(("units", value) for value in (0.5, "many", None)),
        *(("optimizer", value) for value in (1, None)),
    ],
)
def test_a_value_of_the_wrong_type_is_refused(records, name, value):
    with pytest.raises(RequestError, match=f"^{name}: expected"):
        changed(records(), **{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -0.1),
        ("momentum", 1.0),
        ("label_smoothing", 1.5),
        ("batch_size", 0),
        ("weight_decay", -1e-4),
        ("decay_schedule", "inverse_tim"),
        ("recalibrate_batch_norm", "sometimes"),
    ],
)
def test_a_value_that_no_training_could_use_is_refused_even_by_force(records, name, value):
    with pytest.raises(RequestError, match=f"^{name}: expected"):
        checked_changes(records(), MAIN, {name: value}, force=True)


def test_a_value_is_put_down_as_the_kind_that_belongs_there(records):
    checked = changed(records(), learning_rate=1, batch_size=32.0, units=128.0, weight_decay=0)
    assert {name: type(value) for name, value in checked.items()} == {
        "learning_rate": float,
        "batch_size": int,
        "units": int,
        "weight_decay": float,
    }


def test_a_whole_number_may_stand_where_a_share_is_meant(records):
    assert changed(records({"dropout": 0}), dropout=0.2) == {"dropout": 0.2}


def test_weight_decay_can_be_taken_away(records):
    assert changed(records({"weight_decay": 0.1}), weight_decay=None) == {"weight_decay": None}


@pytest.mark.parametrize("name", ["label_smoothing", "batch_norm_momentum", "decay_schedule"])
def test_what_training_reads_can_be_set_though_the_file_never_named_it(records, name):
    value = "cosine" if name == "decay_schedule" else 0.5
    assert changed(records(), **{name: value}) == {name: value}


def test_what_the_model_reads_can_be_set_though_the_file_never_named_it(records):
    assert changed(records(), dropout=0.2) == {"dropout": 0.2}


def test_what_a_builder_made_itself_has_no_default_of_training(records):
    own = replace(records({"units": 64}), manifest={"task": {"compiled_by_user": True}})
    assert in_force(own, MAIN).keys().isdisjoint({"learning_rate", "momentum", "optimizer"})
    assert checked_changes(own, MAIN, {"learning_rate": 0.1}) == {"learning_rate": 0.1}
    with pytest.raises(UnknownNameError):
        checked_changes(own, MAIN, {"momentum": 0.5})


def test_a_hyperparameter_of_another_optimizer_is_refused_with_its_readers(records):
    with pytest.raises(RequestError, match=r"beta_1: nothing reads it.*adam, adamw"):
        changed(records(), beta_1=0.5)
    assert changed(records({"optimizer": "adam"}), beta_1=0.5) == {"beta_1": 0.5}
    assert changed(records({"learning_rate": 0.1}), optimizer="adam", beta_1=0.5)["beta_1"] == 0.5


def test_an_unknown_name_is_refused_with_the_nearest_known_one(records):
    with pytest.raises(UnknownNameError, match="Did you mean 'momentum'"):
        changed(records(), momentun=0.5)


SPACE = {"learning_rate": "loguniform(1e-3, 0.1)", "units": "integer(16, 64)", "dropout": 0.5}


def test_a_value_outside_its_domain_needs_force_and_gives_a_warning(records):
    known = records(space=SPACE)
    with pytest.raises(RequestError, match=r"loguniform\(1e-3, 0.1\).*--force"):
        changed(known, learning_rate=0.5)
    with pytest.warns(OutOfRangeWarning, match=r"Received: 0\.5"):
        checked = checked_changes(known, MAIN, {"learning_rate": 0.5}, force=True)
    assert checked == {"learning_rate": 0.5}


CONSTRAINT = "units * learning_rate <= 6.4"


def test_a_change_that_breaks_a_constraint_needs_force_and_gives_a_warning(records):
    known = records(space=SPACE, constraints=[CONSTRAINT])
    assert changed(known, units=32) == {"units": 32}
    assert changed(known, units=32, learning_rate=0.01) == {"units": 32, "learning_rate": 0.01}
    known = records({"learning_rate": 0.1, "units": 32}, SPACE, ["units * learning_rate <= 4"])
    said = r"set: expected values that fulfil units \* learning_rate <= 4\. Received: units=64, learning_rate=0\.1\."
    with pytest.raises(RequestError, match=said + ".*--force"):
        changed(known, units=64)
    with pytest.warns(OutOfRangeWarning, match=said):
        assert checked_changes(known, MAIN, {"units": 64}, force=True) == {"units": 64}


def test_a_constraint_that_is_broken_already_keeps_nothing_else_from_being_changed(records):
    known = records(space=SPACE, constraints=["units < 10"])
    assert changed(known, learning_rate=0.01) == {"learning_rate": 0.01}


def test_force_does_not_make_a_wrong_type_right(records):
    with pytest.raises(RequestError, match="whole number"):
        checked_changes(records(space=SPACE), MAIN, {"units": 0.5}, force=True)


def test_a_fixed_value_of_the_space_is_no_range(records):
    assert changed(records(space=SPACE), dropout=0.2) == {"dropout": 0.2}


def test_a_choice_is_refused_outside_its_options(records):
    known = records({"activation": "relu"}, {"activation": "choice([relu, elu])"})
    assert changed(known, activation="elu") == {"activation": "elu"}
    with pytest.raises(RequestError, match=r"choice\(\[relu, elu\]\)"):
        changed(known, activation="tanh")


def test_one_minus_momentum_follows_momentum_and_is_not_set_itself(records):
    known = records({"momentum": 0.9, "one_minus_momentum": 0.1})
    assert changed(known, momentum=0.95) == {"momentum": 0.95, "one_minus_momentum": 0.05}
    with pytest.raises(RequestError, match="expected momentum to be set instead"):
        changed(known, one_minus_momentum=0.2)


def test_a_model_whose_source_is_not_here_takes_what_is_in_force(tmp_path):
    folder = make_folder(tmp_path, model="./gone.py")
    with RunWriter(folder) as writer:
        writer.trial_started(MAIN, 0, 7, {"width": 8})
    known = read_run(folder.path)
    assert changed(known, width=9) == {"width": 9}
    with pytest.raises(UnknownNameError):
        changed(known, depth=9)
