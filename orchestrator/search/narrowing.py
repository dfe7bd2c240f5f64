"""From what trials showed to the space of the next round: what is narrowed, widened, reopened or left, and why.

Trials are compared within one rung, the last epoch that enough of them reached, and the best are held against the
rest. A range is narrowed to the hull of the best and a margin where they differ from the rest, and a side is widened
where they sit at its end. Each step says what it found.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from orchestrator.domains import Choice, Fixed, Space
from orchestrator.domains.constraint import Constraint
from orchestrator.domains.parse import Domain
from orchestrator.domains.space import companion
from orchestrator.domains.values import same, write_word
from orchestrator.search.diagonal import band_of, diagonal
from orchestrator.search.evidence import (
    FEWEST_BEST,
    Ranking,
    Rule,
    Seen,
    end_chance,
    hull_chance,
    percent,
    ranked,
)
from orchestrator.search.scales import ALMOST, Range, Side, rounded, scale_of, widened

FEWEST_VALUES = 3
"""A hyperparameter with fewer values is left alone."""
AT_AN_END = 0.15
"""A trial sits at an end of a round's range where it lies within this share of it."""


Move = Literal["kept", "narrowed", "widened", "moved", "reopened"]


@dataclass(frozen=True)
class Finding:
    """What became of a hyperparameter's range, and why; as plain values in ``to_plain``."""

    hyperparameter: str
    move: Move
    before: str
    now: str
    why: str

    def to_plain(self) -> dict[str, str]:
        """Return it as the records hold it."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


@dataclass(frozen=True)
class Derived:
    """The space of the next round, and what each range's move came from."""

    space: Space
    findings: tuple[Finding, ...]


def derive(
    original: Space, current: Space, seen: Iterable[Seen], mode: str, rule: Rule | None = None
) -> Derived:
    """Return the space that follows from ``current``, which itself came from the ``original`` one."""
    rule = rule or Rule()
    ranking = ranked(seen, mode, rule)
    if ranking is None:
        why = "too few trials to compare"
        return Derived(current, tuple(_kept(name, d, why) for name, d in current.domains.items()))
    along = diagonal(original, ranking, rule, bool(band_of(current, original)))
    band = along.constraints if along else _band_kept(original, current, ranking)
    held = {name.removeprefix(companion("")) for each in band for name in each.names}
    domains: dict[str, Domain] = {}
    findings: list[Finding] = []
    for name, whole in original.domains.items():
        now = current.domains.get(name, whole)
        # An extension may have given it a domain of another kind since.
        now = now if type(now) is type(whole) else whole
        domains[name], found = (
            now,
            _kept(name, now, "it is part of the step that is held to a band"),
        )
        if name not in held:
            domains[name], found = _derived(original, name, now, ranking, rule)
        if not isinstance(whole, Fixed):
            findings.append(found)
    if along is not None:
        findings.append(Finding(along.expression, "narrowed", along.before, along.now, along.why))
    constraints = (*original.constraints, *band)
    return Derived(replace(original, domains=domains, constraints=constraints), tuple(findings))


def _band_kept(original: Space, current: Space, ranking: Ranking) -> tuple[Constraint, ...]:
    """Return the band of an earlier round, unless one of the best trials lies outside it."""
    band = band_of(current, original)
    best = [original.with_companions(each.hyperparameters) for each in ranking.best]
    return band if all(each.holds(trial) for each in band for trial in best) else ()


def _derived(
    original: Space, name: str, now: Domain, ranking: Ranking, rule: Rule
) -> tuple[Domain, Finding]:
    whole = original.domains[name]
    # Dropping a value of what others depend on could leave one of them without any draw.
    if any(condition.name == name for each in original.domains.values() for condition in each.when):
        return now, _kept(name, now, "another hyperparameter depends on it")
    if isinstance(whole, Choice) and isinstance(now, Choice):
        return _choice(name, whole, now, ranking, rule)
    return _range(name, whole, now, ranking, rule)


