"""What a copy in a population begins with: another trial's recipe so far, and hyperparameters near its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from orchestrator.domains import Space
from orchestrator.domains.numeric import OneMinusLogUniform, one_minus
from orchestrator.domains.space import without_companions
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.schedulers import PbtOptions
from orchestrator.schedulers.scheduler import Copy
from orchestrator.search.plan import Plan, TrialSpec
from orchestrator.search.scales import scale_of

_OF_COPIES = 5
"""What tells the stream that changes copies from a seed's others."""
TRIES = 20
"""How often a change that breaks a constraint is drawn again, before the copy keeps its original's values."""


def copied(plan: Plan, copy: Copy, specs: Mapping[str, TrialSpec], group: int) -> TrialSpec:
    """Return the trial that begins as a copy of one of its donors, changed: a function of the plan's seed alone.

    One of ``specs`` where it is known.

    Its ``recipe`` is what gives the same from the donor's seed, wherever the donor's state is gone.
    """
    if copy.trial in specs:
        return replace(specs[copy.trial], group=group)
    draws = np.random.default_rng([plan.seed, _OF_COPIES, copy.index])
    donor = specs[copy.donors[int(draws.integers(len(copy.donors)))]]
    changed = _changed(plan, donor.hyperparameters, draws)
    recipe = donor.recipe or ((0, donor.hyperparameters),)
    return replace(
        donor,
        trial=copy.trial,
        index=copy.index,
        hyperparameters=changed,
        origin={"run": None, "trial": donor.trial, "day": None, "epoch": copy.epoch},
        recipe=(*recipe, (copy.epoch, changed)),
        group=group,
    )


def _changed(plan: Plan, of: Mapping[str, Any], draws: np.random.Generator) -> dict[str, Any]:
    """Return hyperparameters with each that may change made larger or smaller, on its own scale."""
    options = plan.scheduler
    factor = options.factor if isinstance(options, PbtOptions) else 1.0
    start = without_companions(of)
    for _ in range(TRIES):
        ups = {name: draws.random() < 0.5 for name in plan.changing}
        moved = {
            name: _moved(plan.space, name, start[name], factor if up else 1 / factor)
            for name, up in ups.items()
            if name in start
        }
        found = plan.space.with_companions({**start, **moved})
        if plan.space.broken(found) is None:
            return found
    return dict(of)


def _moved(space: Space, name: str, value: float, factor: float) -> Any:
    """Return a value times ``factor``, within its range; of one on the scale of 1-β, 1-β is divided by it."""
    domain = space.domains[name]
    is_beta = isinstance(domain, OneMinusLogUniform)
    moved = 1 - one_minus(value) / factor if is_beta else value * factor
    return domain.from_unit(domain.to_unit(moved))


def changing(options: PbtOptions, space: Space, live: Collection[str]) -> tuple[str, ...]:
    """Return what copies change: ranges of a space whose values can change while a model trains.

    Raises ExperimentFileError where there is none, or something else was asked for.
    """
    scales = {name: scale_of(domain) for name, domain in space.domains.items() if name in live}
    able = tuple(name for name, there in scales.items() if there is not None and there.width)
    where = "caviar.scheduler.pbt.change"
    if not able:
        expected = "expected a space with a range of what can change while a model trains"
        raise ExperimentFileError(explain(where, expected, list(space.domains), sorted(live)))
    wanted = able if options.change == "auto" else options.change
    for name in wanted:
        if name not in able:
            expected = "expected a range of the space whose values can change while a model trains"
            raise ExperimentFileError(explain(where, expected, name, able))
    return wanted
