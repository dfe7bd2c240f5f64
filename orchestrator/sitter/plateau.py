"""Plateau: nothing is gained any more."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from pydantic import Field

from orchestrator.fields import Real, Shrinking, Whole
from orchestrator.sitter.rule import (
    DayRecord,
    DaySeen,
    Finding,
    Looked,
    Memory,
    RuleOptions,
    Watched,
)

RULE = "plateau"
_MAD_TO_SIGMA = 1.4826  # for a normal distribution: 1 / Φ⁻¹(3/4)


class PlateauOptions(RuleOptions):
    """When nothing is gained any more (for the sitter's ``patience``), and what is done then."""

    standard_errors: Real = Field(
        default=1.0,
        ge=0,
        description="A day gains if the metric improves by more than this many standard errors.",
    )
    learning_rate_factor: Shrinking = Field(
        default=0.3,
        description="Factor on α at a plateau, when training continues from the best day.",
    )
    learnt_standard_errors: Real = Field(
        default=3.0,
        ge=0,
        description="The best day must beat the untrained model by more than this many standard errors. "
        "Otherwise the model learned nothing, and the rollback goes to day 0.",
    )
    most_reductions: Whole = Field(
        default=2,
        description="How many such reductions there may be; at the next plateau the panda stops.",
    )

    def after_day(self, memory: Memory, day: DayRecord, watched: Watched) -> Looked:
        """Return what is remembered after a day, and what is to be done on a plateau."""
        memory, evidence = _reached(memory, watched, self)
        return memory, None if evidence is None else _finding(memory, evidence, self)

    def done(self, memory: Memory, found: Finding) -> Memory:
        """Count the reduction of the learning rate."""
        return replace(memory, reductions=memory.reductions + 1)


def _reached(
    memory: Memory, watched: Watched, options: PlateauOptions
) -> tuple[Memory, dict[str, Any] | None]:
    """Return what is remembered after a day, and the evidence of a plateau if there is one.

    A day gains if its score is above the reference by more than ``standard_errors`` standard
    errors; it is then the new reference, so that many small gains add up to one. A plateau is
    ``patience`` days without. Keras's ReduceLROnPlateau works so, with a fixed ``min_delta``
    instead of the metric's noise. A model that still learns, if slowly, is on no plateau.
    """
    today = memory.days[-1]
    if today.score is not None and memory.reference is None:
        return replace(memory, reference=today.score, since=today.day), None
    if memory.reference is None:
        return memory, None
    one = _noise_of(watched)(memory)
    error = options.standard_errors * one
    gain = None if today.score is None else today.score - memory.reference
    if gain is not None and gain > error:
        gained = replace(memory, reference=today.score, since=today.day, branched=False)
        return gained, None
    if memory.days_waited < watched.patience or _still_learns(memory, watched.patience):
        return memory, None
    best = _starting_point(memory, options.learnt_standard_errors * one)
    evidence = {
        "days_without_gain": memory.days_waited,
        "gain": gain,
        "standard_error": error,
        "reductions": memory.reductions,
        "best_day": None if best is None else best.day,
    }
    return replace(memory, since=today.day), evidence


def _finding(memory: Memory, evidence: dict[str, Any], options: PlateauOptions) -> Finding:
    """Return what is done on a plateau: α x 0.3 from the best day on, a few times, then stop.

    He et al. 2016 (arXiv:1512.03385, section 3.4) divide α when the error plateaus; going back to
    the best weights first is EarlyStopping's ``restore_best_weights``.
    """
    days, day = evidence["days_without_gain"], evidence["best_day"]
    said = f"No gain above a noise of {evidence['standard_error']:.3g} for {days} days"
    if memory.reductions >= options.most_reductions:
        verdict = (
            f"{said}, after {memory.reductions} reductions of the learning rate: more of the"
            f" same will not help. The best day is {day}."
        )
        return Finding(
            RULE, f"{said}: stop.", evidence, "stop", to="best", to_day=day, verdict=verdict
        )
    if memory.learning_rate is None:
        return Finding(RULE, f"{said}; lower the learning rate.", evidence)
    rate = memory.learning_rate * options.learning_rate_factor
    return Finding(
        RULE,
        f"{said}: back to day {day} with learning rate {rate:.4g}.",
        evidence,
        action="rollback",
        to="best",
        to_day=day,
        changes={"learning_rate": rate},
    )


def _still_learns(memory: Memory, patience: int) -> bool:
    """Return whether both losses fell on each of the last ``patience`` days, at an α never lowered.

    An α far too small gains less than the noise in that time, and a smaller one would gain nothing
    at all. A loss has no steps, unlike an accuracy: it falls that steadily only where there is a
    slope. Once α was lowered, a slow fall is what that gives, and says nothing.
    """
    recent = memory.days[-patience - 1 :]
    if memory.reductions or len(recent) <= patience:
        return False
    return all(
        _falls(before.loss, after.loss) and _falls(before.val_loss, after.val_loss)
        for before, after in pairwise(recent)
    )


def _falls(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after < before


def _starting_point(memory: Memory, least: float) -> DaySeen | None:
    """Return the best day; day 0 where the best is not good, or not better by more than least."""
    best, first = memory.best_day, memory.days[0]
    if best is None or first.day != 0 or best.score is None:
        return best
    within_noise = first.score is not None and best.score - first.score <= least
    return first if within_noise or not best.good else best


Noise = Callable[[Memory], float]


def _noise_of(watched: Watched) -> Noise:
    """Return how the standard error of the metric is estimated from what is remembered.

    For an accuracy p: √(p(1-p)/rows) at the reference, with ``validation_rows`` rows. For anything
    else: the deviation of its day-to-day differences over the last eight days.
    """

    def share(memory: Memory) -> float:
        value = memory.reference if watched.metric_mode == "max" else -(memory.reference or 0.0)
        if value is None or not 0 <= value <= 1:
            return differences(memory)
        return standard_error_of_share(value, watched.validation_rows)

    def differences(memory: Memory) -> float:
        scores = [day.score for day in memory.days if day.score is not None]
        return deviation_of_differences(scores[-9:])

    counted = "acc" in watched.metric.rpartition("_")[2] and watched.validation_rows > 0
    return share if counted else differences


def standard_error_of_share(share: float, rows: int) -> float:
    """Return √(p(1-p)/n): of an accuracy p over n independent rows (the binomial's, after Wald)."""
    return math.sqrt(share * (1 - share) / rows)


def deviation_of_differences(values: Sequence[float]) -> float:
    """Return the standard deviation of the differences between neighbours; 0 below three values.

    A gain is itself a difference of two days, so this is its noise, with no factor of √2. It is
    estimated by the median absolute deviation from the median, times 1.4826 (Rousseeuw and Croux
    1993, JASA 88): the great steps of the first days would otherwise pass for noise and turn a
    model that still learns into a plateau.
    """
    if len(values) < 3:
        return 0.0
    differences = [after - before for before, after in pairwise(values)]
    middle = statistics.median(differences)
    return _MAD_TO_SIGMA * statistics.median([abs(each - middle) for each in differences])