def _kept(name: str, domain: Domain, why: str) -> Finding:
    return Finding(name, "kept", str(domain), str(domain), why)


def _range(
    name: str, whole: Domain, now: Domain, ranking: Ranking, rule: Rule
) -> tuple[Domain, Finding]:
    scale, current = scale_of(whole), scale_of(now)
    if scale is None or current is None:
        return now, _kept(name, now, "not a range")
    if not scale.has_at_least(FEWEST_VALUES):
        return now, _kept(name, now, "too few values to narrow")
    best = _places(scale, name, ranking.best)
    judged = _places(scale, name, ranking.judged)
    if len(best) < FEWEST_BEST:
        return now, _kept(name, now, f"only {len(best)} of the best trials have it")
    outside = [place for place in best if not current.holds(place)]
    # They came from the whole space: those drawn in this round's range cannot lie beyond it.
    if outside:
        return _reopened(name, now, (scale, current), outside, ranking)
    inside = [place for place in judged if current.holds(place)]
    return _moved(_Evidence(name, scale, current, best, inside, ranking.epoch), rule)


def _places(scale: Range, name: str, trials: Sequence[Seen]) -> list[float]:
    found = (each.hyperparameters.get(name) for each in trials)
    return [place for value in found if (place := scale.place(value)) is not None]


def _reopened(
    name: str,
    now: Domain,
    ranges: tuple[Range, Range],
    outside: Sequence[float],
    ranking: Ranking,
) -> tuple[Domain, Finding]:
    whole, current = ranges
    margin = 0.1 * whole.width
    low, high = current.low, current.high
    if min(outside) < low:
        low = max(min(whole.low, min(outside)), min(outside) - margin)
    if max(outside) > high:
        high = min(max(whole.high, max(outside)), max(outside) + margin)
    domain = rounded(current, low, high)
    count = f"{len(outside)} of the best {len(ranking.best)} trials"
    why = f"{count} lie outside it, drawn from the whole space"
    return domain, Finding(name, "reopened", str(now), str(domain), why)


@dataclass(frozen=True)
class _Evidence:
    """Where the best trials lie in a range of this round's, and all that were drawn inside it."""

    name: str
    whole: Range
    now: Range
    best: Sequence[float]
    inside: Sequence[float]
    epoch: int

    @property
    def chance(self) -> float:
        """The chance that as many at random lie as close together."""
        return hull_chance(self.best, self.inside)

    @property
    def compared(self) -> str:
        """What was compared."""
        return f"the best {len(self.best)} of {len(self.inside)} at epoch {self.epoch}"

    def hull(self, rule: Rule) -> tuple[float, float]:
        """Return where the best lie, with a margin, within the round's range; no less than a part of it."""
        margin = rule.margin * self.whole.width
        low = max(self.now.low, min(self.best) - margin)
        high = min(self.now.high, max(self.best) + margin)
        return _no_less(low, high, self.now, rule.least)

    def at_end(self, side: Side, level: float) -> int:
        """Return how many of the best lie at an end of the range, 0 where they may be so many by chance."""
        end = self.now.low if side == "lower" else self.now.high
        near = AT_AN_END * self.now.width + ALMOST
        count = sum(abs(place - end) <= near for place in self.best)
        others = sum(abs(place - end) <= near for place in self.inside)
        chance = end_chance(count, len(self.best), others, len(self.inside))
        return count if count and chance <= level else 0


