"""The last phase of a search: its best configurations race with fresh seeds. Pure: told events, rebuilt from records.

Replicates come in blocks: the k-th of every configuration that is left, all from one seed. A decision is made when a
block is complete, so it does not depend on who came first. The trial that a configuration was found by is no replicate:
it is among the best for its score, which is therefore too high. A replicate counts by its best epoch, as every trial.
With folds its number says on which of them it is trained, so that pairs have their rows in common too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from orchestrator.config import FinalistsOptions
from orchestrator.records import Score, replicate_name, score_of
from orchestrator.records.score import Mode
from orchestrator.search.plan import Plan, TrialSpec
from orchestrator.search.race import FEWEST, Verdict, surely_not_best, verdict
from orchestrator.search.race_events import News, Race, known_before, sentence

FEWEST_TRIALS = 10
"""A search of fewer trials with a score is not raced by itself."""
FULL_RACE = 3
"""For so many replicates of each finalist the budget is to suffice."""
NO_LIMIT = 2**53
_WHOLE = ("finished", "stopped")
"""How a trial has to have ended to be trained again."""
_REPLICATE = 5
"""What tells the seeds of replicates from a seed's others."""


def replicate_seed(seed: int, replicate: int) -> int:
    """Return the seed of replicate ``replicate`` (from 1) of every configuration, a 31-bit integer."""
    # Three numbers, where a trial's seed comes from two: no replicate has the seed of a trial.
    state = np.random.SeedSequence([seed, _REPLICATE, replicate]).generate_state(1)
    return int(state[0] & 0x7FFFFFFF)


@dataclass
class _Told:
    """What is known of a trial: its best epoch's score, how far it came, and how it ended."""

    spec: TrialSpec
    best: Score | None = None
    epoch: int = 0
    ending: str | None = None


@dataclass(frozen=True)
class _Standing:
    """How a race stands: the replicates that are needed next, or its verdict; and who was dropped, why."""

    needed: tuple[TrialSpec, ...] = ()
    verdict: Verdict | None = None
    is_over: bool = False
    dropped: Mapping[str, str] = field(default_factory=dict)
    replicates: int = 0


