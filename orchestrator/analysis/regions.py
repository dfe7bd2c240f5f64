"""Rules about parts of the space: ends at which the best trials sit, and regions in which trials come to nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from orchestrator.analysis import next_steps, patterns
from orchestrator.analysis.case import LEADERS, Case, Finding
from orchestrator.analysis.compared import baseline_of, number
from orchestrator.domains import Choice, Domain, Space
from orchestrator.domains.numeric import OneMinusLogUniform, one_minus
from orchestrator.domains.values import number_text
from orchestrator.records import TrialRecord
from orchestrator.search.diagonal import BETA, RATE
from orchestrator.search.evidence import Ranking, Seen, end_chance, percent
from orchestrator.search.scales import ALMOST, Side, scale_of
from orchestrator.searchers.learning import cells

AT_AN_END = 0.15
"""A trial sits at an end of a range within this share of it."""
EDGE_LEVEL = 0.01
"""A space has some sixteen ends, each of which is looked at."""
OUTER, OUTER_LEVEL = 0.5, 0.02
"""Beside this chance, the best trial has to sit at the end: 15 % of all do by chance."""
STEP = f"{RATE} / (1-{BETA})"
"""SGD's effective step with momentum."""


def edge(case: Case) -> Iterator[Finding]:
    """Find ends of the space at which the best trials sit, and that can be moved."""
    ranking, space = case.ranking, case.space
    if ranking is None or space is None:
        return
    sides: tuple[Side, ...] = ("lower", "upper")
    for name, domain in space.domains.items():
        if any(name not in each.hyperparameters for each in ranking.best):
            continue
        best = [each.hyperparameters[name] for each in ranking.best]
        for side in sides:
            wider = next_steps.with_wider(domain, side, is_rate=name == RATE)
            if wider is None or not _sits_at(domain, best[0], side):
                continue
            count = sum(_sits_at(domain, value, side) for value in best)
            if _most_sit_there(domain, name, side, ranking):
                who = f"{count} of the best {len(best)} sit"
                who = who if count < len(best) else f"the best {count} sit"
            elif _ever_better(domain, name, side, ranking):
                who = "trials get ever better towards, and the best one sits"
            else:
                continue
            yield _at_edge(case, name, side, who, wider)


def _at_edge(case: Case, name: str, side: Side, who: str, wider: Domain) -> Finding:
    domain = case.space.domains[name] if case.space else wider
    bound = _ends_of(domain)[side == "upper"]
    word = "low" if side == "lower" else "high"
    return Finding(
        "edge",
        f"{who} at the {word} end of {name} ({bound:.4g}): widen it",
        next_steps.extend_space(case.records, name, wider),
        {"hyperparameter": name, "end": word, "bound": bound},
    )


def _ends_of(domain: Domain) -> tuple[float, float]:
    if isinstance(domain, Choice):
        values = [float(value) for value in domain.values if isinstance(value, int | float)]
        return min(values), max(values)
    low, high = domain.ends  # type: ignore[union-attr]
    return float(low), float(high)


