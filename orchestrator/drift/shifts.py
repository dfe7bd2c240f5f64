"""How today's data differ from those of then, named: features, texts, labels, what goes with what.

A shift is named where it is both no chance (its p-value, over all features by Benjamini & Hochberg's false discovery
rate) and large enough to matter: with many rows everything differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from orchestrator.data import Array
from orchestrator.drift.profile import Profile

LEVEL = 0.01
"""The false discovery rate of the features that are named; of a single test the p-value."""
LEAST_DISTANCE = 0.1
"""The distance of two distributions that matters: Kolmogorov & Smirnov's of numbers, total variation of texts."""
LEAST_BALANCE = 0.05
"""The total variation of labels that matters."""
LEAST_RELATION = 0.15
"""The difference of two rank correlations that matters."""
SURE = 0.001
LEAST_AUC = 0.6
FOLDS = 5
FEWEST_ROWS = 20
NAMED = 4
MOST_RELATED = 128


@dataclass(frozen=True)
class Finding:
    """What differs, as a word and as a sentence; how much, and how likely that is by chance."""

    what: str
    said: str
    size: float | None = None
    p: float | None = None
    names: tuple[str, ...] = field(default=())

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {**vars(self), "names": list(self.names)}


def shifts(old: Profile, new: Profile) -> list[Finding]:
    """Return what differs between the rows of then and today's."""
    labels = list(_labels(old, new))
    before, after = _of_known_classes(old, new, bool(labels))
    features = [*_columns(before, after), *_texts(before, after)]
    found = [*labels, *features]
    found += _relabelled(before, after)
    shifted = {name for each in features for name in each.names}
    found += _relations(before, after, shifted)
    found += _joint(before, after)
    return found


