"""An examination of the winner that does not end, on real workers."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import make_plan
from orchestrator.tuning import examination
from orchestrator.tuning.protocol import Sitting, Verdict
from orchestrator.tuning.tune import run_plan
from tests.integration.pretending import Pretence
from tests.tuning.play import Heard

EXPERIMENT = {
    "name": "one", "model": "mlp", "data": "digits", "epochs": 2,
    "search_space": {"learning_rate": "loguniform(1e-3, 1)"},
    "caviar": {"num_samples": 2, "scheduler": "none", "max_concurrent_trials": 1},
}  # fmt: skip


class Listener(Heard):
    """Keeps what it hears, and has the first trial examined."""

    def __init__(self, tmp_path):
        super().__init__()
        self.place, self.scores, self.why = tmp_path, None, None
        self.asked = threading.Event()

    def verdict(self):
        self.asked.set()
        return Verdict(self.place / "00000.npz", self.place)

    def judged(self, metrics):
        self.scores = metrics

    def not_judged(self, why):
        self.why = why


@pytest.fixture
def play(cluster, tmp_path):
    """`play(seconds, stopping)`: what a run comes to whose winner takes so long to examine."""
    experiment = parse_experiment(EXPERIMENT)
    plan = make_plan(experiment, Space.parse(experiment.search_space))

    def run(judging, stopping=bool, trials=2):
        listener = Listener(tmp_path)
        sitting = Sitting(2, stopping=lambda: stopping(listener))
        some = replace(plan, num_trials=trials)
        outcome = run_plan(some, Pretence(2, judging=judging), listener, sitting)
        return outcome, listener

    return run


@pytest.mark.parametrize("trials", [2, 0], ids=["warm", "new"])
def test_one_that_hangs_is_given_up_and_the_run_ends(play, monkeypatch, trials):
    monkeypatch.setattr(examination, "LEAST_SECONDS", 2.0)
    outcome, listener = play(3600, lambda _: False, trials)
    assert outcome.ended
    assert (listener.scores, listener.why) == (None, "timeout: no answer within 2 seconds")


@pytest.mark.parametrize("trials", [2, 0], ids=["warm", "new"])
def test_a_run_asked_to_stop_meanwhile_is_not_over(play, trials):
    outcome, listener = play(3600, lambda listener: listener.asked.is_set(), trials)
    assert not outcome.ended
    assert (listener.scores, listener.why) == (None, None)


def test_one_that_ends_is_told(play):
    outcome, listener = play(0, lambda _: False)
    assert outcome.ended and listener.scores == {"trial": "00000", "epoch": 2}