def _sits_at(domain: Domain, value: Any, side: Side) -> bool:
    """Return whether a value is the last one of its domain on a side, or in the outer part of a range."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    scale, count = scale_of(domain), cells(domain)
    if scale is None or (count is not None and count * AT_AN_END <= 1):
        numbers = isinstance(domain, Choice) and any(isinstance(v, str) for v in domain.values)
        if numbers or (scale is None and not isinstance(domain, Choice)):
            return False
        low, high = _ends_of(domain)
        return value <= low if side == "lower" else value >= high
    place = scale.place(value)
    if place is None:
        return False
    near = AT_AN_END * scale.width + ALMOST
    return place <= scale.low + near if side == "lower" else place >= scale.high - near


def _most_sit_there(domain: Domain, name: str, side: Side, ranking: Ranking) -> bool:
    """Return whether most of the best sit at an end, and more than draws from the space, or of these trials, would."""
    of, many = len(ranking.best), cells(domain)
    count = sum(_sits_at(domain, each.hyperparameters[name], side) for each in ranking.best)
    share = AT_AN_END if many is None or many * AT_AN_END > 1 else 1 / many
    if 2 * count <= of or patterns.share_chance(count, of, share) > EDGE_LEVEL:
        return False
    had = [each.hyperparameters[name] for each in ranking.judged if name in each.hyperparameters]
    at_end = sum(_sits_at(domain, value, side) for value in had)
    # Where the search itself went there, its trials differ from one another no more.
    return 2 * at_end > len(had) or end_chance(count, of, at_end, len(had)) <= patterns.LEVEL


def _ever_better(domain: Domain, name: str, side: Side, ranking: Ranking) -> bool:
    """Return whether trials in the outer half of a range are the better the farther out they lie, beyond chance."""
    outer: list[tuple[float, float]] = []
    many = cells(domain)
    if scale_of(domain) is None or (many is not None and many * AT_AN_END <= 1):
        return False
    for each, rank in zip(ranking.judged, ranking.ranks, strict=True):
        value = each.hyperparameters.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            place = domain.to_unit(value) if side == "upper" else 1 - domain.to_unit(value)
            outer += [(place, rank)] if place >= OUTER else []
    return patterns.rank_chance(outer) <= OUTER_LEVEL


def divergence(case: Case) -> Iterator[Finding]:
    """Find a part of the space in which trials diverged."""
    judged = case.ranking.judged if case.ranking else ()
    hits = {each.index for each in judged if each.ending == "diverged"}
    if len(hits) >= 2:
        yield from _in_a_region(case, hits, None, "diverged")


def high_rate(case: Case) -> Iterator[Finding]:
    """Find an α above which trials that did not diverge learn nothing, or lose what they knew."""
    judged = case.ranking.judged if case.ranking else ()
    trials = {each.index: each for each in case.records.trials}
    sick = {
        e.index for e in judged if e.ending != "diverged" and _learns_nothing(case, trials[e.index])
    }
    if len(sick) >= LEADERS:
        yield from _in_a_region(case, sick, (RATE, STEP), "learned nothing")


def _learns_nothing(case: Case, trial: TrialRecord) -> bool:
    """Return whether a trial is no better than guessing, or its training loss ends above where it began."""
    loss = case.curve(trial, "loss")
    if len(loss) > 1 and all(map(math.isfinite, loss)) and loss[-1] >= loss[0]:
        return True
    values, guessed = case.curve(trial, case.metric), baseline_of(case.records)
    if not values or guessed is None:
        return False
    return values[-1] <= guessed if case.records.mode == "max" else values[-1] >= guessed


def _in_a_region(
    case: Case, hits: set[int], names: Iterable[str] | None, what: str
) -> Iterator[Finding]:
    """Yield in which part of the space these trials lie, where chance does not put them there."""
    if case.ranking is None or case.space is None:
        return
    found: list[tuple[str, patterns.Region]] = []
    sides: tuple[Side, ...] = ("upper",) if names else ("lower", "upper")
    for name, places in _coordinates(case.space, case.ranking.judged).items():
        if names is None or name in names:
            region = patterns.region(list(places.values()), [i in hits for i in places], sides)
            found += [(name, region)] if region else []
    found = [each for each in found if each[1].chance * max(1, len(found)) <= patterns.LEVEL]
    # α is named before what merely goes along with it, unless that tells far more.
    order = min(found, key=lambda f: f[1].chance * (1e-3 if f[0] == RATE else 1), default=None)
    if order is not None and 2 * order[1].hit > order[1].count:
        yield from _region_found(case, *order, what)


def _coordinates(space: Space, judged: Iterable[Seen]) -> dict[str, dict[int, float]]:
    """Return where trials lie on each scale, and by SGD's effective step α/(1-β), by index."""
    found: dict[str, dict[int, float]] = {}
    for each in judged:
        had = each.hyperparameters
        for name, domain in space.domains.items():
            scale = scale_of(domain)
            place = scale.place(had[name]) if scale and name in had else None
            if place is not None:
                found.setdefault(name, {})[each.index] = place
        if isinstance(space.domains.get(BETA), OneMinusLogUniform) and {RATE, BETA} <= had.keys():
            step = math.log10(float(had[RATE]) / one_minus(float(had[BETA])))
            found.setdefault(STEP, {})[each.index] = step
    return found


def _region_found(case: Case, name: str, region: patterns.Region, what: str) -> Iterator[Finding]:
    domain = case.space.domains.get(name) if case.space else None
    word = "above" if region.side == "upper" else "below"
    limit = _value_at(domain, region.place)
    command = _without(case, name, domain, region)
    if command is None:
        return
    others = region.hit_elsewhere or "none"
    who = f"{region.hit} of the" if region.hit < region.count else "all"
    who = f"{who} {number(region.count, 'trial')}"
    yield Finding(
        "divergence" if what == "diverged" else "high_rate",
        f"{who} with {name} {word} {limit:.3g} {what}, {others} of the"
        f" other {region.count_elsewhere} (by chance in {percent(region.chance)}): leave that part out",
        command,
        {"hyperparameter": name, "limit": limit, **asdict(region)},
    )


def _without(case: Case, name: str, domain: Domain | None, region: patterns.Region) -> str | None:
    """Return the command that leaves a region out; None where nearly the whole space is it."""
    if domain is None:
        sign = "<=" if region.side == "upper" else ">="
        limit = number_text(_value_at(None, region.place))
        return next_steps.constrain(case.records, f"{RATE} / one_minus_{BETA} {sign} {limit}")
    narrower = next_steps.with_end(domain, region.side, region.place)
    return next_steps.extend_space(case.records, name, narrower) if narrower else None


def _value_at(domain: Domain | None, place: float) -> float:
    if isinstance(domain, OneMinusLogUniform):
        return 1 - 10**-place
    is_log = domain is None or getattr(domain, "logarithmic", False)
    return float(f"{10**place if is_log else place:.3g}")
