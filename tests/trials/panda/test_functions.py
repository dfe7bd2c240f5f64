"""What happens to a panda's state, function by function, without a network: a model of two numbers stands in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.config import SitterOptions
from orchestrator.config.limits import Duration
from orchestrator.errors import RequestError, TrialError
from orchestrator.records import Request
from orchestrator.search import Nursery, TrialSpec
from orchestrator.sitter import Finding, from_plain, to_plain
from orchestrator.trials import Checkpoint, Progress
from orchestrator.trials.judging import Objective
from orchestrator.trials.panda.day_cycle import end_day, monitor, record_epoch
from orchestrator.trials.panda.request_handler import apply_schedule, change, handle
from orchestrator.trials.panda.session import PandaSession
from orchestrator.trials.panda.state import Panda, PandaState, checkpoint


class FakeModel:
    """A model that is its hyperparameters and its epoch; ``bad`` cannot be set, and ``broken`` breaks it."""

    steps_within, steps_per_epoch, why_rate_is_fixed, ended = 0, 10, None, None
    validation_rows = 100

    def __init__(self) -> None:
        self.epoch, self.seed = 0, 1
        self.hyperparameters: dict[str, Any] = {"learning_rate": 0.1}

    def begin(self, hyperparameters, seed) -> None:
        self.hyperparameters, self.seed, self.epoch = dict(hyperparameters), seed, 0

    def check_going_on(self, checkpoint, changes) -> None:
        if "bad" in changes:
            raise RequestError("bad: expected another.")
        if "broken" in changes:
            raise TrialError("broken.")

    def change(self, changes) -> str:
        self.check_going_on(None, changes)
        self.hyperparameters |= changes
        return "live"

    def train_chunk(self) -> dict[str, Any]:
        self.epoch += 1
        return row(self.epoch)

    def untrained(self) -> dict[str, float]:
        return {"loss": 2.0, "accuracy": 0.1}

    def checkpoint(self, about) -> Checkpoint:
        facts = {"epoch": self.epoch, "seed": self.seed, "in_force": dict(self.hyperparameters)}
        return Checkpoint((), (), {**facts, **about})

    def resume(self, state) -> None:
        self.epoch = state.about["epoch"]
        self.hyperparameters = dict(state.about["in_force"])


def row(epoch=1, **metrics) -> dict[str, Any]:
    metrics = {"loss": 1.0, "val_loss": 1.0, "val_accuracy": 0.5} | metrics
    return {"trial": "p", "epoch": epoch, "metrics": metrics, "seconds": 2.0}


@pytest.fixture
def panda(tmp_path):
    def made(mode="off", days=3, schedule=()) -> Panda:
        spec = TrialSpec("p", 0, 1, {"learning_rate": 0.1})
        sitter = SitterOptions(mode=mode)
        nursery = Nursery(Duration(2, "epoch"), days, sitter, False, None, schedule)
        objective = Objective("val_accuracy", "max", frozenset(), tmp_path / "checkpoints")
        return Panda(FakeModel(), spec, nursery, objective, Progress())  # type: ignore[arg-type]

    return made


def request(action="set", at_day=None, expect=None, **arguments) -> Request:
    return Request(
        action, "p", arguments, who="ada", at_day=at_day, expect=expect or {}, id=f"r-{action}"
    )


def kinds(panda) -> list[str]:
    return [entry["kind"] for entry in panda.progress.journal]


def day_ended(state, panda) -> PandaState:
    panda.model.epoch += 2
    return end_day(row(panda.model.epoch), state, panda)[0]


def test_a_request_gives_a_new_state_and_leaves_the_old_one(panda):
    panda, before = panda(), PandaState()
    after = handle(request(changes={"learning_rate": 0.2}), before, panda)
    assert before == PandaState()
    assert (after.handled, after.changed, after.entries) == (("r-set",), ("learning_rate",), 2)
    assert kinds(panda) == ["asked", "applied"]
    assert panda.model.hyperparameters == {"learning_rate": 0.2}


def test_a_request_for_a_later_day_is_asked_once_and_waits(panda):
    panda = panda()
    later = request(at_day=3, changes={"learning_rate": 0.2})
    state = handle(later, PandaState(), panda)
    assert handle(later, state, panda) == state
    assert (state.handled, kinds(panda)) == ((), ["asked"])
    assert handle(later, replace(state, day=2), panda).handled == ("r-set",)


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        (request(changes={"bad": 1}), "bad: expected another."),
        (request(changes={"learning_rate": 1.0}, expect={"learning_rate": 9}), "9 in force"),
        (request(changes=3), "expected new values by name"),
        (request("rollback", to_day=2), "day 2: expected a day whose end is kept"),
    ],
)
def test_a_refused_request_changes_nothing_but_that_it_was_handled(panda, asked, reason):
    panda = panda()
    state = handle(asked, PandaState(), panda)
    assert state == PandaState(asked=(asked.id,), handled=(asked.id,), entries=2)
    assert reason in panda.progress.journal[-1]["reason"]
    assert panda.model.hyperparameters == {"learning_rate": 0.1}


def test_a_rollback_takes_back_all_but_what_was_asked_and_told(panda):
    panda = panda()
    first = day_ended(PandaState(), panda)
    state = change(first, panda, {"learning_rate": 0.5}, by="ada")
    second = day_ended(state, panda)
    back = handle(request("rollback", to_day=1), second, panda)
    assert (panda.model.epoch, panda.model.hyperparameters) == (2, {"learning_rate": 0.1})
    kept = {"entries": second.entries + 2, "segment": 1, "asked": back.asked}
    assert back == replace(first, **kept, handled=back.handled)
    assert [entry["stretch"] for entry in panda.progress.journal[-2:]] == [0, 1]


def test_a_schedule_is_applied_up_to_the_epoch_reached(panda):
    panda = panda(schedule=((0, {"learning_rate": 0.2}), (1, {"units": 3}), (5, {"units": 4})))
    panda.model.epoch = 1
    state = apply_schedule(PandaState(), panda)
    assert (state.scheduled, state.changed) == (2, ("learning_rate", "units"))
    assert apply_schedule(state, panda) == state


def test_a_day_ends_with_its_checkpoint_and_the_effects_of_changes(panda):
    panda = panda()
    state = change(day_ended(PandaState(), panda), panda, {"learning_rate": 0.5}, by="ada")
    state = day_ended(state, panda)
    assert (state.day, state.effects, [day["epoch"] for day in state.days]) == (2, (), [2, 4])
    assert kinds(panda) == ["day", "applied", "day", "effect"]
    assert panda.progress.journal[-1]["after"] == 0.5
    assert panda.days.kept(2) == [1, 2]


@pytest.mark.parametrize("mode", ["advise", "act"])
def test_a_finding_is_done_only_by_a_sitter_that_may_act(panda, mode):
    panda = panda(mode)
    state = day_ended(PandaState(), panda)
    halved = {"learning_rate": 0.05}
    finding = Finding("divergence", "back", {}, "rollback", to_day=1, changes=halved)
    after, moved = monitor([finding], state, panda)
    assert moved == (mode == "act")
    assert kinds(panda)[1:] == ["advice", *["applied"] * 2 * moved]
    assert panda.model.hyperparameters["learning_rate"] == (0.05 if moved else 0.1)
    assert after.segment == moved


def test_a_sitter_that_cannot_set_the_rate_only_advises(panda):
    panda = panda("act")
    panda.model.why_rate_is_fixed = "it is a schedule"
    stop = Finding("plateau", "stop", {}, "stop")
    state, moved = monitor([stop], PandaState(), panda)
    assert (moved, state.ending, kinds(panda)) == (False, None, ["advice"])


def test_an_epoch_without_a_finite_loss_ends_a_panda_that_nobody_may_save(panda):
    panda = panda()
    state, moved = record_epoch(row(loss=float("nan")), PandaState(), panda)
    assert (state.ending, moved, kinds(panda)) == ("diverged", True, ["verdict"])
    assert len(panda.progress.rows) == 1


def test_a_state_is_read_back_as_it_was_written(panda):
    panda = panda()
    state = replace(day_ended(PandaState(), panda), paused=True, ending="stopped")
    about = checkpoint(state, panda).about
    assert PandaState.from_about(about) == state
    assert PandaState.from_about({"panda": {}}) == PandaState()


def test_keys_of_another_version_are_no_obstacle():
    about = PandaState(day=3, segment=2).to_about()
    memory = to_plain(from_plain({"days": [{"day": 1, "epoch": 2, "mood": "good"}]}))
    about["panda"] |= {"mood": "good", "best": 3, "sitter": memory | {"mood": 1}}
    del about["panda"]["tested"]
    state = PandaState.from_about(about)
    assert (state.day, state.segment, state.tested, state.best) == (3, 2, False, None)
    assert [day.day for day in state.monitor.days] == [1]


def test_after_an_error_the_last_state_is_that_of_the_last_report(panda):
    panda = panda(schedule=((1, {"broken": 1}),))
    session = PandaSession(panda.model, panda.spec, panda.nursery, panda.objective)
    session.advance(Progress(), 0.0)
    kept, progress = panda.days.last.read_bytes(), Progress()
    with pytest.raises(TrialError):
        session.advance(progress, 0.0)
    session.keep()
    assert panda.days.last.read_bytes() == kept