def _moved(evidence: _Evidence, rule: Rule) -> tuple[Domain, Finding]:
    """Return a range narrowed where the best differ from the rest, and widened where they sit at its end."""
    now, chance = evidence.now, evidence.chance
    low, high = now.low, now.high
    reasons = []
    if chance <= rule.level:
        low, high = evidence.hull(rule)
        reasons.append(f"by chance they lie as close together in {percent(chance)}")
    else:
        reasons.append(f"as spread as any {len(evidence.best)} of them ({percent(chance)})")
    sides: tuple[Side, ...] = ("lower", "upper")
    for side in sides:
        if at_end := evidence.at_end(side, rule.level):
            new, said = widened(evidence.whole, now, side, rule.is_hard(evidence.name))
            reasons.append(f"{at_end} sit at the {side} end{said}")
            if new is not None:
                low, high = (new, high) if side == "lower" else (low, new)
    domain = rounded(now, low, high)
    why = f"{evidence.compared}: {'; '.join(reasons)}"
    move = _move(now, low, high)
    return domain, Finding(evidence.name, move, str(now.domain), str(domain), why)


def _move(now: Range, low: float, high: float) -> Move:
    """Return in a word how a range moved."""
    is_narrower = low > now.low or high < now.high
    is_wider = low < now.low or high > now.high
    if is_narrower:
        return "moved" if is_wider else "narrowed"
    return "widened" if is_wider else "kept"


def _no_less(low: float, high: float, current: Range, least: float) -> tuple[float, float]:
    """Return a part of a range made at least so wide a share of it, within it."""
    lacking = least * current.width - (high - low)
    if lacking <= 0:
        return low, high
    low, high = low - lacking / 2, high + lacking / 2
    if low < current.low:
        low, high = current.low, high + current.low - low
    if high > current.high:
        low, high = low - (high - current.high), current.high
    return max(low, current.low), high


def _choice(
    name: str, whole: Choice, now: Choice, ranking: Ranking, rule: Rule
) -> tuple[Domain, Finding]:
    """Return a choice without the values that the best avoid, and with those that one of them has from outside."""
    if len(whole.values) < FEWEST_VALUES:
        return now, _kept(name, now, "too few values to drop one")
    best = [each.hyperparameters[name] for each in ranking.best if name in each.hyperparameters]
    judged = [each.hyperparameters[name] for each in ranking.judged if name in each.hyperparameters]
    back = [v for v in whole.values if not now.contains(v) and any(same(v, b) for b in best)]
    if back:
        kept = tuple(v for v in whole.values if now.contains(v) or v in back)
        said = ", ".join(write_word(value) for value in back)
        why = f"{said} is back: among the best {len(best)}, drawn from the whole space"
        return _chosen(name, now, kept, "reopened", why)
    inside = [value for value in judged if now.contains(value)]
    dropped = _avoided(now, best, inside, rule)
    if not dropped or len(best) < FEWEST_BEST:
        return now, _kept(
            name, now, f"no value that the best {len(best)} avoid more than by chance"
        )
    kept = tuple(value for value in now.values if value not in dropped)
    said = ", ".join(write_word(value) for value in dropped)
    why = f"none of the best {len(best)} of {len(inside)} has {said}"
    return _chosen(name, now, kept, "narrowed", why)


def _chosen(
    name: str, now: Choice, kept: tuple[Any, ...], move: Move, why: str
) -> tuple[Domain, Finding]:
    believed = now.prior if now.prior and any(same(now.prior.value, v) for v in kept) else None
    domain = replace(now, values=kept, prior=believed)
    return domain, Finding(name, move, str(now), str(domain), why)


def _avoided(now: Choice, best: Sequence[Any], inside: Sequence[Any], rule: Rule) -> list[Any]:
    """Return the values that none of the best has, by less than chance; half of a choice stays at least."""
    chances = []
    for value in now.values:
        having = sum(same(value, other) for other in inside)
        if any(same(value, other) for other in best) or having + len(best) > len(inside):
            continue
        chance = math.comb(len(inside) - having, len(best)) / math.comb(len(inside), len(best))
        if chance <= rule.level:
            chances.append((chance, value))
    most = len(now.values) // 2
    return [value for _, value in sorted(chances, key=lambda pair: pair[0])[:most]]
