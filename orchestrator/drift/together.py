"""What goes with what in data: labels with features, features with one another, and all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from orchestrator.data import Array
from orchestrator.drift.finding import FEWEST_ROWS, LOST, SURE, Finding, controlled_p, less, listed
from orchestrator.drift.profile import Profile, significant

LEAST_RELATION = 0.15
"""The difference of two rank correlations that matters."""
LEAST_AUC = 0.6
FOLDS = 5
MOST_RELATED = 128
MOST_NAMED = 2
"""Of more features than these that go with others otherwise than then, no single one is named."""


def relabelled(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name rows that are in both, to the last digit, and have another label now."""
    if old.labels is None or new.labels is None or not old.rows:
        return
    # A row that occurs twice may be two things that look alike.
    before, after = (_labels_of_unique(each) for each in (old, new))
    same = before.keys() & after.keys()
    other = sum(before[key] != after[key] for key in same)
    if len(same) >= FEWEST_ROWS and other / len(same) >= 0.02:
        share = other / len(same)
        said = f"concept: of {len(same)} rows that are in both, {other} ({share:.0%}) have another label now"
        yield Finding("concept", said, share)


def _labels_of_unique(side: Profile) -> dict[bytes, Any]:
    """Return the label of each row that occurs once, by what the row is known by."""
    keys = _keys(side)
    counts = Counter(keys)
    labels = side.labels.tolist() if side.labels is not None else []
    return {key: label for key, label in zip(keys, labels, strict=True) if counts[key] == 1}


def relations(old: Profile, new: Profile, shifted: set[str]) -> Iterator[Finding]:
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
    features: dict[str, tuple[float, str]] = {}
    while pairs:
        partners: dict[str, set[str]] = {}
        for one, other, _ in pairs:
            partners.setdefault(one, set()).add(other)
            partners.setdefault(other, set()).add(one)
        name = max(partners, key=lambda each: (len(partners[each]), each != _LABEL))
        size = max(change for one, other, change in pairs if name in (one, other))
        others = [each for each in sorted(partners[name]) if each != _LABEL]
        if name == _LABEL:
            said = f"concept: the labels go with {listed(others)} otherwise than then (correlation off by {size:.2f})"
            yield Finding("concept", said, size)
        else:
            features[name] = size, listed(others) if others else "the labels"
        pairs = [pair for pair in pairs if name not in pair[:2]]
    yield from _of_features(features)


def _of_features(found: dict[str, tuple[float, str]]) -> Iterator[Finding]:
    """Name each of a few features; many are said together: that is noise, or the label's doing, and no permuted one."""
    if len(found) > MOST_NAMED:
        size = max(change for change, _ in found.values())
        said = f"features: {listed(list(found))} go less together, or with other ones, than then (correlations off by"
        yield Finding("features", f"{said} up to {size:.2f})", size, None, tuple(found))
        return
    for name, (size, whom) in found.items():
        said = f"features: {name} no longer goes with {whom} as it did (correlation off by {size:.2f}): permuted?"
        yield Finding("features", said, size, None, (name,))


def _varies(values: Array) -> bool:
    """Return whether enough rows differ from the most frequent value."""
    counts = np.unique(values, return_counts=True)[1]
    return len(values) - int(counts.max()) >= FEWEST_ROWS


_LABEL = "the label"
Pair = tuple[str, str, float]


def _ranked_together(
    old: Profile, new: Profile, shifted: set[str]
) -> tuple[list[str], list[Array]] | None:
    """Return names of columns and two matrices of ranks: features that are as before, and an indicator a class."""
    from scipy.stats import rankdata

    names = [n for n in old.names if n in set(new.names) and n not in shifted][:MOST_RELATED]
    columns = [values_of(side, names) for side in (old, new)]
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
    # A pixel that is black in all rows but a few has correlations of no known distribution.
    alive = [at for at in range(len(owners)) if all(_varies(each[:, at]) for each in columns)]
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
    controlled = controlled_p(2 * norm.sf(np.abs(z[at])))
    change = np.abs(found[1] - found[0])[at]
    chosen = np.flatnonzero((controlled <= SURE) & (change >= LEAST_RELATION))
    pairs = [(owners[at[0][k]], owners[at[1][k]], float(change[k])) for k in chosen]
    return [pair for pair in pairs if pair[0] != pair[1]]


def taught(old: Profile, new: Profile) -> Iterator[Finding]:
    """Name that a classifier taught on the rows of then errs more on today's than on its own, held out: concept shift.

    For rows whose features did not change; one test of all of them finds what no single correlation shows.
    """
    if old.labels is None or new.labels is None or {old.kind, new.kind} != {"classes"}:
        return
    old = old.only(np.flatnonzero(np.isin(old.labels, new.labels)))
    new = new.only(np.flatnonzero(np.isin(new.labels, np.unique(old.labels))))  # type: ignore[arg-type]
    fewest = min(Counter(np.asarray(old.labels).tolist()).values(), default=0)
    if min(old.rows, new.rows) < 2 * FEWEST_ROWS or fewest < FOLDS:
        return
    names = [name for name in old.names if name in set(new.names)]
    before, after = (_encoded(side, names, (old, new)) for side in (old, new))
    if not before.shape[1]:
        return
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    trees = ExtraTreesClassifier(50, min_samples_leaf=2, random_state=0, n_jobs=1)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    held_out = cross_val_predict(trees, before, old.labels, cv=folds)
    then = float((held_out == old.labels).mean())
    now = float((trees.fit(before, old.labels).predict(after) == new.labels).mean())
    p = less(then, old.rows, now, new.rows)
    if p < SURE and then - now >= LOST:
        said = (
            f"concept: a classifier taught on the rows of then has {then:.0%} of them right, held out, and {now:.0%} of"
            " today's, which look alike: do the labels mean the same?"
        )
        yield Finding("concept", said, then - now, p)


def joint(old: Profile, new: Profile) -> Iterator[Finding]:
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

    # A row that is in both would teach the trees the wrong answer for itself in another fold.
    y = np.repeat([0, 1], [old.rows, new.rows])
    groups = np.unique([*_keys(old), *_keys(new)], return_inverse=True)[1]
    if groups.max() < FOLDS * FEWEST_ROWS:
        return
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
    parts = [np.nan_to_num(values_of(side, names), posinf=0, neginf=0)]
    for name in both[0].texts:
        if name in both[1].texts:
            known = np.unique(np.concatenate([each.texts[name] for each in both]))
            parts.append(np.searchsorted(known, side.texts[name])[:, None].astype(float))
    return np.hstack(parts)


def values_of(side: Profile, names: Sequence[str]) -> Array:
    """Return the columns of these names; quantiles where no rows were kept."""
    places = {name: at for at, name in enumerate(side.names)}
    source = side.numbers if side.rows or side.quantiles is None else side.quantiles
    values: Array = source[:, [places[name] for name in names]]
    return values


def _keys(side: Profile) -> list[bytes]:
    """Return what tells rows apart, to the digits that are kept of their numbers."""
    numbers = significant(side.numbers).astype(np.float32)
    texts = list(side.texts.values())
    return [
        row.tobytes() + "\0".join(str(each[at]) for each in texts).encode()
        for at, row in enumerate(numbers)
    ]
