"""A killed panda goes on from its folder as though it had not been killed; nothing is told twice."""

from __future__ import annotations

import pytest

from orchestrator.experiment.budget_used import incomplete_trials
from orchestrator.records.jsonl import TornLineWarning, read_lines
from orchestrator.training import backend
from orchestrator.trials import judging

TELLING = ("asked", "applied", "refused", "effect", "advice", "day", "verdict")


def eventful(life):
    """Ask for what a life may bring, each at its time."""
    life.set(at_day=2, learning_rate=0.01)
    life.set(at_day=4, dropout=0.4, momentum=0.8)
    life.ask("set", at_day=3, changes={"units": 3})
    return life


def told(life):
    """What the journal says, but for times, ids of requests and seconds."""
    left_out = ("time", "request", "seconds", "bytes")
    return [
        {name: value for name, value in entry.items() if name not in left_out}
        for entry in life.records.of(life.trial).journal
    ]


@pytest.fixture
def whole(panda):
    life = eventful(panda("whole", sitter="advise", days=5, learning_rate_test=True))
    life.to_end()
    return life.metrics(), life.state(), told(life)


@pytest.mark.parametrize(
    ("at", "heard"),
    [
        pytest.param(1, True, marks=pytest.mark.cluster),
        (3, False),
        pytest.param(6, True, marks=pytest.mark.cluster),
        pytest.param(1, False, marks=pytest.mark.cluster),
        pytest.param(3, True, marks=pytest.mark.cluster),
        pytest.param(6, False, marks=pytest.mark.cluster),
    ],
)
def test_a_killed_panda_goes_on_as_if_it_had_not_been(panda, same, whole, at, heard):
    life = eventful(panda("cut", sitter="advise", days=5, learning_rate_test=True))
    life.advance(at)
    life.advance(heard=heard)
    life.trainer.begin({"units": 3, "learning_rate": 9.0}, 5)  # another trial on that worker
    life.killed().to_end()
    assert life.metrics() == whole[0]
    same(life.state(), whole[1])
    assert told(life) == whole[2]
    rows = read_lines(life.folder.epochs_file)
    assert [row["epoch"] for row in rows] == list(range(1, 11))
    ids = [entry["id"] for entry in read_lines(life.folder.journal_file)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("heard", [True, pytest.param(False, marks=pytest.mark.cluster)])
def test_what_a_power_cut_takes_from_the_records_is_told_again(panda, whole, heard):
    life = eventful(panda("cut", sitter="advise", days=5, learning_rate_test=True))
    life.advance(3)
    written = [life.folder.epochs_file, life.folder.journal_file]
    before = [file.read_bytes() for file in written]
    life.advance(heard=heard)
    for file, content in zip(written, before, strict=True):
        file.write_bytes(content[: len(content) - 9])
    with pytest.warns(TornLineWarning):
        life.killed().to_end()
    assert life.metrics() == whole[0]
    assert sorted(map(str, told(life))) == sorted(map(str, whole[2]))


def test_a_request_made_while_nobody_drove_is_answered(panda):
    life = panda()
    life.advance(3)
    asked = life.set(learning_rate=0.01)
    life.killed().advance()
    assert life.answer(asked)["epoch"] == 3
    life.killed().advance()
    assert len(life.entries("applied")) == 1


def test_a_panda_killed_in_its_pause_is_paused(panda):
    life = panda()
    life.ask("pause", at_day=2)
    life.advance(3)
    life.killed().advance()
    assert life.trainer.epoch == 2
    life.ask("continue")
    life.advance()
    assert life.trainer.epoch == 3


def test_a_panda_killed_after_a_rollback_is_in_its_new_stretch(panda):
    life = panda()
    life.to_day(3)
    before = life.metrics()
    life.ask("rollback", to_day=1)
    life.advance(heard=False)
    life.killed().to_day(3)
    assert life.metrics() == before
    rows = life.records.of(life.trial).epochs
    assert [row["stretch"] for row in rows] == [0, 0, 1, 1, 1, 1]


@pytest.mark.parametrize(
    ("options", "ending"),
    [
        ({"start": {"learning_rate": 1e30, "batch_norm": False}, "sitter": "act"}, "stopped"),
        ({"start": {"learning_rate": 1e30, "batch_norm": False}, "sitter": "off"}, "diverged"),
        ({"days": 1}, "finished"),
    ],
)
def test_an_ending_that_nobody_heard_is_told_again(panda, options, ending):
    life = panda(**options)
    while not life.session.panda.is_over(life.session.state):
        life.advance(heard=False)
    life.killed().advance()
    assert life.ended == ending
    assert life.metrics()


def test_a_stop_that_nobody_heard_stays_one(panda):
    life = panda()
    life.advance()
    life.ask("stop")
    life.advance(heard=False)
    life.killed().advance()
    assert life.ended == "stopped"
    assert len(life.metrics()) == 1


def test_a_branch_that_nobody_heard_of_is_made(panda):
    life = panda()
    life.to_day(1)
    asked = life.ask("branch", name="gentle", changes={"learning_rate": 0.01})
    life.advance(heard=False)
    life.killed().advance()
    assert [branch.trial for branch in life.branches] == ["gentle"]
    assert life.answer(asked)["kind"] == "applied"


def test_a_branch_whose_panda_died_before_it_could_say_so_is_made(panda):
    life = panda()
    life.to_day(1)
    asked = life.ask("branch", name="gentle")
    kept = life.session.panda.days.last.read_bytes()
    life.advance(heard=False)
    life.session.panda.days.last.write_bytes(kept)
    life.killed().advance()
    assert life.answer(asked)["kind"] == "applied"
    assert [branch.trial for branch in life.branches] == ["gentle"]


def test_a_life_leaves_no_half_written_files(panda):
    life = panda(days=3)
    life.to_end()
    assert list(life.folder.path.rglob("*.part")) == []


def test_a_panda_whose_end_was_torn_off_the_records_tells_it_again(panda):
    life = panda(days=2)
    life.to_end()
    assert incomplete_trials(life.records, life.plan) == set()
    whole = life.metrics()
    rows = life.folder.epochs_file
    rows.write_bytes(rows.read_bytes()[:-9])
    with pytest.warns(TornLineWarning):
        assert incomplete_trials(life.records, life.plan) == {life.trial}
        life.ended = None
        life.killed().advance()
    assert life.ended == "finished"
    assert life.metrics() == whole


@pytest.fixture
def long_epochs(monkeypatch):
    """`long_epochs()`: from here on epochs last so long that every step is a report."""

    def begin():
        monkeypatch.setattr(backend, "CHUNK_SECONDS", 0.0)
        monkeypatch.setattr(judging, "AMID_SECONDS", 0.0)

    return begin


@pytest.mark.parametrize("heard", [pytest.param(True, marks=pytest.mark.cluster), False])
def test_a_panda_killed_amid_an_epoch_goes_on_in_its_middle(panda, same, whole, long_epochs, heard):
    long_epochs()
    life = eventful(panda("parts", sitter="advise", days=5, learning_rate_test=True))
    while life.trainer.epoch < 3 or not life.trainer.position.steps:
        life.advance()
    life.advance(heard=heard)
    steps = life.trainer.position.steps
    life.session.keep()
    life = life.killed()
    life.advance()
    assert (life.trainer.epoch, life.trainer.position.steps) == (3, steps + 1)
    life.to_end()
    metrics, state, journal = whole
    assert life.metrics() == metrics
    assert told(life) == journal
    same(life.state(), state)


def test_what_is_asked_amid_an_epoch_waits_for_its_end(panda, long_epochs):
    life = panda("asked", day="1 epoch", days=2)
    long_epochs()
    life.advance()
    assert life.trainer.position.steps == 1
    asked = life.set(batch_size=32)
    while life.trainer.epoch == 0:
        assert not life.entries("applied")
        life.advance()
    life.advance()
    assert life.answer(asked)["epoch"] == 1
