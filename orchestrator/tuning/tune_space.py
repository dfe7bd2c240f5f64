"""A search space as Ray Tune's ``param_space``, for who uses Ray Tune by hand; no run of ours goes through it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.search.sample import Float, Sampler
from ray.tune.search.sample import Integer as TuneInteger

from orchestrator.catalog import find_space
from orchestrator.domains import (
    Choice,
    Domain,
    Fixed,
    Integer,
    LogInteger,
    LogNormal,
    LogUniform,
    Normal,
    OneMinusLogUniform,
    Space,
    Uniform,
)
from orchestrator.domains.numeric import one_minus
from orchestrator.domains.space import companion
from orchestrator.errors import ExperimentFileError, explain


class _OurDraws(Sampler):  # type: ignore[misc]
    """Draws as our domain does, where Ray has no such distribution.

    Ray's steps are multiples of the step instead of steps from min, give both ends half a share, and refuse a min
    that is no multiple; its whole numbers on a log scale are cut off where ours are rounded.
    """

    def __init__(self, ours: Domain) -> None:
        self._ours = ours

    def __str__(self) -> str:
        return str(self._ours)

    def sample(
        self, domain: Any, config: Any = None, size: int = 1, random_state: Any = None
    ) -> Any:
        """Return a value, or ``size`` of them."""
        values = [self._ours.from_unit(float(random_state.uniform())) for _ in range(size)]
        return values if size > 1 else values[0]


def to_tune_space(space: Space | Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """Return a space as ``param_space`` of a ``ray.tune.Tuner``, each hyperparameter distributed as in our trials.

    ``space`` is what ``search_space`` may be in an experiment: a bundled name, a file or a mapping. A β on the scale of
    1-β is there as 1-β, named ``one_minus_<name>``, since that is what lies on a log scale. Raises ExperimentFileError
    for a hyperparameter that exists only beside certain values of others: Ray Tune has no such domains.
    """
    if not isinstance(space, Space):
        space = find_space(space if isinstance(space, Mapping) else str(space), Path())
    if space.constraints:
        expected = "expected none, since Ray Tune's domains are drawn one by one"
        raise ExperimentFileError(explain("constraints", expected, str(space.constraints[0])))
    for name, domain in space.domains.items():
        if domain.when:
            others = " and ".join(condition.name for condition in domain.when)
            expected = "expected no when, since each of Ray Tune's domains exists in every trial"
            raise ExperimentFileError(explain(f"search_space.{name}", expected, f"when: {others}"))
    return {
        companion(name) if isinstance(domain, OneMinusLogUniform) else name: _domain_of(domain)
        for name, domain in space.domains.items()
    }


def _domain_of(domain: Domain) -> Any:
    """Return Ray Tune's domain of the same distribution.

    Ray's integers exclude their upper end, so ours, which include it, get one more. ``one_minus_loguniform`` becomes
    Ray's log-uniform over 1-β, the quantity whose scale is logarithmic.
    """
    stepped = getattr(domain, "step", None) is not None
    match domain:
        case Fixed():
            return domain.value
        case Choice():
            return tune.choice(list(domain.values))
        case Uniform() | LogUniform() if stepped:
            return _drawn_as_ours(Float(domain.min, domain.max), domain)
        case Uniform():
            return tune.uniform(domain.min, domain.max)
        case LogUniform():
            return tune.loguniform(domain.min, domain.max)
        case OneMinusLogUniform():
            return tune.loguniform(one_minus(domain.max), one_minus(domain.min))
        case Normal() | LogNormal():
            return _drawn_as_ours(Float(domain.min, domain.max), domain)
        case Integer() if not stepped:
            return tune.randint(domain.min, domain.max + 1)
        case Integer() | LogInteger():
            return _drawn_as_ours(TuneInteger(domain.min, domain.max + 1), domain)
    raise TypeError(f"no Ray Tune domain for {domain!r}")


def _drawn_as_ours(theirs: Any, ours: Domain) -> Any:
    theirs.set_sampler(_OurDraws(ours))
    return theirs
