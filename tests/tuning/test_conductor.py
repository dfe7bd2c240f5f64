"""Ray is imported here, never started."""

from __future__ import annotations

import pickle
import threading
from types import SimpleNamespace

from orchestrator.config import NoSchedulerOptions
from orchestrator.schedulers import make_scheduler
from orchestrator.tuning.conductor import Conductor


def test_tune_can_pickle_a_conductor_whose_view_holds_a_terminal():
    plan = SimpleNamespace(trials=())
    listener = SimpleNamespace(view=threading.Lock())  # as rich's live view has: cannot be pickled
    conductor = Conductor(plan, make_scheduler(NoSchedulerOptions(), 1, "max"), listener)
    assert pickle.dumps(conductor)
