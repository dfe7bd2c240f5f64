"""Our domains as Ray Tune's."""

from __future__ import annotations

import math
from typing import Any

from ray import tune

from orchestrator.domains import (
    Choice,
    Domain,
    Fixed,
    Integer,
    LogInteger,
    LogUniform,
    OneMinusLogUniform,
    Space,
    Uniform,
)


def to_tune(domain: Domain) -> Any:
    """Return Ray Tune's domain of the same distribution.

    Ray's integers exclude their upper end, so ours, which include it, get one more. ``one_minus_loguniform`` becomes
    Ray's log-uniform over 1-β, the quantity whose scale is logarithmic.
    """
    step = getattr(domain, "step", None)
    match domain:
        case Fixed():
            return domain.value
        case Choice():
            return tune.choice(list(domain.values))
        case Uniform():
            return (
                tune.quniform(domain.min, domain.max, step)
                if step
                else tune.uniform(domain.min, domain.max)
            )
        case LogUniform():
            return (
                tune.qloguniform(domain.min, domain.max, step)
                if step
                else tune.loguniform(domain.min, domain.max)
            )
        case OneMinusLogUniform():
            return tune.loguniform(1.0 - domain.max, 1.0 - domain.min)
        case Integer():
            return (
                tune.qrandint(domain.min, domain.max, step)
                if step
                else tune.randint(domain.min, domain.max + 1)
            )
        case LogInteger():
            return tune.lograndint(
                domain.min, math.nextafter(domain.max + 1, 0) if step else domain.max + 1
            )
    raise TypeError(f"no Ray Tune domain for {domain!r}")


def to_tune_space(space: Space) -> dict[str, Any]:
    """Return ``param_space`` for Ray Tune; a β on the scale of 1-β is named ``one_minus_<name>`` there."""
    return {
        f"one_minus_{name}" if isinstance(domain, OneMinusLogUniform) else name: to_tune(domain)
        for name, domain in space.domains.items()
    }
