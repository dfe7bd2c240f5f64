"""Ray is imported here, never started."""

from __future__ import annotations

import pickle
import threading
from types import SimpleNamespace

from orchestrator.config import NoSchedulerOptions
from orchestrator.schedulers import make_scheduler
from orchestrator.tuning.conductor import Conductor, PlannedTrials


def test_tune_can_pickle_a_conductor_whose_view_holds_a_terminal():
    plan = SimpleNamespace(trials=(), nursery=None)
    listener = SimpleNamespace(view=threading.Lock())  # as rich's live view has: cannot be pickled
    scheduler = make_scheduler(NoSchedulerOptions(), 1, "max")
    conductor = Conductor(plan, scheduler, listener, PlannedTrials(plan.trials))
    assert pickle.dumps(conductor)
