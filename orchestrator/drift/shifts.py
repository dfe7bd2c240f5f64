"""How today's data differ from those of then, named: features, texts, labels, what goes with what.

A shift is named where it is both no chance (its p-value, over all features by Benjamini & Hochberg's false discovery
rate) and large enough to matter: with many rows everything differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from orchestrator.data import Array
from orchestrator.drift.finding import (
    FEWEST_ROWS,
    LEVEL,
    Finding,
    controlled_p,
    ks_distance,
    listed,
    variation,
)
from orchestrator.drift.profile import Profile
from orchestrator.drift.together import joint, relabelled, relations, taught, values_of

LEAST_DISTANCE = 0.1
"""The distance of two distributions that matters: Kolmogorov & Smirnov's of numbers, total variation of texts."""
LEAST_WIDER = 1.2
"""How many times as wide or as narrow a distribution has to be to matter."""
LEAST_DISTANCE_OF_SPREAD = 0.03
LEAST_BALANCE = 0.05
"""The total variation of labels that matters."""
BALANCE_LEVEL = 0.05
"""Of the one test of classes a data set: on 90 rows a stricter one misses a class of which three in four are gone."""


def shifts(old: Profile, new: Profile) -> list[Finding]:
    """Return what differs between the rows of then and today's."""
    labels = list(_labels(old, new))
    before, after = _of_known_classes(old, new, bool(labels))
    features = [*_columns(before, after), *_texts(before, after)]
    found = [*labels, *features]
    found += relabelled(before, after)
    # A feature whose own distribution changed goes otherwise with all others: that is said already.
    shifted = {name for each in features for name in each.names}
    found += relations(before, after, shifted)
    # Of features that changed a classifier errs more whatever the labels mean.
    if not shifted and all(each.what != "concept" for each in found):
        found += taught(before, after)
    found += joint(before, after)
    return found


