"""Which row is for what where rows belong together, have an order, or are divided into folds.

Each row gets a number once, from which the split of every fold follows. scikit-learn deals out groups and folds.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from orchestrator.data.along import Along
from orchestrator.data.messages import notice, refused, several
from orchestrator.data.splits import assign_any, assign_rows
from orchestrator.data.trees import Array

TEST, UNUSED = 2, 3
MOST_DEALT = 1_000
"""More groups than this are dealt at random, which balances so many well: scikit-learn takes milliseconds for each."""
MOST_BINS = 20


@dataclass(frozen=True, eq=False)
class Rows:
    """The training rows as they were given: their class numbers, None where labels are no classes, and groups or times.

    ``given`` are the groups or times of the parts that a user gave beside train, by part, as numbers of ``along``.
    """

    count: int
    codes: Array | None
    classes: tuple[str, ...] = ()
    along: Along | None = None
    given: Mapping[str, Array] = field(default_factory=dict)


@dataclass(frozen=True)
class Cut:
    """What is cut from the training rows: ``shares`` of validation and test, or so many ``folds`` beside the test."""

    shares: Mapping[str, float]
    seed: int
    where: str
    folds: int | None = None


@dataclass(frozen=True, eq=False)
class Division:
    """Each training row's number: 0, 1 and 2 for train, validation and test; with ``folds``, -1 for test, else a block.

    Blocks in time are numbered from the earliest, one more than there are folds; others are validated on in turn.
    """

    numbers: npt.NDArray[np.int16]
    folds: int | None = None
    ordered: bool = False

    def parts(self, fold: int = 1) -> npt.NDArray[np.uint8]:
        """Return for each row the index into PARTS of its part in a fold, counted from 1; 3 for a row left out.

        In time a fold is validated on one block and trained on all before it: fold 1 on the last block.
        """
        if self.folds is None:
            return self.numbers.astype(np.uint8)
        block = self.folds + 1 - fold if self.ordered else fold - 1
        parts = np.zeros(len(self.numbers), dtype=np.uint8)
        parts[self.numbers == block] = 1
        if self.ordered:
            parts[self.numbers > block] = UNUSED
        parts[self.numbers == -1] = TEST
        return parts


def divide(rows: Rows, cut: Cut, fold: int = 1) -> Division:
    """Return which row is for what: a pure function of its arguments.

    Raises DataError where groups, times or rows of a class are too few for the parts, or a class would not be trained.
    """
    _check_given(rows, cut)
    along = rows.along
    if along is None and cut.folds is None:
        return Division(_stratified(rows, cut.shares, cut).astype(np.int16))
    if along is None:
        division = _folds_of_classes(rows, cut)
    elif along.of.key == "order":
        division = _in_time(rows, along, cut)
    else:
        division = _by_groups(rows, along, cut)
    for number in (
        range(1, (cut.folds or 1) + 1) if fold == 1 else ()
    ):  # all of them, before anything starts
        _check_classes(division.parts(number), rows, cut, number)
    return division


def _stratified(rows: Rows, shares: Mapping[str, float], cut: Cut) -> npt.NDArray[np.uint8]:
    if rows.codes is None:
        return assign_any(rows.count, shares, cut.seed, cut.where)
    return assign_rows(rows.codes, rows.classes, shares, cut.seed, cut.where)


def _folds_of_classes(rows: Rows, cut: Cut) -> Division:
    """Return folds of rows that are independent: each class is dealt out evenly (StratifiedKFold), else all rows."""
    from sklearn.model_selection import KFold, StratifiedKFold

    folds = cut.folds or 2
    test = {part: share for part, share in cut.shares.items() if part == "test"}
    numbers = np.zeros(rows.count, dtype=np.int16)
    if test:
        numbers[_stratified(rows, test, cut) == TEST] = -1
    left = np.flatnonzero(numbers == 0)
    what = np.zeros(rows.count, dtype=np.int64) if rows.codes is None else rows.codes
    counts = np.bincount(what[left])
    _check_enough(counts, folds, rows, cut)
    kind = KFold if rows.codes is None else StratifiedKFold
    dealt = kind(folds, shuffle=True, random_state=_draw(cut.seed))
    for fold, (_, chosen) in enumerate(dealt.split(left, what[left])):
        numbers[left[chosen]] = fold
    return Division(numbers, folds)


def _check_enough(counts: Array, folds: int, rows: Rows, cut: Cut) -> None:
    names = rows.classes or ("all",)
    few = [
        f"class {name!r} has {count}" if rows.classes else str(count)
        for name, count in zip(names, counts.tolist(), strict=False)
        if count < folds
    ]
    if few:
        of = "rows of each class" if rows.classes else "rows"
        expected = (
            f"at least {folds} {of} beside the test rows were expected for data.folds: {folds}"
        )
        raise refused(cut.where, expected, several(few), "Write fewer folds.")


def _in_time(rows: Rows, along: Along, cut: Cut) -> Division:
    """Return parts or blocks one after another, equal times in one."""
    codes, names = along.codes, ["train", *cut.shares]
    folds = cut.folds
    if folds is not None:
        test = cut.shares.get("test", 0.0)
        names = [*map(str, range(folds + 1)), *(["test"] if test else [])]
        weights = [(1 - test) / (folds + 1)] * (folds + 1) + ([test] if test else [])
    else:
        weights = [1 - sum(cut.shares.values()), *cut.shares.values()]
    # Parts begin where the time changes, so that rows of one time are never in two.
    different, counts = np.unique(codes, return_counts=True)
    if len(different) < len(names):
        raise _too_few(along, len(different), len(names), cut)
    ends = _ends(np.cumsum(counts), weights)
    part_of = np.searchsorted(different[ends], codes, side="right")
    last = -1 if folds else TEST
    numbers = np.array([last if name == "test" else at for at, name in enumerate(names)])
    return Division(numbers[part_of].astype(np.int16), folds, ordered=True)


def _ends(cumulative: Array, weights: list[float]) -> Array:
    """Return the index of the value at which each part but the first begins, each part holding at least one value."""
    wanted = np.cumsum(weights)[:-1] * cumulative[-1]
    ends: list[int] = []
    for at, rows in enumerate(wanted):
        after = int(np.argmin(np.abs(cumulative - rows))) + 1
        least = ends[-1] + 1 if ends else 1
        ends.append(min(max(after, least), len(cumulative) - (len(wanted) - at)))
    return np.array(ends, dtype=np.int64)


def _by_groups(rows: Rows, along: Along, cut: Cut) -> Division:
    """Return parts or folds in which no group is in two: classes and rows in about the same shares."""
    codes = along.codes
    found = len(np.unique(codes))
    test = cut.shares.get("test", 0.0)
    needed = cut.folds or 1 + len(cut.shares)
    if found < needed:
        raise _too_few(along, found, needed, cut)
    _check_spread(codes, rows, along, cut)
    shares = {"test": test} if cut.folds and test else {} if cut.folds else cut.shares
    numbers = np.zeros(rows.count, dtype=np.int16)
    if shares:
        bins = _bins(shares, min(found, MOST_BINS))
        dealt = _smallest_first(_dealt(codes, rows.codes, sum(bins.values()), cut.seed))
        ends = np.cumsum(list(bins.values()))
        names = {"train": 0, "validation": 1, "test": -1 if cut.folds else TEST}
        numbers = np.array([names[part] for part in bins])[np.searchsorted(ends, dealt, "right")]
    if cut.folds:
        left = np.flatnonzero(numbers == 0)
        if (beside := len(np.unique(codes[left]))) < cut.folds:
            raise _too_few(along, beside, cut.folds, cut)
        classes = None if rows.codes is None else rows.codes[left]
        numbers[left] = _dealt(codes[left], classes, cut.folds, cut.seed)
    return Division(numbers.astype(np.int16), cut.folds)


def _bins(shares: Mapping[str, float], most: int) -> dict[str, int]:
    """Return of how many equal bins, at most ``most`` in all, each part is made, nearest to the shares."""
    best: tuple[float, dict[str, int]] | None = None
    for number in range(1 + len(shares), most + 1):
        bins = {part: max(1, round(share * number)) for part, share in shares.items()}
        off = sum(abs(bins[part] / number - share) for part, share in shares.items())
        if sum(bins.values()) < number and (best is None or off < best[0] - 1e-9):
            best = off, {**bins, "train": number - sum(bins.values())}
    if best is None:
        return {**dict.fromkeys(shares, 1), "train": 1}
    return best[1]


def _dealt(groups: Array, classes: Array | None, bins: int, seed: int) -> npt.NDArray[np.int16]:
    """Return the bin of each row: groups dealt out by scikit-learn's StratifiedGroupKFold; very many at random."""
    from sklearn.model_selection import StratifiedGroupKFold

    dealt = np.zeros(len(groups), dtype=np.int16)
    different, group_of = np.unique(groups, return_inverse=True)
    if len(different) > MOST_DEALT:
        order = np.random.default_rng(_draw(seed)).permutation(len(different))
        rows = np.cumsum(np.bincount(group_of)[order])
        of_group = np.empty(len(different), dtype=np.int16)
        of_group[order] = np.minimum((rows - 1) * bins // len(groups), bins - 1)
        return of_group[group_of]
    # Of one class for all rows scikit-learn balances how many rows a bin has.
    y = np.zeros(len(groups), dtype=np.int64) if classes is None else classes
    y = y if np.bincount(y).max() >= bins else np.zeros_like(y)
    splitter: Any = StratifiedGroupKFold(bins, shuffle=True, random_state=_draw(seed))
    import warnings

    with warnings.catch_warnings():  # of a class with fewer rows than bins: looked at afterwards
        warnings.simplefilter("ignore", UserWarning)
        for number, (_, chosen) in enumerate(splitter.split(y, y, groups)):
            dealt[chosen] = number
    return dealt


def _smallest_first(bins: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """Return bins numbered by their rows: a group that is most of the rows is trained on, it does not judge."""
    order = np.argsort(np.bincount(bins), kind="stable")
    return np.argsort(order).astype(np.int16)[bins]


def _draw(seed: int) -> int:
    return int(np.random.default_rng([seed, zlib.crc32(b"split")]).integers(2**31))


def _too_few(along: Along, found: int, needed: int, cut: Cut) -> Exception:
    what = "groups" if along.of.key == "groups" else "different times"
    if not cut.folds:
        parts = "one for each part"
    else:
        beside = " beside those of the test rows" if "test" in cut.shares else ""
        parts = f"one for each of {cut.folds} folds{beside}"
    where = f"{cut.where}, {along.of.name!r}"
    return refused(where, f"at least {needed} {what} were expected, {parts}", str(found))


def _check_spread(groups: Array, rows: Rows, along: Along, cut: Cut) -> None:
    """Refuse a class of which all rows are in one group: it cannot be learned and judged."""
    if rows.codes is None:
        return
    pairs = np.unique(np.stack([rows.codes, groups]), axis=1)
    counts = np.bincount(pairs[0], minlength=len(rows.classes))
    alone = np.flatnonzero(counts == 1)
    if len(alone):
        said = [
            f"class {rows.classes[code]!r} in {along.said(int(pairs[1][pairs[0] == code][0]))!r}"
            for code in alone.tolist()
        ]
        expected = "each class in two groups or more was expected, to be learned from one and judged on another"
        hint = "Leave rows of such classes out, or join them with others."
        raise refused(f"{cut.where}, {along.of.name!r}", expected, several(said), hint)


def _check_classes(parts: Array, rows: Rows, cut: Cut, fold: int) -> None:
    """Refuse a class without training rows; say of one that no row judges."""
    if rows.codes is None:
        return
    counts = [np.bincount(rows.codes[parts == at], minlength=len(rows.classes)) for at in range(3)]
    of_fold = f" of fold {fold}" if cut.folds else ""
    absent = [name for name, count in zip(rows.classes, counts[0], strict=True) if not count]
    if absent:
        hint = (
            "Write fewer folds, leave rows of such classes out,"
            if cut.folds
            else "Leave rows of such classes out,"
        )
        hint += " or join them with others."
        received = f"none of class {several([repr(name) for name in absent])}"
        raise refused(
            cut.where, f"training rows{of_fold} of every class were expected", received, hint
        )
    cut_here = ["validation"] if "validation" in cut.shares or cut.folds else []
    for part in (*cut_here, *(["test"] if "test" in cut.shares and fold == 1 else [])):
        at = 1 if part == "validation" else TEST
        absent = [name for name, count in zip(rows.classes, counts[at], strict=True) if not count]
        if absent:
            names = several([repr(name) for name in absent])
            notice(f"{cut.where}: no {part} row{of_fold} is of class {names}")


def _check_given(rows: Rows, cut: Cut) -> None:
    """Refuse groups, times or folds where nothing is left to split, and parts that overlap as they were given."""
    along = rows.along
    needs = [f"data.{along.of.key}"] if along else ["data.folds"] if cut.folds else []
    if needs and (not cut.shares or (cut.folds and "validation" not in cut.shares)):
        own = "validation rows" if cut.folds else "a split"
        expected = f"data without {own} of its own was expected for {needs[0]}"
        raise refused(cut.where, expected, f"data that brings {'them' if cut.folds else 'one'}")
    if along is None:
        return
    mine = along.codes
    for part, codes in rows.given.items():
        both = np.intersect1d(mine, codes)
        place = f"{cut.where}, {along.of.name!r}"
        if along.of.key == "groups" and len(both):
            received = f"{along.said(int(both[0]))!r} in train and in {part}, which was given"
            raise refused(place, "a group in one part alone was expected", received)
        if along.of.key == "order" and codes.min() < mine.max():
            first, last = along.said(int(codes.min())), along.said(int(mine.max()))
            received = f"{first} in {part}, which was given, and {last} in train"
            raise refused(place, f"{part} rows after the training rows were expected", received)


def division_facts(division: Division, rows: Rows, fold: int = 1) -> dict[str, Any]:
    """Return what is recorded of a split along groups or times, or into folds; nothing of a plain one.

    Groups: how many are in each part; times: the first and the last of each. ``rows`` tells two divisions apart.
    """
    facts: dict[str, Any] = {}
    if rows.along is None and division.folds is None:
        return facts
    if rows.along is not None:
        of, along, parts = rows.along.of, rows.along, division.parts(fold)
        codes = along.codes
        by_part = {
            part: codes[parts == at] for at, part in enumerate(("train", "validation", "test"))
        }
        there = {part: own for part, own in {**by_part, **rows.given}.items() if len(own)}
        facts = {"by": of.key, "column": of.name}
        facts["parts"] = {
            part: len(np.unique(own))
            if of.key == "groups"
            else [along.said(int(own.min())), along.said(int(own.max()))]
            for part, own in there.items()
        }
    if division.folds is not None:
        facts["folds"] = division.folds
    return facts | {"rows": hashlib.sha256(division.numbers.tobytes()).hexdigest()[:12]}
