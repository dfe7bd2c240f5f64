"""How long the winner's examination may last, and what becomes of one that does not end."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.tuning.examination import Examination
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Verdict

SCORES = {"trial": "00000", "epoch": 3}
DIED = Failure("worker_died", "worker died: x", "x")
FULL = Failure("disk", "OSError: full", "Traceback", bytes_needed=99)


class Scene:
    """An examination, its listener, its clock, and examiners that answer as they are told, or never."""

    def __init__(self, *answers, slowest_epoch=0.0, verdict=True):
        self.answers, self.asked, self.ended = list(answers), 0, 0
        self.judgements, self.reasons, self.waits = [], [], []
        self.time, self.stop_at = 0.0, float("inf")
        self._verdict = Verdict(Path("a.npz"), Path("best"), slowest_epoch) if verdict else None
        self.examination = Examination(self, lambda: self.time >= self.stop_at, lambda: self.time)

    def ask(self, verdict):
        self.asked += 1
        self.said = self.answers.pop(0) if self.answers else None
        return self

    def answer(self, seconds):
        self.time += seconds if self.said is None else 0.0
        return self.said

    def end(self):
        self.ended += 1

    def verdict(self):
        return self._verdict

    def judged(self, metrics):
        self.judgements.append(metrics)

    def not_judged(self, why):
        self.reasons.append(why)

    @property
    def disk(self):
        return self

    def is_or_was_full(self, needed):
        self.waits.append(needed)
        return len(self.waits) < 3

    def play(self):
        self.examination.on_last_worker(self.ask)
        if not self.examination.settled and self.time < self.stop_at:
            self.examination.on_new_worker(self.ask)
        return self.examination.settled


def test_the_last_worker_examines_the_winner():
    scene = Scene(SCORES)
    assert scene.play()
    assert (scene.judgements, scene.reasons, scene.asked) == ([SCORES], [], 1)


def test_a_new_worker_examines_where_the_last_one_fails():
    scene = Scene(DIED, SCORES)
    assert scene.play()
    assert (scene.judgements, scene.reasons) == ([SCORES], [])


def test_where_nobody_can_the_reason_is_told():
    scene = Scene(DIED, DIED)
    assert scene.play()
    assert (scene.judgements, scene.reasons) == ([], ["worker died: x"])


def test_a_full_disk_is_waited_for_and_then_given_up():
    scene = Scene(FULL, FULL, SCORES)
    assert scene.play() and scene.judgements == [SCORES]
    scene = Scene(*[FULL] * 9)
    assert scene.play() and scene.reasons == ["OSError: full"]


@pytest.mark.parametrize(("slowest_epoch", "patience"), [(0.0, 600), (29.0, 600), (90.0, 1800)])
def test_one_that_does_not_answer_is_ended_after_ten_minutes_or_twenty_epochs(
    slowest_epoch, patience
):
    scene = Scene(slowest_epoch=slowest_epoch)
    assert scene.play()
    assert scene.time == patience
    assert (scene.asked, scene.ended) == (1, 1), "a new worker would get no further"
    assert scene.reasons == [f"timeout: no answer within {patience} seconds"]


def test_a_run_that_is_asked_to_stop_waits_no_longer_and_leaves_it_to_the_next_sitting():
    scene = Scene()
    scene.stop_at = 5.0
    assert not scene.play()
    assert (scene.time, scene.ended, scene.reasons) == (5.0, 1, [])


def test_a_run_that_was_asked_to_stop_before_asks_nobody():
    scene = Scene(SCORES)
    scene.stop_at = 0.0
    assert not scene.play()
    assert scene.asked == 0


def test_there_may_be_nothing_to_examine():
    scene = Scene(verdict=False)
    assert scene.play()
    assert (scene.asked, scene.reasons) == (0, [])
