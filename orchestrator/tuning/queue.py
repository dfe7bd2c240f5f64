"""Which trial comes next, and where: what the search gives, and those that are tried again after a while."""

from __future__ import annotations

import heapq
import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Sequence

from orchestrator.search import Round, Search, TrialSpec
from orchestrator.search.steps import OFFERED, Choose, NextRound, Resume, Start

PROGRAMS = 24
"""Of how many structures a worker is taken to keep the programs: as many as the workers of Keras models do."""


class TrialQueue:
    """The trials that a search gives, those waiting to be tried again, and those in training.

    ``at_once`` is the most that train at one time, None as many as find room; ``round_began`` is told of each round.
    """

    def __init__(
        self, search: Search, at_once: int | None, round_began: Callable[[Round], None]
    ) -> None:
        self._search = search
        self._round_began = round_began
        self._later: list[tuple[float, str, TrialSpec]] = []
        self.live: dict[str, TrialSpec] = {}
        self._ahead: set[str] = set()
        self.at_once = at_once
        self.closed = False

    def try_again(self, spec: TrialSpec, ready: float) -> None:
        """Have a trial that was lost wait until ``ready``."""
        self.live.pop(spec.trial, None)
        heapq.heappush(self._later, (ready, spec.trial, spec))

    def next(
        self, now: float, ahead: bool = False, choose: Choose | None = None
    ) -> TrialSpec | None:
        """Return the next trial and count it as in training; None where none is ready or no more may train.

        One that is drawn ``ahead`` takes no other's place until it has ``begun``. ``choose`` is the search's.
        """
        in_training = len(self.live) - len(self._ahead)
        full = self.at_once is not None and in_training >= self.at_once
        if self.closed or (full and not ahead):
            return None
        if self._later and self._later[0][0] <= now:
            spec = heapq.heappop(self._later)[2]
        else:
            step = self._search.next(choose)
            if isinstance(step, NextRound):
                self._round_began(step.round)
                step = self._search.next(choose)
            if not isinstance(step, Start | Resume):
                return None
            spec = step.spec
        self.live[spec.trial] = spec
        if ahead:
            self._ahead.add(spec.trial)
        return spec

    def begun(self, trial: str) -> None:
        """Take in that a worker trains a trial."""
        self._ahead.discard(trial)

    def leave(self, trial: str) -> None:
        """Take a trial out of training."""
        self._ahead.discard(trial)
        self.live.pop(trial, None)

    def fewer_than(self, trials: int) -> int:
        """Let fewer than so many train at once, but one at least; return how many."""
        self.at_once = max(1, trials - 1)
        return self.at_once

    @property
    def is_empty(self) -> bool:
        """Return whether nobody waits, or waits in vain."""
        return self.closed or (self._search.is_done and not self._later)

    @property
    def waits_for_promotion(self) -> bool:
        """Return whether nothing of the search trains or is tried again, and what is left of it is paused."""
        awaited = (*self.live.values(), *(spec for *_, spec in self._later))
        searching = any(spec.repeats is None for spec in awaited)
        return bool(self._search.paused) and not (self.closed or searching or self._search.is_done)


class WarmWorkers:
    """Which structures' programs each worker keeps, so that a trial comes where nothing is traced for it.

    A structure is what a trial's hyperparameters are by the names that shape a program.
    """

    def __init__(self) -> None:
        self._names: frozenset[str] = frozenset()
        self._programs: dict[object, OrderedDict[str, None]] = {}
        self._passed_over: Counter[str] = Counter()

    def trained(self, worker: object, spec: TrialSpec, shaped_by: Collection[str]) -> None:
        """Take in that a worker has a trial's program now; ``shaped_by`` are hyperparameters on which that depends."""
        if not self._names.issuperset(shaped_by):
            self._names |= set(shaped_by)
            self._programs.clear()
        kept = self._programs.setdefault(worker, OrderedDict())
        kept[self._structure(spec)] = None
        kept.move_to_end(self._structure(spec))
        while len(kept) > PROGRAMS:
            kept.popitem(last=False)

    def choose(self, worker: object, trials: Sequence[TrialSpec]) -> TrialSpec:
        """Return the first trial whose program this worker has, else that nobody has; but none waits for ever."""
        mine = self._programs.get(worker, OrderedDict())
        theirs = {key for each in self._programs.values() for key in each}
        known = [(spec, self._structure(spec)) for spec in trials]
        first = trials[0]
        chosen = next(
            (spec for spec, structure in known if structure in mine),
            next((spec for spec, structure in known if structure not in theirs), first),
        )
        if self._passed_over[first.trial] >= OFFERED:
            chosen = first
        if chosen is not first:
            self._passed_over[first.trial] += 1
        self._passed_over.pop(chosen.trial, None)
        return chosen

    def _structure(self, spec: TrialSpec) -> str:
        given = spec.hyperparameters
        return json.dumps([(name, given.get(name)) for name in sorted(self._names)], default=repr)
