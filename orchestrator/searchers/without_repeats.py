"""Trials of a finite space of which none comes twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.domains import Combinations, Space
from orchestrator.searchers.searcher import Observation

Key = tuple[tuple[str, bool, Any], ...]


class WithoutRepeats:
    """Gives trial i what no trial before it had; None once each combination was tried.

    A trial is drawn as the space draws it, ``tries`` times until that is new; then comes the first new one of the
    combinations in their ``order``. So it follows from space, seed and index alone; where trials were told that are
    something else, such as points that were known beforehand, from these too.
    """

    def __init__(
        self, space: Space, of: Combinations, order: Callable[[int], int], seed: int, tries: int
    ) -> None:
        self._space, self._of, self._order = space, of, order
        self._seed, self._tries = seed, tries
        self._first = 0
        self._told: dict[int, Mapping[str, Any]] = {}
        self._answers: list[Mapping[str, Any] | None] = []
        self._keys: list[Key | None] = []
        self._seen: set[Key] = set()
        self._passed = 0
        self._refused = 0

    def begin_at(self, index: int) -> None:
        """Have trial ``index`` be the first, as that of a later round is."""
        self._first = index

    @property
    def exhausted(self) -> str:
        """What there is to say once all was tried; empty before."""
        if self._passed < self._of.count:
            return ""
        count = self._of.count - self._refused
        return (
            "the only combination was tried" if count == 1 else f"all {count:,} combinations tried"
        )

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return what no trial before ``index`` had; nothing where its own draw is that."""
        while len(self._answers) <= index - self._first:
            self._go_on(self._first + len(self._answers))
        return self._answers[index - self._first]

    def tell(self, observation: Observation) -> None:
        """Take in what a trial is: no later one is the same."""
        if not observation.trial.isdecimal():
            return
        index = int(observation.trial)
        place = index - self._first
        self._told[index] = observation.hyperparameters
        if 0 <= place < len(self._keys) and self._keys[place] != self._key(self._told[index]):
            del self._answers[place:], self._keys[place:]
            self._seen = {key for key in self._keys if key is not None}
            self._passed = self._refused = 0

    def _go_on(self, index: int) -> None:
        told = self._told.get(index)
        trial, answer = self._new(index) if told is None else (told, self._own(told))
        self._answers.append(answer)
        self._keys.append(None if trial is None else self._key(trial))
        if trial is not None:
            self._seen.add(self._key(trial))

    def _new(self, index: int) -> tuple[Mapping[str, Any] | None, Mapping[str, Any] | None]:
        """Return a trial that is new, and what to answer for it."""
        for attempt in range(self._tries if self._passed < self._of.count else 0):
            drawn = self._space.draw(self._seed + (attempt << 32), index)
            if self._key(drawn) not in self._seen:
                return drawn, self._own(drawn) if attempt else {}
        while self._passed < self._of.count:
            values = self._of.at(self._order(self._passed))
            self._passed += 1
            if self._space.broken(self._space.with_companions(values)) is not None:
                self._refused += 1
            elif self._key(values) not in self._seen:
                return values, values
        return None, None

    def _own(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return hyperparameters of the space, without each 1-β."""
        return {
            name: hyperparameters[name] for name in self._space.names if name in hyperparameters
        }

    def _key(self, hyperparameters: Mapping[str, Any]) -> Key:
        own = self._own(hyperparameters)
        return tuple((name, isinstance(value, bool), value) for name, value in own.items())