def _labels(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name new and lost classes, and another balance; of quantities another distribution."""
    if old.kind == new.kind == "quantities" and old.labels is not None and new.labels is not None:
        distance, p = ks_distance(old.labels, new.labels)
        if p < LEVEL and distance >= LEAST_DISTANCE:
            moved = new.labels.mean() - old.labels.mean()
            said = (
                f"labels: quantities moved by {moved:+.3g} in the mean (KS distance {distance:.2f})"
            )
            yield Finding("label distribution", said, distance, p)
    if old.kind != "classes" or new.kind != "classes":
        return
    for word, there, other in (("new", new, old), ("lost", old, new)):
        classes = [name for name in there.counts if name not in other.counts]
        if classes:
            rows = sum(there.counts[name] for name in classes)
            share = rows / max(1, sum(there.counts.values()))
            said = f"labels: {word} class {listed(classes)} ({rows} rows, {share:.0%})"
            yield Finding(f"{word} class", said, share, None, tuple(classes))
    yield from _balance(old, new)


def _balance(old: Profile, new: Profile) -> Iterator[Finding]:
    common = [name for name in old.counts if name in new.counts]
    if len(common) < 2:
        return
    counts = np.array([[side.counts[name] for name in common] for side in (old, new)])
    distance, p = variation(counts)
    if p < BALANCE_LEVEL and distance >= LEAST_BALANCE:
        shares = counts / counts.sum(axis=1, keepdims=True)
        at = int(np.abs(shares[1] - shares[0]).argmax())
        said = (
            f"labels: another balance, {distance:.0%} of the rows are of another class; {common[at]}"
            f" {shares[0, at]:.0%} -> {shares[1, at]:.0%}"
        )
        yield Finding("class balance", said, distance, p, (common[at],))


def _of_known_classes(old: Profile, new: Profile, rebalance: bool) -> tuple[Profile, Profile]:
    """Return the rows of the classes that both have, in the same shares where their balance differs.

    Features are then compared within classes: another mixture of them is no other class.
    """
    if old.labels is None or new.labels is None or old.kind != "classes" or not rebalance:
        return old, new
    found = [
        {n: np.flatnonzero(labels == n) for n in np.unique(labels)}
        for labels in (old.labels, new.labels)
    ]
    common = [name for name in found[0] if name in found[1]]
    if not common:
        return old, new
    have = np.array([len(found[0][name]) for name in common], dtype=float)
    want = np.array([len(found[1][name]) for name in common], dtype=float)
    sizes = np.floor(want * (have / want).min()) if (have > 0).all() else have
    rng = np.random.default_rng(0)
    before = [
        rng.permutation(found[0][name])[: max(1, int(size))]
        for name, size in zip(common, sizes, strict=True)
    ]
    after = [found[1][name] for name in common]
    return old.only(np.sort(np.concatenate(before))), new.only(np.sort(np.concatenate(after)))


def _columns(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name the numbers whose distribution differs, and in what way."""
    common = [name for name in old.names if name in set(new.names)]
    before = values_of(old, common)
    after = values_of(new, common)
    if min(len(before), len(after)) < FEWEST_ROWS or not common:
        return
    # Of quantiles alone, the rows that they stand for are counted.
    rows = (old.total if not old.rows else len(before), len(after))
    tests = [ks_distance(before[:, at], after[:, at], rows) for at in range(len(common))]
    distances, p = (np.array(each) for each in zip(*tests, strict=True))
    wider, p_wider = _spreads(before, after)
    # Two tests a feature: of the whole distribution, and of its spread, which noise changes first.
    p = np.minimum(1.0, 2 * np.minimum(p, p_wider))
    # Where nearly all values are alike, a few others make the spread.
    spread = (np.maximum(wider, 1 / wider) >= LEAST_WIDER) & (distances >= LEAST_DISTANCE_OF_SPREAD)
    large = (distances >= LEAST_DISTANCE) | spread
    chosen = np.flatnonzero((controlled_p(p) <= LEVEL) & large)
    if not len(chosen):
        return
    chosen = chosen[np.argsort(-distances[chosen], kind="stable")]
    way = _way(before, after, chosen, old.picture)
    names = tuple(common[at] for at in chosen)
    of_all = f" ({len(chosen)} of {len(common)})" if len(common) > 1 else ""
    said = (
        f"features{of_all}: {way}: {listed(names)} (KS distance up to {distances[chosen[0]]:.2f})"
    )
    yield Finding("features", said, float(distances[chosen[0]]), float(p[chosen].min()), names)


def _spreads(before: Array, after: Array) -> tuple[Array, Array]:
    """Return how many times as wide each column is, and the p-value: Levene's test (1960)."""
    from scipy.stats import ttest_ind

    # From a mean, not the median: of two heaps of values the median may lie in either by chance. From one for both:
    # of pixels that are mostly black, all distances from the mean of their own side would go up and down with it.
    middle = (before.mean(axis=0) + after.mean(axis=0)) / 2
    away = [np.abs(each - middle) for each in (before, after)]
    means = [each.mean(axis=0) for each in away]
    alive = (means[0] > 0) & (means[1] > 0)
    wider = np.where(alive, means[1] / np.where(alive, means[0], 1.0), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = ttest_ind(*away, axis=0, equal_var=False).pvalue
    return wider, np.where(alive & np.isfinite(p), p, 1.0)


def _way(before: Array, after: Array, chosen: Array, picture: bool) -> str:
    """Say in which way features differ: inverted, noisier, moved, or otherwise."""
    means = before.mean(axis=0), after.mean(axis=0)
    spread = before.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    moved = np.abs(means[1] - means[0])[chosen] / scale[chosen]
    wider = (after.std(axis=0) / scale)[chosen]
    many = len(chosen) >= 8 and means[0].std() > 0 and means[1].std() > 0
    if picture and many and np.corrcoef(*means)[0, 1] < -0.5:
        return "inverted contrast (what was bright is dark)"
    if np.median(moved) < 0.3 and np.median(wider) > 1.1:
        return f"noisier, {np.median(wider):.1f} times the spread around the same means"
    if np.median(moved) >= 0.3:
        steps = (means[1] - means[0])[chosen] / scale[chosen]
        same_way = (steps > 0).all() or (steps < 0).all()
        size = f"{np.median(steps):+.1f}" if same_way else f"{np.median(moved):.1f}"
        return f"moved by {size} standard deviations" + ("" if same_way else ", up or down")
    return f"another distribution, {np.median(wider):.1f} times the spread"


def _texts(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name columns of texts whose shares differ, new texts first."""
    common = [name for name in old.texts if name in new.texts]
    tests = {}
    for name in common:
        known = sorted({*old.texts[name].tolist(), *new.texts[name].tolist()})
        found = [Counter(side.texts[name].tolist()) for side in (old, new)]
        counts = np.array([[each[text] for text in known] for each in found])
        tests[name] = (*variation(counts), [t for t in known if not found[0][t] and found[1][t]])
    if not tests or min(old.rows, new.rows) < FEWEST_ROWS:
        return
    controlled = controlled_p(np.array([p for _, p, _ in tests.values()]))
    for (name, (distance, p, unseen)), q in zip(tests.items(), controlled, strict=True):
        if q <= LEVEL and distance >= LEAST_DISTANCE:
            more = f"; not seen before: {listed(unseen)}" if unseen else ""
            said = f"features: {name} has other texts in {distance:.0%} of the rows{more}"
            yield Finding("features", said, distance, p, (name,))
