"""The effective step of SGD with momentum, α/(1-β) or α/((1-β)·batch), where it explains more than its parts.

Good points of α and β then lie in a band along the diagonal of their logarithms, which a box around them would cut.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.constraint import Constraint
from orchestrator.domains.numeric import LogUniform, OneMinusLogUniform, one_minus
from orchestrator.domains.values import number_text
from orchestrator.search.evidence import Ranking, Rule, hull_chance, percent

RATE, BETA, BATCH = "learning_rate", "momentum", "batch_size"
BETTER_BY = 0.1
"""By how much more of the ranks' variance the step explains than the best of its parts."""
FEWEST = 12
"""Fewer trials explain nothing."""


@dataclass(frozen=True)
class Diagonal:
    """A band of the effective step, from ``low`` to ``high``; ``parts`` are what it is made of."""

    parts: tuple[str, ...]
    expression: str
    low: float
    high: float
    before: str
    why: str

    @property
    def now(self) -> str:
        """The band, as one writes it."""
        return f"{number_text(self.low)} to {number_text(self.high)}"

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The band as two constraints."""
        return (
            Constraint(f"{self.expression} >= {number_text(self.low)}"),
            Constraint(f"{self.expression} <= {number_text(self.high)}"),
        )


def band_of(space: Space, original: Space) -> tuple[Constraint, ...]:
    """Return the band that an earlier round put around its draws: constraints that its experiment does not have."""
    return tuple(each for each in space.constraints if each not in original.constraints)


def _expression(parts: Sequence[str]) -> str:
    below = f"one_minus_{BETA}"
    return f"{RATE} / ({below} * {BATCH})" if BATCH in parts else f"{RATE} / {below}"


def diagonal(
    original: Space, ranking: Ranking, rule: Rule, is_held: bool = False
) -> Diagonal | None:
    """Return the band in which the best trials lie; None where the parts explain the ranking as well.

    ``is_held``: an earlier round has one. The first is no narrower than half of the space, a later one than a quarter.
    """
    if not _is_sgd(original):
        return None
    trials = [each.hyperparameters for each in ranking.judged]
    if len(trials) < FEWEST:
        return None
    ranks = np.array(ranking.ranks)
    single = {name: _logs(trials, (name,)) for name in (RATE, BETA, BATCH)}
    explained = [_explained(logs, ranks) for logs in single.values() if logs is not None]
    found = [
        (_explained(logs, ranks), parts)
        for parts in _candidates(original)
        if (logs := _logs(trials, parts)) is not None
    ]
    share, parts = max(found, default=(0.0, ()))
    if not parts or share < max(explained) + BETTER_BY:
        return None
    # A band cuts two ranges at once: half of it is as much as a quarter of their box.
    least = rule.least ** (2 if is_held else 1)
    band = _band(original, parts, ranking, replace(rule, least=least))
    said = f"it explains {share:.0%} of the ranking, the best of its parts {max(explained):.0%}"
    return band and replace(band, why=f"{said}; {band.why}")


def _band(original: Space, parts: tuple[str, ...], ranking: Ranking, rule: Rule) -> Diagonal | None:
    steps = _logs([each.hyperparameters for each in ranking.judged], parts)
    best = _logs([each.hyperparameters for each in ranking.best], parts)
    if steps is None or best is None:
        return None
    chance = hull_chance(list(best), list(steps))
    if chance > rule.level:
        return None
    least, most = _ends(original, parts)
    margin = rule.margin * (most - least)
    low, high = max(least, min(best) - margin), min(most, max(best) + margin)
    lacking = rule.least * (most - least) - (high - low)
    if lacking > 0:
        low, high = max(least, low - lacking / 2), min(most, high + lacking / 2)
    why = (
        f"the best {len(best)} of {len(steps)} at epoch {ranking.epoch} lie as close together"
        f" along it by chance in {percent(chance)}"
    )
    before = f"{_digits(least)} to {_digits(most)}"
    return Diagonal(
        parts, _expression(parts), float(_digits(low)), float(_digits(high)), before, why
    )


def _digits(log: float) -> str:
    return number_text(float(f"{10**log:.3g}"))


def _is_sgd(space: Space) -> bool:
    optimizer = space.domains.get("optimizer", Fixed("sgd"))
    is_sgd = isinstance(optimizer, Fixed) and str(optimizer.value).lower() == "sgd"
    rate, beta = space.domains.get(RATE), space.domains.get(BETA)
    plain = isinstance(rate, LogUniform) and isinstance(beta, OneMinusLogUniform)
    return is_sgd and plain and not (rate and rate.when) and not (beta and beta.when)


def _candidates(space: Space) -> Iterator[tuple[str, ...]]:
    yield (RATE, BETA)
    batch = space.domains.get(BATCH)
    if batch is not None and not isinstance(batch, Fixed) and not batch.when:
        yield (RATE, BETA, BATCH)


def _logs(trials: Sequence[Mapping[str, Any]], parts: Sequence[str]) -> np.ndarray | None:
    """Return each trial's step, in decades; None where a trial lacks a number for it."""
    found = []
    for trial in trials:
        values = [_log(name, trial.get(name)) for name in parts]
        if None in values:
            return None
        found.append(sum(value for value in values if value is not None))
    return np.array(found)


def _log(name: str, value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
        return None
    if name == BETA:
        return -math.log10(one_minus(value)) if value < 1 else None
    return math.log10(value) if name == RATE else -math.log10(value)


def _ends(space: Space, parts: Sequence[str]) -> tuple[float, float]:
    low = high = 0.0
    for name in parts:
        domain = space.domains[name]
        ends = domain.values if isinstance(domain, Choice) else domain.ends  # type: ignore[union-attr]
        places = [place for value in ends if (place := _log(name, value)) is not None]
        low, high = low + min(places), high + max(places)
    return low, high


def _explained(places: np.ndarray, ranks: np.ndarray) -> float:
    """Return the share of the ranks' variance that a parabola over the places explains, adjusted for its terms."""
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    if spread == 0 or len(np.unique(places)) < 3:
        return 0.0
    centred = places - places.mean()
    terms = np.stack([np.ones_like(centred), centred, centred**2], axis=1)
    fit = terms @ np.linalg.lstsq(terms, ranks, rcond=None)[0]
    left = float(((ranks - fit) ** 2).sum())
    n = len(ranks)
    return 1 - (left / (n - 3)) / (spread / (n - 1))
