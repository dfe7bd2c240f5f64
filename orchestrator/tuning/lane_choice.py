"""How many trials a worker trains side by side where that is left open: tried, said and written down once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.records.events import LANES_CHOSEN
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import Trainable
from orchestrator.tuning.failures import Failure
from orchestrator.tuning.protocol import Listener
from orchestrator.tuning.stage import Stage

TryLanes = Callable[[TrialSpec, int], Mapping[str, Any] | Failure]
"""Tries a trial's program with 1, 2, 4, … lanes, up to a number; returns ``lanes``, ``reason`` and the figures."""


def with_lanes_chosen(
    plan: Plan, job: Trainable, stage: Stage, listener: Listener, try_lanes: TryLanes
) -> tuple[Plan, Trainable]:
    """Return both with a number of lanes, found by the trial that comes next where the plan leaves it open.

    Where that trial itself fails, its trial will say so: this sitting has no lanes, and the next one tries again.
    """
    if plan.lanes != "auto":
        return plan, job
    spec = stage.look_ahead()
    if spec is None:
        return with_lanes(plan, job, None)
    at_once = min(plan.most_trials, plan.max_concurrent_trials or plan.most_trials)
    found = try_lanes(spec, plan.nursery.most_at_once if plan.nursery else at_once)
    if isinstance(found, Failure):
        said = f"lanes: none, since trying them with trial {spec.trial} failed: {found.message}"
        listener.remarked("lanes_not_tried", said, trial=spec.trial)
        return with_lanes(plan, job, None)
    facts = {name: value for name, value in found.items() if name != "reason"}
    listener.remarked(LANES_CHOSEN, f"lanes: {found['reason']}", **facts)
    return with_lanes(plan, job, found["lanes"])


def with_lanes(plan: Plan, job: Trainable, lanes: int | None) -> tuple[Plan, Trainable]:
    """Return both with so many lanes; None: trials train by themselves."""
    return replace(plan, lanes=lanes), replace(job, lanes=lanes)  # type: ignore[type-var]
