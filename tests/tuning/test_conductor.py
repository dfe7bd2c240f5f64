"""Ray is imported here, never started."""

from __future__ import annotations

import pickle
import threading
from types import SimpleNamespace

from ray.tune.search import Searcher

from orchestrator.config import NoSchedulerOptions
from orchestrator.schedulers import make_scheduler
from orchestrator.strategies import TrialSpec
from orchestrator.tuning.conductor import Conductor, PlannedTrials


def test_tune_can_pickle_a_conductor_whose_view_holds_a_terminal():
    plan = SimpleNamespace(trials=(), nursery=None)
    listener = SimpleNamespace(view=threading.Lock())  # as rich's live view has: cannot be pickled
    scheduler = make_scheduler(NoSchedulerOptions(), 1, "max")
    conductor = Conductor(plan, scheduler, listener, PlannedTrials(plan.trials))
    assert pickle.dumps(conductor)


class Heard:
    """A listener that keeps what it hears."""

    def __init__(self):
        self.ends = []

    def ended(self, end, traceback):
        self.ends.append(end)


def babysat():
    """A conductor of one babysat trial, what it tells, and where its trials come from."""
    spec = TrialSpec("00000", 0, 1, {})
    plan = SimpleNamespace(trials=(spec,), nursery=object())
    heard, trials = Heard(), PlannedTrials(plan.trials)
    scheduler = make_scheduler(NoSchedulerOptions(), 1, "max")
    return Conductor(plan, scheduler, heard, trials), heard, trials


def lost(status):
    """A trial of Tune's whose worker died; one that Tune will start anew it has stopped by then."""
    return SimpleNamespace(config={"trial": "00000"}, status=status)


def test_no_more_trials_come_once_the_only_panda_lost_its_last_worker():
    conductor, heard, trials = babysat()
    trials.suggest("a")
    assert trials.suggest("b") is None, "a branch may come yet"
    conductor.on_trial_error(None, lost("RUNNING"))
    assert [(end.trial, end.status) for end in heard.ends] == [("00000", "failed")]
    assert trials.suggest("b") == Searcher.FINISHED


def test_a_panda_that_another_worker_takes_up_has_not_ended():
    conductor, heard, trials = babysat()
    trials.suggest("a")
    conductor.on_trial_error(None, lost("ERROR"))
    assert heard.ends == [] and not conductor.done
    assert trials.suggest("b") is None
