"""What a searcher is asked and told, and what an experiment file says of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from orchestrator.domains import Space
from orchestrator.domains.space import companion
from orchestrator.fields import Options


@dataclass(frozen=True)
class Observation:
    """What has become of a trial: that it began, one of its epochs, or its end.

    ``epoch`` is 0 and ``value`` None when it begins; afterwards they are the last finished epoch and its metric as the
    trial reported it, which may be NaN, or None where it reported none. ``ending`` is finished, stopped, diverged,
    failed or interrupted; None while the trial goes on. A trial that is made longer goes on after its end.
    """

    trial: str
    hyperparameters: Mapping[str, Any]
    epoch: int = 0
    value: float | None = None
    ending: str | None = None


class Searcher(Protocol):
    """Proposes hyperparameters for one trial after another.

    A run is resumed by making a new searcher and telling it what was recorded, trial by trial in its order, in
    whatever order between trials. So what it proposes follows from its seed and from what it was told, nothing else; a
    thing may be told twice, and counts once.
    """

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return values of hyperparameters for trial ``index`` (the first is 0), each from its domain.

        What is left out is drawn at random, and what does not exist beside the others' values is dropped. All is drawn
        where the values break a constraint of the space. None: there is nothing to try until more was told; the search
        ends where no trial is left to tell it.
        """

    def tell(self, observation: Observation) -> None:
        """Take in what has become of a trial."""


Fault = tuple[str, str, Any]
"""The option at fault, what was expected there, and what was received."""


class SearcherMaker(Protocol):
    """What a plan knows of its searcher before a run; ``learns`` says whether it goes by what it is told."""

    learns: ClassVar[bool]

    def at_most(self, space: Space, points: int) -> int | None:
        """Return the most trials that it has, ``points`` of them known beforehand; None: as many as one likes."""

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> Searcher:
        """Return a new searcher of ``space`` for trials of ``epochs`` epochs; ``mode`` is max or min."""


class SearcherOptions(Options):
    """The options of one searcher; each has its module here and its line in ``SEARCHERS``."""

    learns: ClassVar[bool] = True

    def make(self, space: Space, seed: int, epochs: int, mode: str) -> Searcher:
        """Return the searcher; ``mode`` says which metric is good: max or min."""
        raise NotImplementedError

    def at_most(self, space: Space, points: int) -> int | None:
        """Return the most trials that it has, ``points`` of them known beforehand; None: as many as one likes."""
        return None

    def option_fault(self, space: Space, trials: int) -> Fault | None:
        """Return which option, if any, does not go with a space and so many trials; the empty one: it as a whole."""
        return None


def complete(asked: Mapping[str, Any], space: Space, seed: int, index: int) -> dict[str, Any]:
    """Return trial ``index`` with what was ``asked`` for, the rest of it drawn, and the 1-β of each β.

    All of it is drawn where nothing beside what was asked for fulfils the space's constraints.
    """
    given = {name: value for name, value in asked.items() if name in space.domains}
    drawn = space.draw_beside(seed, index, given) if given else None
    return space.draw(seed, index) if drawn is None else drawn


def misfit(asked: Any, space: Space) -> str | None:
    """Return what is wrong with an answer of ``ask``; None where nothing is."""
    if asked is None:
        return None
    if not isinstance(asked, Mapping):
        return f"expected a mapping of hyperparameter to value, or None, got {asked!r}"
    known = {*space.domains, *map(companion, space.domains)}
    for name, value in asked.items():
        if (
            name not in space.domains
            and name in known
            and name.removeprefix(companion("")) not in asked
        ):
            return f"expected {name.removeprefix(companion(''))} itself, got {name!r} alone"
        if name not in known:
            return f"expected hyperparameters of the space, got {name!r}"
        if name in space.domains and not space.domains[name].contains(value):
            return f"{name}: expected a value of {space.domains[name]}, got {value!r}"
    return _breach(asked, space)


def _breach(asked: Mapping[str, Any], space: Space) -> str | None:
    """Return which constraint an answer breaks, whatever is drawn beside it."""
    broken = space.broken_by(asked)
    if broken is None:
        return None
    named = {name: asked[name] for name in asked if name in broken.names}
    return f"expected values that fulfil {broken}, got {named}"
