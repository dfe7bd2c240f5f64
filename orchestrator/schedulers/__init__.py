"""Schedulers: which trials go on. Pure Python, fed epochs, rebuilt from records.

To add one: a module here with typed options in ``orchestrator.config.options``, and its line in ``make_scheduler``.
"""

from orchestrator.schedulers.decision import Decision, Scheduler
from orchestrator.schedulers.passed import PassedBefore
from orchestrator.schedulers.registry import make_scheduler, replay, report_row

__all__ = ["Decision", "PassedBefore", "Scheduler", "make_scheduler", "replay", "report_row"]