class Finalists:
    """Decides whether there is a race, who is trained again, and how it ends; of one search.

    ``options`` None: there is none.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._options: FinalistsOptions | None = plan.finalists
        self._told: dict[str, _Told] = {}
        self._race: Race | None = None
        self._given: set[str] = set()
        self._known: dict[str, int] = {}
        self._group = 1
        self._is_over = plan.finalists is None

    def begun(self, spec: TrialSpec) -> None:
        """Take in that a trial or a replicate began."""
        self._told.setdefault(spec.trial, _Told(spec))

    def heard(self, row: Mapping[str, Any]) -> None:
        """Take in an epoch."""
        told = self._told.get(row["trial"])
        if told is None:
            return
        score = score_of(row, self._plan.metric, self._mode)
        told.epoch = max(told.epoch, int(row["epoch"]))
        if score is not None and score.beats(told.best):
            told.best = score

    def ended(self, trial: str, ending: str) -> None:
        """Take in how a trial ended."""
        if trial in self._told and ending != "interrupted":
            self._told[trial].ending = ending

    def recall(self, race: Race, is_over: bool) -> None:
        """Take in the race that an earlier driver began."""
        self._race, self._is_over = race, is_over

    def recall_known(self, known: Mapping[str, int]) -> None:
        """Take in whose replicates an earlier driver had begin before the race: {trial: first number}."""
        self._known.update(known)

    def take_up(self, group: int) -> None:
        """Give replicates out anew, as trials of this ``group``."""
        self._given.clear()
        self._group = group

    @property
    def has_begun(self) -> bool:
        """Whether replicates are trained."""
        return self._race is not None and not self._is_over

    @property
    def has_news(self) -> bool:
        """Whether something is left to decide or to train, the trials of the search being over."""
        if self._is_over:
            return False
        return self._race is not None or not isinstance(self._chosen(), str) or self._is_asked

    @property
    def why_not(self) -> str:
        """Return why there can be no race; empty where there can."""
        chosen = self._chosen()
        return chosen if isinstance(chosen, str) else ""

    def next(self) -> TrialSpec | None:
        """Return the next replicate to train; None where none is left, or none now."""
        return self._given_out(self._standing().needed) if self.has_begun else None

    def _given_out(self, needed: Iterable[TrialSpec]) -> TrialSpec | None:
        """Return the first that was not given out before, and is now."""
        for spec in needed:
            if spec.trial not in self._given:
                self._given.add(spec.trial)
                return replace(spec, group=self._group)
        return None

    @property
    def unfinished(self) -> list[str]:
        """The trials of the search that have begun and not ended."""
        return [told.spec.trial for told in self._drawn if told.ending is None]

    @property
    def is_to_come(self) -> bool:
        """Whether there may be a race, before which no limit can end the run."""
        limits = self._plan.limits
        ends = (limits.max_epochs, limits.max_run_time, limits.max_failed_trials)
        return self._race is None and not self._is_over and all(each is None for each in ends)

    def ahead(self, settled: Collection[str], tell: Callable[[News], object]) -> TrialSpec | None:
        """Return a replicate that the race will need whatever the last trials give; None where none is known, or left.

        No trial is left to draw. ``settled`` are those that are paused and never go on. ``tell`` is told of a finalist.
        """
        first = self._first()
        spec = self._given_out(self._missing(self._sure(settled), range(first, first + FEWEST)))
        if spec is not None and spec.repeats is not None and spec.repeats not in self._known:
            self._known[spec.repeats] = first
            tell(known_before(spec.repeats, first))
        return spec

    def news(self) -> News | None:
        """Return what is decided now that nothing is in training: that a race begins, that it is over, or neither."""
        if self._is_over:
            return None
        if self._race is None:
            return self._begin()
        standing = self._standing()
        if not standing.is_over:
            return None
        self._is_over = True
        return _ended(self._race, standing, self._means)

    @property
    def _mode(self) -> Mode:
        return "min" if self._plan.mode == "min" else "max"

    @property
    def _is_asked(self) -> bool:
        return self._options is not None and self._options.race is True

    def _begin(self) -> News | None:
        chosen = self._chosen()
        if not isinstance(chosen, str):
            self._race = chosen
            who, seeds = len(chosen.finalists), chosen.seeds
            on = f" on the folds from 2 to {chosen.folds} in turn," if chosen.folds else ""
            text = (
                f"race: the best {who} configurations are trained again, each with at most {seeds} seeds,"
                f"{on} at most {chosen.budget:,} epochs in all"
            )
            return News("race_began", text, chosen.to_plain())
        self._is_over = True
        return News("not_raced", f"no race: {chosen}") if self._is_asked else None

    def _chosen(self) -> Race | str:
        """Return the race that the search's trials lead to, or why there is none."""
        options = self._options
        if options is None:
            return "finalists is false"
        eligible = self._eligible(options.top)
        top = self._top(options, len(eligible))
        if isinstance(top, str):
            return top
        names = tuple(told.spec.trial for told in eligible[:top])
        most = min(self._budget(options), len(names) * options.seeds * self._plan.epochs)
        first, folds = self._first(), self._plan.folds
        return Race(names, options.seeds, most, options.confidence, first, folds)

    def _sure(self, settled: Collection[str]) -> list[str]:
        """Return the finalists that are known by now, best first: who is unfinished may become better than any."""
        unfinished = set(self.unfinished).difference(settled)
        options = self._options
        if options is None or len(unfinished) >= options.top:
            return []
        # What decides about a race and its size only grows: trials with a score, and epochs.
        eligible = self._eligible(options.top, settled)
        top = self._top(options, len(eligible))
        if isinstance(top, str):
            return []
        rivals = [self._told[trial].spec.hyperparameters for trial in unfinished]
        best = [told.spec for told in eligible[: max(0, top - len(unfinished))]]
        return [spec.trial for spec in best if spec.hyperparameters not in rivals]

    @property
    def _drawn(self) -> list[_Told]:
        return [told for told in self._told.values() if told.spec.repeats is None]

    def _eligible(self, most: int, settled: Collection[str] = ()) -> list[_Told]:
        """Return the best different configurations of the trials that ended with a score, or are ``settled``."""
        over = [t for t in self._drawn if t.ending in _WHOLE or t.spec.trial in settled]
        return _distinct([told for told in over if told.best is not None], most)

    def _top(self, options: FinalistsOptions, eligible: int) -> int | str:
        """Return how many of so many eligible configurations or more race at most, or why there is no race."""
        scored = [told for told in self._drawn if told.best is not None]
        full = any(told.epoch >= self._plan.epochs for told in scored)
        if not self._is_asked and (len(scored) < FEWEST_TRIALS or not full):
            return "the search is too small"
        affordable = self._budget(options) // self._plan.epochs
        if eligible < FEWEST:
            return "it takes two different configurations with a score"
        if affordable < FEWEST * FEWEST:
            needed = FEWEST * FEWEST * self._plan.epochs
            return (
                f"two finalists with two seeds each need {needed:,} epochs; budget {options.budget:.0%}"
                f" of the search's {self._trained:,} epochs is {self._budget(options):,}"
            )
        # Fewer finalists with more replicates each tell more than many that nobody can tell apart.
        return min(options.top, max(FEWEST, affordable // FULL_RACE))

    @property
    def _trained(self) -> int:
        return sum(told.epoch for told in self._drawn)

    def _budget(self, options: FinalistsOptions) -> int:
        return int(min(options.budget * self._trained + 1e-9, NO_LIMIT))

    def _first(self) -> int:
        """Return the number of the first replicate: those of fewer epochs than are planned now do not count."""
        short = [
            told.spec.replicate or 0
            for told in self._told.values()
            if told.spec.repeats and told.ending == "finished" and told.epoch < self._plan.epochs
        ]
        # Those that began before the race are of it, however short they are.
        return max(self._known.values(), default=1 + max(short, default=0))

    def _standing(self) -> _Standing:
        """Return how the race stands, by all that was told, block by block."""
        race = self._race
        if race is None:
            raise ValueError("expected a race that began")
        # Played through from the start each time: what was decided follows from what was told alone.
        left, dropped = list(race.finalists), dict[str, str]()
        replicates = 0
        for count in range(FEWEST, race.seeds + 1):
            new = (count if count == FEWEST else 1) * len(left)
            if count > FEWEST and (replicates + new) * self._plan.epochs > race.budget:
                break
            replicates += new
            needed = tuple(self._missing(left, range(race.first, race.first + count)))
            if needed:
                return _Standing(needed, dropped=dropped, replicates=replicates)
            found = self._judged(race, left, count, dropped)
            if found is None or found.kind == "best":
                return _Standing((), found, True, dropped, replicates)
            left = [name for name in left if name in found.tied]
        return _Standing((), found, True, dropped, replicates)

    def _judged(
        self, race: Race, left: Sequence[str], count: int, dropped: dict[str, str]
    ) -> Verdict | None:
        """Return the verdict on those that are ``left`` after ``count`` replicates of each; add to the ``dropped``."""
        scores = {}
        for name in left:
            failed = [why for told in self._block(race, name, count) if (why := _failure(told))]
            if failed:
                dropped[name] = f"{len(failed)} of {count} replicates {failed[0]}"
            else:
                scores[name] = self._scores(race, name, count)
        if not scores:
            return None
        if len(scores) == 1:
            [name] = scores  # the others failed: nothing tells how good it is beside them
            return Verdict("best", name, math.nan, {})
        sizes = {name: self._parameters(race, name, count) for name in scores}
        found = verdict(scores, sizes, race.confidence, len(race.finalists))
        for name in surely_not_best(found.chances, len(race.finalists), race.confidence):
            if name != found.winner:
                chance = found.chances[name]
                dropped[name] = f"best with a chance of {chance:.2g} after {count} replicates"
        return found

    def _missing(self, left: Sequence[str], numbers: Iterable[int]) -> Iterator[TrialSpec]:
        """Yield the replicates of these that have not ended yet, the first number first."""
        for number in numbers:
            for name in left:
                told = self._told.get(replicate_name(name, number))
                if told is None or told.ending is None:
                    yield told.spec if told else self._spec(name, number)

    def _spec(self, trial: str, number: int) -> TrialSpec:
        return replace(
            self._told[trial].spec,
            trial=replicate_name(trial, number),
            seed=replicate_seed(self._plan.seed, number),
            repeats=trial,
            replicate=number,
            origin=None,
        )

    def _block(self, race: Race, name: str, count: int) -> list[_Told]:
        numbers = range(race.first, race.first + count)
        return [self._told[replicate_name(name, number)] for number in numbers]

    def _scores(self, race: Race, name: str, count: int) -> list[float]:
        """Return the scores of a configuration's replicates, more is better."""
        sign = 1.0 if self._mode == "max" else -1.0
        return [sign * told.best.value for told in self._block(race, name, count) if told.best]

    def _parameters(self, race: Race, name: str, count: int) -> int | None:
        known = [told.best.parameters for told in self._block(race, name, count) if told.best]
        return known[0] if known else None

    def _means(self, race: Race, name: str) -> float:
        """Return the mean of what a configuration's replicates came to, more is better."""
        ended = (t.spec for t in self._told.values() if t.spec.repeats == name and t.ending)
        count = sum((spec.replicate or 0) >= race.first for spec in ended)  # not of an earlier race
        scores = self._scores(race, name, count)
        return float(np.mean(scores)) if scores else -np.inf


def _distinct(scored: Sequence[_Told], most: int) -> list[_Told]:
    """Return the best trials, of those of the same hyperparameters the first, ``most`` at most."""
    ranked = sorted(scored, key=lambda told: (told.best.rank if told.best else (), told.spec.index))
    found: list[_Told] = []
    for told in ranked:
        same = (told.spec.hyperparameters == other.spec.hyperparameters for other in found)
        if len(found) < most and not any(same):
            found.append(told)
    return found


def _failure(told: _Told) -> str | None:
    """Return what happened to a replicate that has no score of its full length; None where it has one."""
    if told.ending == "finished":
        return None if told.best is not None else "had no finite value"
    return {"failed": "failed", "diverged": "diverged"}.get(str(told.ending), "were stopped")


def _ended(race: Race, standing: _Standing, means: Any) -> News:
    found = standing.verdict
    facts: dict[str, Any] = {"dropped": dict(standing.dropped), "replicates": standing.replicates}
    if found is None:
        text = "race: undecided, since of each finalist a replicate failed; the best trial stays the winner"
        return News("race_ended", text, {**facts, "verdict": "undecided", "order": []})
    rest = [name for name in race.finalists if name != found.winner]
    rest.sort(key=lambda name: (name in standing.dropped, -means(race, name)))
    facts |= {
        "verdict": found.kind,
        "winner": found.winner,
        "chance": None if math.isnan(found.chance) else round(found.chance, 4),
        "chances": {name: round(chance, 4) for name, chance in found.chances.items()},
        "tied": list(found.tied),
        "order": [found.winner, *rest],
    }
    return News("race_ended", sentence(found), facts)