def _labels(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name new and lost classes, and another balance; of quantities another distribution."""
    if old.kind == new.kind == "quantities" and old.labels is not None and new.labels is not None:
        distance, p = _distance(old.labels, new.labels)
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
            said = f"labels: {word} class {_listed(classes)} ({rows} rows, {share:.0%})"
            yield Finding(f"{word} class", said, share, None, tuple(classes))
    yield from _balance(old, new)


def _balance(old: Profile, new: Profile) -> Iterator[Finding]:
    common = [name for name in old.counts if name in new.counts]
    if len(common) < 2:
        return
    counts = np.array([[side.counts[name] for name in common] for side in (old, new)])
    distance, p = _variation(counts)
    if p < LEVEL and distance >= LEAST_BALANCE:
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
        {n: np.flatnonzero(each.labels == n) for n in np.unique(each.labels)} for each in (old, new)
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
    before = _values(old, common)
    after = _values(new, common)
    if min(len(before), len(after)) < FEWEST_ROWS or not common:
        return
    # Of quantiles alone, the rows that they stand for are counted.
    rows = (old.total if not old.rows else len(before), len(after))
    tests = [_distance(before[:, at], after[:, at], rows) for at in range(len(common))]
    distances, p = (np.array(each) for each in zip(*tests, strict=True))
    chosen = np.flatnonzero((_controlled(p) <= LEVEL) & (distances >= LEAST_DISTANCE))
    if not len(chosen):
        return
    chosen = chosen[np.argsort(-distances[chosen], kind="stable")]
    way = _way(before, after, chosen, old.picture)
    names = tuple(common[at] for at in chosen)
    of_all = f" ({len(chosen)} of {len(common)})" if len(common) > 1 else ""
    said = (
        f"features{of_all}: {way}: {_listed(names)} (KS distance up to {distances[chosen[0]]:.2f})"
    )
    yield Finding("features", said, float(distances[chosen[0]]), float(p[chosen].min()), names)


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
        return f"moved by {np.median(steps):+.1f} standard deviations"
    return f"another distribution, {np.median(wider):.1f} times the spread"


def _texts(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name columns of texts whose shares differ, new texts first."""
    common = [name for name in old.texts if name in new.texts]
    tests = {}
    for name in common:
        known = sorted({*old.texts[name].tolist(), *new.texts[name].tolist()})
        found = [Counter(side.texts[name].tolist()) for side in (old, new)]
        counts = np.array([[each[text] for text in known] for each in found])
        tests[name] = (*_variation(counts), [t for t in known if not found[0][t] and found[1][t]])
    if not tests or min(old.rows, new.rows) < FEWEST_ROWS:
        return
    controlled = _controlled(np.array([p for _, p, _ in tests.values()]))
    for (name, (distance, p, unseen)), q in zip(tests.items(), controlled, strict=True):
        if q <= LEVEL and distance >= LEAST_DISTANCE:
            more = f"; not seen before: {_listed(unseen)}" if unseen else ""
            said = f"features: {name} has other texts in {distance:.0%} of the rows{more}"
            yield Finding("features", said, distance, p, (name,))


def _relabelled(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name rows that are in both, to the last digit, and have another label now."""
    if old.labels is None or new.labels is None or not old.rows:
        return
    before: dict[bytes, set[Any]] = {}
    for key, label in zip(_keys(old), old.labels.tolist(), strict=True):
        before.setdefault(key, set()).add(label)
    same = [
        (before[key], label)
        for key, label in zip(_keys(new), new.labels.tolist(), strict=True)
        if key in before
    ]
    other = sum(label not in labels for labels, label in same)
    if len(same) >= FEWEST_ROWS and other / len(same) >= 0.02:
        share = other / len(same)
        said = f"concept: of {len(same)} rows that are in both, {other} ({share:.0%}) have another label now"
        yield Finding("concept", said, share)


def _relations(old: Profile, new: Profile, shifted: set[str]) -> Iterator[Finding]:
    """Name a feature, or the label, that no longer goes with the others as it did, though by itself it is as before.

    Rank correlations are compared by Fisher's z; the name that explains most of the pairs that differ comes first, and
    its pairs are left out of what is looked at next.
    """
    if min(old.rows, new.rows) < 2 * FEWEST_ROWS:
        return
    both = _ranked_together(old, new, shifted)
    if both is None:
        return
    owners, (before, after) = both
    pairs = _other_pairs(before, after, (old.rows, new.rows), owners)
    while pairs:
        partners: dict[str, set[str]] = {}
        for one, other, _ in pairs:
            partners.setdefault(one, set()).add(other)
            partners.setdefault(other, set()).add(one)
        name = max(partners, key=lambda each: (len(partners[each]), each != _LABEL))
        size = max(change for one, other, change in pairs if name in (one, other))
        others = [each for each in sorted(partners[name]) if each != _LABEL]
        if name == _LABEL:
            said = f"concept: the labels go with {_listed(others)} otherwise than then (correlation off by {size:.2f})"
            yield Finding("concept", said, size)
        else:
            whom = _listed(others) if others else "the labels"
            said = f"features: {name} no longer goes with {whom} as it did (correlation off by {size:.2f}): permuted?"
            yield Finding("features", said, size, None, (name,))
        pairs = [pair for pair in pairs if name not in pair[:2]]


_LABEL = "the label"
Pair = tuple[str, str, float]


def _ranked_together(
    old: Profile, new: Profile, shifted: set[str]
) -> tuple[list[str], list[Array]] | None:
    """Return names of columns and two matrices of ranks: features that are as before, and an indicator a class."""
    from scipy.stats import rankdata

    names = [n for n in old.names if n in set(new.names) and n not in shifted][:MOST_RELATED]
    columns = [_values(side, names) for side in (old, new)]
    owners = list(names)
    if old.labels is not None and new.labels is not None and old.kind == new.kind:
        if old.kind == "classes":
            classes = sorted({*old.labels.tolist()} & {*new.labels.tolist()})
            found = [
                np.stack([side.labels == each for each in classes], axis=1) for side in (old, new)
            ]
        else:
            classes = [_LABEL]
            found = [side.labels[:, None] for side in (old, new)]  # type: ignore[index]
        columns = [np.hstack(pair) for pair in zip(columns, found, strict=True)]
        owners += [_LABEL] * len(classes)
    alive = [at for at in range(len(owners)) if all(np.ptp(each[:, at]) > 0 for each in columns)]
    if len(alive) < 2:
        return None
    ranks = [rankdata(each[:, alive], axis=0) for each in columns]
    return [owners[at] for at in alive], ranks


def _other_pairs(
    before: Array, after: Array, rows: tuple[int, int], owners: Sequence[str]
) -> list[Pair]:
    """Return the pairs of columns whose correlations differ, and by how much."""
    from scipy.stats import norm

    found = [np.clip(np.corrcoef(each, rowvar=False), -0.995, 0.995) for each in (before, after)]
    # 1.06: the variance of Fisher's z of a rank correlation (Fieller, Hartley & Pearson 1957).
    error = np.sqrt(sum(1.06 / (count - 3) for count in rows))
    z = (np.arctanh(found[1]) - np.arctanh(found[0])) / error
    at = np.triu_indices(len(owners), 1)
    controlled = _controlled(2 * norm.sf(np.abs(z[at])))
    change = np.abs(found[1] - found[0])[at]
    chosen = np.flatnonzero((controlled <= SURE) & (change >= LEAST_RELATION))
    pairs = [(owners[at[0][k]], owners[at[1][k]], float(change[k])) for k in chosen]
    return [pair for pair in pairs if pair[0] != pair[1]]


def _joint(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name that a classifier tells rows of then from today's: the two-sample test of Lopez-Paz & Oquab, ICLR 2017.

    Its figure is the area under the ROC curve of out-of-fold scores, the p-value that of Mann & Whitney. Rows that are
    in both stay in one fold.
    """
    if min(old.rows, new.rows) < 2 * FEWEST_ROWS:
        return
    names = [name for name in old.names if name in set(new.names)]
    x = np.vstack([_encoded(side, names, (old, new)) for side in (old, new)])
    if not x.shape[1]:
        return
    from scipy.stats import mannwhitneyu
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    y = np.repeat([0, 1], [old.rows, new.rows])
    groups = np.unique([*_keys(old), *_keys(new)], return_inverse=True)[1]
    trees = ExtraTreesClassifier(
        100, min_samples_leaf=3, class_weight="balanced", random_state=0, n_jobs=1
    )
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    scores = cross_val_predict(trees, x, y, cv=folds, groups=groups, method="predict_proba")[:, 1]
    test = mannwhitneyu(scores[y == 1], scores[y == 0], alternative="greater")
    auc = float(test.statistic) / (old.rows * new.rows)
    if test.pvalue < SURE and auc >= LEAST_AUC:
        said = (
            f"features together: a classifier tells today's rows from those of then (AUC {auc:.2f})"
        )
        yield Finding("features together", said, auc, float(test.pvalue))


def _encoded(side: Profile, names: Sequence[str], both: tuple[Profile, Profile]) -> Array:
    """Return a profile's features as numbers, texts by their place among those of both."""
    parts = [np.nan_to_num(_values(side, names), posinf=0, neginf=0)]
    for name in both[0].texts:
        if name in both[1].texts:
            known = np.unique(np.concatenate([each.texts[name] for each in both]))
            parts.append(np.searchsorted(known, side.texts[name])[:, None].astype(float))
    return np.hstack(parts)


def _values(side: Profile, names: Sequence[str]) -> Array:
    """Return the columns of these names; quantiles where no rows were kept."""
    places = {name: at for at, name in enumerate(side.names)}
    source = side.numbers if side.rows or side.quantiles is None else side.quantiles
    values: Array = source[:, [places[name] for name in names]]
    return values


def _keys(side: Profile) -> list[bytes]:
    """Return what tells rows apart, to the digits that are kept of their numbers."""
    from orchestrator.drift.profile import significant

    numbers = significant(side.numbers).astype(np.float32)
    texts = list(side.texts.values())
    return [
        row.tobytes() + "\0".join(str(each[at]) for each in texts).encode()
        for at, row in enumerate(numbers)
    ]


def _distance(
    before: Array, after: Array, rows: tuple[int, int] | None = None
) -> tuple[float, float]:
    """Return Kolmogorov & Smirnov's distance of two samples and its p-value (asymptotic)."""
    from scipy.stats import ks_2samp, kstwobign

    found = ks_2samp(before, after, method="asymp")
    if rows is None:
        return float(found.statistic), float(found.pvalue)
    size = np.sqrt(rows[0] * rows[1] / sum(rows))
    return float(found.statistic), float(kstwobign.sf(found.statistic * size))


def _variation(counts: Array) -> tuple[float, float]:
    """Return the total variation of two rows of counts, and the chi-square test's p-value."""
    from scipy.stats import chi2_contingency

    counts = counts[:, counts.sum(axis=0) > 0]
    if counts.shape[1] < 2 or (counts.sum(axis=1) == 0).any():
        return 0.0, 1.0
    shares = counts / counts.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[1] - shares[0]).sum() / 2)
    return distance, float(chi2_contingency(counts, correction=False).pvalue)


def _controlled(p: Array) -> Array:
    """Return p-values adjusted for that many tests, by Benjamini & Hochberg."""
    from scipy.stats import false_discovery_control

    adjusted: Array = false_discovery_control(np.clip(p, 0, 1))
    return adjusted


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(map(str, names[:NAMED])) + more
