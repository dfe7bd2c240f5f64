"""Requests: asked and applied are two entries, refusals have a reason, and nothing crashes a panda."""

from __future__ import annotations

import pytest

from orchestrator.records import Request, write_request
from orchestrator.trials.panda.day_cycle import sitter_of


def test_asked_and_applied_are_two_entries(panda):
    life = panda()
    life.advance()
    asked = life.ask("set", changes={"learning_rate": 0.01}, why="it bounces")
    life.advance()
    [first] = life.entries("asked")
    assert (first["request"], first["who"], first["why"]) == (asked, "ada", "it bounces")
    assert first["arguments"] == {"changes": {"learning_rate": 0.01}}
    applied = life.answer(asked)
    assert (applied["by"], applied["how"], applied["epoch"]) == ("ada", "live", 1)
    assert applied["changes"] == {"learning_rate": [0.05, 0.01]}
    rates = [row["learning_rate"] for row in life.metrics()]
    assert rates == pytest.approx([0.05, 0.01 / 1.1])


def test_a_request_for_a_later_day_is_asked_now_and_applied_when_that_day_begins(panda):
    life = panda()
    asked = life.set(at_day=3, learning_rate=0.01)
    life.advance()
    assert life.entries("asked")[0]["at_day"] == 3
    assert not life.entries("applied")
    life.to_day(3)
    assert (life.answer(asked)["epoch"], life.answer(asked)["day"]) == (4, 2)
    assert len(life.entries("asked")) == 1


def test_two_requests_are_answered_in_order_of_arrival_and_an_outdated_view_is_refused(panda):
    life = panda()
    life.advance()
    life.ask("set", changes={"learning_rate": 0.01}, expect={"learning_rate": 0.05})
    late = life.ask("set", changes={"learning_rate": 0.9}, expect={"learning_rate": 0.05})
    life.ask("set", changes={"momentum": 0.5})
    life.advance()
    answers = ("asked", "applied", "refused")
    kinds = [e["kind"] for e in life.records.journal if e["kind"] in answers]
    assert kinds == ["asked", "applied", "asked", "refused", "asked", "applied"]
    assert "0.05" in life.answer(late)["reason"] and "0.01" in life.answer(late)["reason"]
    assert life.hyperparameters["learning_rate"] == 0.01


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("set", {}), ("set", {"changes": "lr"}), ("set", {"changes": None}), ("branch", {}),
        ("branch", {"name": "../out"}), ("branch", {"name": "00000"}), ("branch", {"name": 5}),
        ("branch", {"name": "b", "at_day": "x"}), ("branch", {"name": "b", "at_day": 7}),
        ("branch", {"name": "b", "changes": 3}), ("branch", {"name": "b", "changes": {"units": 3}}),
        ("branch", {"name": "b", "changes": {"learning_rate": "x"}}),
        ("branch", {"name": "b", "changes": {"lerning_rate": 0.1}}),
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused_and_makes_no_branch(panda, action, arguments):
    life = panda()
    life.to_day(1)
    asked = write_request(life.folder, Request(action, life.trial, arguments)).id
    life.advance()
    assert life.answer(asked)["kind"] == "refused"
    assert not life.branches
    assert life.trainer.epoch == 3


def test_a_day_that_is_no_number_does_not_end_a_panda(panda):
    life = panda()
    life.advance()
    odd = Request("set", life.trial, {"changes": {"momentum": 0.5}}, at_day="soon")
    asked = write_request(life.folder, odd).id
    (life.folder.requests / "00-torn.json").write_text('{"action": "se')
    with pytest.warns(UserWarning, match="not a request"):
        life.advance()
        assert [e["request"] for e in life.entries("refused")] in ([asked], [])
    assert life.trainer.epoch == 2


def test_a_paused_panda_listens_and_goes_on_where_it_was(panda):
    quiet = panda("quiet")
    quiet.advance(3)
    life = panda("life")
    life.ask("pause", at_day=2)
    life.advance(5)
    assert life.trainer.epoch == 2
    noted = life.ask("note", text="coffee")
    life.advance()
    assert life.answer(noted)["action"] == "note"
    life.ask("continue")
    life.advance()
    assert life.metrics() == quiet.metrics()


def test_a_paused_panda_writes_nothing(panda):
    life = panda()
    life.advance()
    life.ask("pause")
    life.advance()
    before = {file: file.stat().st_mtime_ns for file in life.folder.path.rglob("*")}
    life.advance(2)
    assert {file: file.stat().st_mtime_ns for file in life.folder.path.rglob("*")} == before


def test_a_stop_ends_the_panda_with_its_curve(panda):
    life = panda()
    life.to_day(2)
    asked = life.ask("stop")
    life.to_end()
    assert life.ended == "stopped"
    assert life.answer(asked)["epoch"] == 4 == len(life.metrics())


def test_what_is_asked_too_late_is_refused(panda):
    life = panda(days=2)
    late = life.set(at_day=3, learning_rate=0.1)
    life.to_end()
    assert "day" in life.answer(late)["reason"]


def test_a_rollback_asked_during_the_last_epoch_is_still_done(panda):
    life = panda(days=2)
    life.to_day(1)
    life.advance()
    session, train = life.session, life.trainer.train_chunk
    assert session.state.epochs_today == 1

    def ask_meanwhile():
        life.asked = life.ask("rollback", to_day=1)
        return train()

    life.trainer.train_chunk = ask_meanwhile
    try:
        life.advance()
    finally:
        del life.trainer.train_chunk
    assert life.ended is None
    life.to_end()
    assert life.answer(life.asked)["to_day"] == 1
    assert [row["stretch"] for row in life.records.of(life.trial).epochs] == [0, 0, 1, 1]


def test_the_effect_is_told_after_the_next_day(panda):
    life = panda()
    life.to_day(3)
    asked = life.set(learning_rate=0.5)
    life.to_day(4)
    [effect] = life.entries("effect")
    days = [day["metrics"]["val_accuracy"] for day in life.entries("day")]
    slope = (days[2] - days[0]) / 2
    assert effect["request"] == asked and effect["of_day"] == 4
    assert effect["before"] == days[2] and effect["after"] == days[3]
    assert effect["expected"] == pytest.approx(sum(days[:3]) / 3 + 2 * slope)
    life.to_day(6)
    assert len(life.entries("effect")) == 1


def test_sizes_in_the_journal_are_the_files_and_few_days_stay(panda):
    life = panda(keep_days=2, days=8, start={"learning_rate": 0.05})
    life.set(at_day=5, learning_rate=0.0001)
    for day in range(1, 9):
        life.to_day(day)
        [entry] = [e for e in life.entries("day") if e["day"] == day]
        assert (life.folder.path / entry["checkpoint"]).stat().st_size == entry["bytes"]
    kept = life.session.panda.days.kept(life.session.state.day)
    needed = sitter_of(life.session.panda).needed_days(life.session.state.monitor)
    assert {0, 7, 8} | needed == set(kept)


def test_few_days_stay_after_a_rollback_and_those_are_the_living_ones(panda):
    life = panda(keep_days=2, days=9)
    life.to_day(6)
    life.ask("rollback", to_day=5)
    life.to_day(6)
    life.ask("rollback", to_day=0)
    life.to_day(2)
    last = life.ask("rollback", to_day=1)
    life.advance()
    assert life.answer(last)["to_day"] == 1
    life.to_day(3)
    files = {file.name for file in (life.folder.checkpoints / life.trial).glob("day-*")}
    assert files == {"day-00000.npz", "day-00001.npz", "day-00002.npz", "day-00003.npz"}
