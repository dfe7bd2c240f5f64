"""The sitter's hand on a real model: what it does in act, and that it does nothing otherwise."""

from __future__ import annotations

import math

import pytest

from orchestrator.trials import load_checkpoint
from tests.depth import in_depth

FAR_OFF = {
    "learning_rate": 40.0,
    "momentum": 0.0,
    "activation": "tanh",
    "dropout": 0.0,
    "learning_rate_decay": 0.0,
}
NAN = {"learning_rate": 1e30, "batch_norm": False}
TRIES = {
    "mode": "act",
    "patience": 2,
    "plateau": {"standard_errors": 50},
    "branch_and_compare": {"epochs": 2, "factors": [1, 0.1, 1000], "budget_share": 0.45},
}


@pytest.mark.parametrize("mode", ["advise", "act"])
def test_the_learning_rate_test_leaves_no_trace_in_the_model(panda, same, mode):
    life = panda("tested", learning_rate_test=True, sitter=mode, start={"batch_norm": True})
    life.ask("pause")
    life.advance()
    after = life.state()
    quiet = panda("quiet", sitter=mode)
    quiet.ask("pause")
    quiet.advance()
    same(after, quiet.state())
    [advice] = life.entries("advice", rule="learning_rate_test")
    old, new = advice["changes"]["learning_rate"]
    assert old == 0.05 and 0.001 < new < 1
    in_force = new if mode == "act" else old
    assert [e["changes"] for e in life.entries("applied", by="sitter:learning_rate_test")] == (
        [{"learning_rate": [old, new]}] if mode == "act" else []
    )
    assert life.records.of(life.trial).current_hyperparameters["learning_rate"] == in_force


@pytest.mark.parametrize("mode", ["off", "advise"])
def test_a_rate_that_the_file_names_stays_and_the_journal_says_so(panda, mode):
    life = panda(learning_rate_test=True, sitter=mode)
    life.to_day(1)
    [advice] = life.entries("advice", rule="learning_rate_test")
    assert advice["done"] is False
    assert advice["suggests"].endswith("; it trains with 0.05, as panda.start says")
    assert life.hyperparameters["learning_rate"] == 0.05


@pytest.mark.parametrize("mode", in_depth(["off", "advise", "act"], "act"))
def test_the_rate_found_is_used_where_the_file_names_none(panda_of, mode):
    source = """
    def build(hp, input_shape, num_classes):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(inputs)))
    """
    life = panda_of(source, learning_rate_test=True, sitter=mode, start={"batch_size": 64})
    life.to_day(1)
    [advice] = life.entries("advice", rule="learning_rate_test")
    [applied] = life.entries("applied", action="set")
    assert advice["done"] is True
    assert applied["changes"] == advice["changes"]
    assert life.hyperparameters["learning_rate"] == advice["changes"]["learning_rate"][1]


def test_a_test_that_finds_nothing_says_so(panda, monkeypatch):
    monkeypatch.setattr("orchestrator.trials.panda.day_cycle.suggest", lambda *_: None)
    life = panda(learning_rate_test=True)
    life.to_day(1)
    said = [entry["suggests"] for entry in life.entries("advice", rule="learning_rate_test")]
    assert said == [
        "found no rate at which the loss clearly fell; it trains with learning_rate 0.05"
    ]


def test_the_sitters_entries_say_whether_they_were_done(panda):
    for mode in ("advise", "act"):
        life = panda(mode, sitter=mode, start={"learning_rate": 40.0, "momentum": 0.0})
        life.to_day(1)
        advice = life.entries("advice", rule="divergence")
        assert [entry["done"] for entry in advice] == [mode == "act"] * len(advice)
        assert advice


def test_after_the_learning_rate_test_it_trains_as_without(panda, same):
    quiet = panda("quiet", days=2).to_end()
    expected, end = quiet.metrics(), quiet.state()
    life = panda("tested", days=2, learning_rate_test=True).to_end()
    assert life.metrics() == expected
    same(life.state(), end)


def test_the_tests_change_is_taken_back_by_a_rollback_to_day_0(panda):
    life = panda(learning_rate_test=True, sitter="act")
    life.to_day(1)
    assert life.hyperparameters["learning_rate"] != 0.05
    life.ask("rollback", to_day=0)
    life.ask("pause")
    life.advance()
    assert life.hyperparameters["learning_rate"] == 0.05
    assert life.records.of(life.trial).current_hyperparameters["learning_rate"] == 0.05


def test_a_learning_rate_that_diverges_is_halved_until_it_trains(panda):
    life = panda(start=FAR_OFF, sitter="act", days=3).to_end()
    by = {"by": "sitter:divergence"}
    halved = [e["changes"]["learning_rate"][1] for e in life.entries("applied", action="set", **by)]
    assert halved == [20.0, 10.0]
    rollbacks = life.entries("applied", action="rollback", **by)
    assert [entry["stretch"] for entry in rollbacks] == list(range(1, len(halved) + 1))
    assert life.ended == "finished"
    assert life.metrics()[-1]["val_accuracy"] > 0.8
    assert life.records.of(life.trial).abandoned_epochs[0]["metrics"]["loss"] > 5


