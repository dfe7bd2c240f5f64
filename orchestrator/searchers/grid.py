"""A grid: each combination of a few values of each hyperparameter, once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pydantic import Field

from orchestrator.domains import Combinations, LogNormal, Normal, Shuffle, Space, values_of
from orchestrator.domains.parse import Domain
from orchestrator.errors import near_miss
from orchestrator.fields import Count, Flag
from orchestrator.searchers.searcher import Fault, SearcherOptions
from orchestrator.searchers.without_repeats import WithoutRepeats

MOST_TIMES = 10
"""How many times as large as the number of trials a grid may be: of a larger one, hardly anything is tried."""


class GridOptions(SearcherOptions):
    """Each combination of a few values of each hyperparameter, once."""

    learns: ClassVar[bool] = False
    points: Count = Field(
        default=5,
        description="How many values each range has, evenly on its own scale, both ends included. Of a choice, and of a"
        " range that has no more, all values.",
    )
    points_of: dict[str, Count] = Field(
        default_factory=dict,
        description="Another number of values for some ranges, such as `{learning_rate: 9}`.",
    )
    shuffle: Flag = Field(
        default=True,
        description="`true`: in an order drawn from the seed, so that the first trials already cover the space."
        " `false`: in the order of the space, the last hyperparameter first to change.",
    )

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> WithoutRepeats:
        """Return the searcher."""
        grid = self._grid(space)
        order = Shuffle(grid.count, seed).at if self.shuffle else int
        return WithoutRepeats(space, grid, order, seed, tries=0)

    def at_most(self, space: Space, points: int) -> int | None:
        """Return how large the grid is, with the points that may lie beside it."""
        return self._grid(space).count + points

    def option_fault(self, space: Space, trials: int) -> Fault | None:
        """Refuse numbers of values for what is no range, and a grid of which hardly anything would be tried."""
        for name in self.points_of:
            if name not in space.domains:
                hint = near_miss(name, space.names)
                return (
                    f"points_of.{name}",
                    "expected a hyperparameter of the search space",
                    name + hint,
                )
            if _evenly(space.domains[name], 1) is None:
                expected = f"expected a range, since all values of {space.domains[name]} are tried"
                return f"points_of.{name}", expected, self.points_of[name]
        grid = self._grid(space)
        if not grid.is_countable:
            return (
                "",
                "expected simpler conditions, since these cannot be counted; use random",
                len(grid.values),
            )
        if grid.count > MOST_TIMES * trials:
            most = MOST_TIMES * trials
            expected = (
                f"expected a grid of at most {most:,} combinations, {MOST_TIMES} times caviar.num_samples: take fewer"
                " points or a larger num_samples, or searcher: sobol, which covers a space with any number of trials"
            )
            return "points", expected, f"{self.points}, which makes {grid.count:,} combinations"
        return None

    def _grid(self, space: Space) -> Combinations:
        values = {
            name: _values(domain, self.points_of.get(name, self.points))
            for name, domain in space.domains.items()
        }
        return Combinations(values, {name: domain.when for name, domain in space.domains.items()})


def _values(domain: Domain, points: int) -> Sequence[Any]:
    few = _evenly(domain, points)
    if few is None:
        found = values_of(domain)
        return found if found is not None else ()
    return few


def _evenly(domain: Domain, points: int) -> Sequence[Any] | None:
    """Return values of a range at equal distances on its scale; None for a choice or a single value."""
    values = values_of(domain)
    if isinstance(values, tuple):
        return None
    if values is not None and len(values) <= points:
        return tuple(values)
    if points == 1:
        return (domain.from_unit(0.5),)
    if not isinstance(domain, Normal | LogNormal):
        shares = [place / (points - 1) for place in range(points)]
    else:  # hardly anything is drawn at its ends: the middles of equally likely parts
        shares = [(place + 0.5) / points for place in range(points)]
    found = list(dict.fromkeys(domain.from_unit(share) for share in shares))
    return tuple(found)
