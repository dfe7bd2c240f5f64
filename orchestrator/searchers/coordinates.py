"""Where hyperparameters lie for a model of numbers: each on its domain's own scale, 0 to 1; and candidates there.

A choice has a column for each value. What does not exist beside the others lies in the middle, where it makes no
difference; a grid's values lie in the middle of their cells, so that a candidate lies where its trial will.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from orchestrator.domains import Choice, Condition, Domain, Space
from orchestrator.searchers.learning import cells
from orchestrator.searchers.told import Standing

Matrix = NDArray[np.float64]
STEP = 0.1
"""The standard deviation of a step away from a good trial, as a share of the scale."""
MIDDLE = 0.5


class Coordinates:
    """The hyperparameters of a space of which there is more than one value, parents first: one share of each."""

    def __init__(self, free: Mapping[str, Domain], space: Space) -> None:
        self._free = dict(free)
        self._space = space
        self._cells = [cells(domain) for domain in self._free.values()]

    def shares(self, trials: Sequence[Standing]) -> Matrix:
        """Return one row for each trial, NaN for what it does not have."""
        rows = [
            [
                domain.to_unit(each.hyperparameters[name])
                if name in each.hyperparameters
                else math.nan
                for name, domain in self._free.items()
            ]
            for each in trials
        ]
        return np.array(rows, dtype=float).reshape(len(trials), len(self._free))

    def candidates(
        self, random: np.random.Generator, good: Matrix, counts: tuple[int, int]
    ) -> Matrix:
        """Return shares of so many candidates from the whole space, and so many a step away from good trials."""
        whole, near = counts
        drawn = random.random((whole, len(self._free)))
        if not len(good):
            return self.possible(drawn)
        around = good[random.integers(len(good), size=near)]
        return self.possible(np.concatenate([drawn, self.beside(random, around, STEP)]))

    def beside(self, random: np.random.Generator, shares: Matrix, width: float) -> Matrix:
        """Return candidates a step away: half of a row's shares moved, one at least; a choice's drawn anew at times."""
        fresh = random.random(shares.shape)
        start = np.where(np.isnan(shares), fresh, shares)
        moves = random.random(shares.shape) < MIDDLE
        moves[np.arange(len(shares)), random.integers(shares.shape[1], size=len(shares))] = True
        stepped = start + width * random.standard_normal(shares.shape) * moves
        stepped = np.where(stepped < 0, -stepped, stepped)
        stepped = np.clip(np.where(stepped > 1, 2 - stepped, stepped), 0, 1 - 1e-12)
        again = random.random(shares.shape) < width
        are_choices = np.array([isinstance(each, Choice) for each in self._free.values()])
        return np.where(are_choices, np.where(again, fresh, start), stepped)

    def columns(self, shares: Matrix) -> Matrix:
        """Return what a model is given: a column for each number, one for each value of a choice."""
        columns = []
        for place, (domain, count) in enumerate(zip(self._free.values(), self._cells, strict=True)):
            share = shares[:, place]
            if isinstance(domain, Choice):
                position = np.floor(share * len(domain.values))
                columns += [
                    (position == value).astype(float) for value in range(len(domain.values))
                ]
                continue
            known = np.where(np.isnan(share), MIDDLE, share)
            columns.append(known if count is None else _middle_of_cell(known, count))
        return np.stack(columns, axis=1)

    def values(self, row: Matrix) -> dict[str, Any]:
        """Return the hyperparameters of a candidate."""
        return {
            name: domain.from_unit(float(share))
            for (name, domain), share in zip(self._free.items(), row, strict=True)
            if not math.isnan(share)
        }

    def possible(self, shares: Matrix) -> Matrix:
        """Return the candidates that break no constraint, NaN for each hyperparameter that does not exist in one."""
        shares = shares.copy()
        for place, domain in enumerate(self._free.values()):
            for condition in domain.when:
                shares[~self._holds(condition, shares), place] = math.nan
        if not self._space.constraints:
            return shares
        fit = np.array([self._space.broken_by(self.values(row)) is None for row in shares])
        return shares[fit] if fit.any() else shares

    def _holds(self, condition: Condition, shares: Matrix) -> NDArray[np.bool_]:
        """Return for which candidates a condition holds."""
        name = condition.name
        domain = self._space.domains[name]
        if name not in self._free:
            return np.full(len(shares), condition.holds({name: domain.from_unit(MIDDLE)}))
        of = shares[:, list(self._free).index(name)].tolist()
        return np.array(
            [not math.isnan(u) and condition.holds({name: domain.from_unit(u)}) for u in of]
        )


def _middle_of_cell(share: Matrix, count: int) -> Matrix:
    middle: Matrix = (np.minimum(np.floor(share * count), count - 1) + MIDDLE) / count
    return middle


LOW, HIGH = -2.0, 4.0


def scores(values: Sequence[float | None]) -> Matrix:
    """Return how good trials are, about 0 for an ordinary one and 1 for one of the better quarter.

    How far a bad one is from an ordinary one does not matter; one that cannot be compared is as bad.
    """
    known = np.array([math.nan if value is None else value for value in values])
    if np.isnan(known).all():
        return np.full(len(known), LOW)
    low, middle, high = np.nanquantile(known, (0.25, 0.5, 0.75))
    width = max(high - low, 1e-12)
    found: Matrix = np.clip(np.nan_to_num((known - middle) / width, nan=LOW), LOW, HIGH)
    return found