def test_after_three_rollbacks_it_stops_with_a_verdict(panda):
    life = panda(start=NAN, sitter="act").to_end()
    assert life.ended == "stopped"
    assert len(life.entries("applied", action="rollback")) == 3
    [verdict] = life.entries("verdict")
    assert "after 3 rollbacks" in verdict["text"]
    assert life.hyperparameters["learning_rate"] == pytest.approx(1e30 / 8)


@pytest.mark.parametrize("mode", ["off", "advise"])
def test_a_sitter_that_may_not_act_changes_nothing(panda, mode):
    life = panda(mode, start=FAR_OFF, sitter=mode, days=4).to_end()
    assert not life.entries("applied")
    assert bool(life.entries("advice")) == (mode == "advise")
    assert [row["learning_rate"] for row in life.metrics()] == [40.0] * 8


@pytest.mark.parametrize("mode", ["off", "advise"])
def test_a_loss_that_is_no_number_ends_a_panda_that_nobody_may_save(panda, mode):
    life = panda(start=NAN, sitter=mode).to_end()
    assert life.ended == "diverged"
    [row] = life.metrics()
    assert math.isnan(row["loss"])
    assert len(life.entries("verdict")) == 1


def test_a_plateau_goes_on_from_the_best_weights_with_a_smaller_rate(panda, same):
    sitter = {"mode": "act", "patience": 2, "plateau": {"standard_errors": 3}}
    start = {"learning_rate": 0.3, "dropout": 0.0, "learning_rate_decay": 0.0}
    life = panda(start=start, sitter=sitter, days=12, day="1 epoch")
    while not life.entries("applied", by="sitter:plateau") and not life.ended:
        life.advance()
    back, lowered = life.entries("applied", by="sitter:plateau")
    lived = [*life.records.of(life.trial).days, *life.records.of(life.trial).abandoned_days]
    scores = {day["day"]: day["metrics"]["val_accuracy"] for day in lived}
    assert back["to_day"] == max(scores, key=lambda day: scores[day])
    assert lowered["changes"]["learning_rate"] == [0.3, pytest.approx(0.09)]
    checkpoint = life.session.panda.days.load(back["to_day"], back["to_day"])
    same(life.state()[: len(checkpoint.model)], checkpoint.model)
    assert life.entries("advice", rule="plateau")[0]["evidence"]["days_without_gain"] == 2


def test_branches_are_compared_on_the_same_rows_and_the_best_goes_on(panda, digits):
    life = panda(start={"learning_rate": 1e-5}, sitter=TRIES, days=14, day="1 epoch")
    while not life.entries("applied", action="branch_and_compare") and not life.ended:
        life.advance()
    [kept] = life.entries("applied", action="branch_and_compare")
    assert kept["changes"] == {"learning_rate": [1e-5, pytest.approx(0.01)]}
    assert kept["evidence"]["rows"] == digits.validation.rows
    assert len(kept["evidence"]["branches"]) == 3
    losses = {name: seen["mean_loss"] for name, seen in kept["evidence"]["branches"].items()}
    assert min(losses, key=lambda name: losses[name]) == "1000"
    rows = [row for row in life.records.of(life.trial).epochs if row["epoch"] > kept["epoch"]]
    assert [row["epoch"] for row in rows] == [kept["epoch"] + 1, kept["epoch"] + 2]
    assert rows[-1]["metrics"]["learning_rate"] == pytest.approx(
        0.01 / (1 + 0.1 * (rows[-1]["epoch"] - 1))
    )
    assert rows[-1]["metrics"]["val_loss"] == pytest.approx(losses["1000"], rel=1e-4)


def test_the_epochs_of_the_branch_that_was_kept_are_days_like_any_other(panda):
    life = panda(start={"learning_rate": 1e-5}, sitter=TRIES, days=14, day="1 epoch").to_end()
    days = [day["day"] for day in life.records.of(life.trial).days]
    assert days == list(range(1, 15))
    assert len(life.records.of(life.trial).epochs) == 14
    kept = load_checkpoint(life.folder.checkpoints / f"{life.trial}.npz").about
    best = life.records.of(life.trial).best
    assert (kept["epoch"], kept["metrics"]["val_accuracy"]) == (best.epoch, best.value)
    # three branches of two epochs are within 0.45 of 14 epochs once, not twice
    assert len(life.entries("applied", action="branch_and_compare")) == 1


def test_branches_that_cost_more_than_their_share_are_not_tried(panda):
    sitter = TRIES | {"branch_and_compare": {"epochs": 2, "budget_share": 0.4}}
    life = panda(start={"learning_rate": 1e-5}, sitter=sitter, days=14, day="1 epoch").to_end()
    assert not life.entries("applied", action="branch_and_compare")
