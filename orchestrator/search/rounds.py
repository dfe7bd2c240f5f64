"""From coarse to fine: the trials of a search in rounds, each with a space that follows from those before it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.config.rounds_options import RoundsOptions
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, explain
from orchestrator.search.evidence import Rule, Seen
from orchestrator.search.narrowing import derive
from orchestrator.search.plan import Round
from orchestrator.searchers import Observation


@dataclass(frozen=True)
class CoarseToFine:
    """The rounds of an experiment; ``trials`` is how many all of them have."""

    trials: int
    number: int
    space: Space
    rule: Rule = field(default_factory=Rule)
    share_of_whole: float = 0.2

    @property
    def first(self) -> int:
        """How many trials the first round has."""
        return self.size(self.trials, self.number)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many trials each round has, where all of them come."""
        return tuple(self._sizes())

    def _sizes(self) -> Iterator[int]:
        left = self.trials
        for number in range(self.number):
            yield (size := self.size(left, self.number - number))
            left -= size

    @staticmethod
    def size(trials: int, rounds: int) -> int:
        """Return how many of the trials that are left the next of so many rounds has."""
        return -(-trials // max(1, rounds))

    def make(self, epochs: int, mode: str) -> _Deriving:
        """Return what derives each round from those before it."""
        return _Deriving(self, mode)


class _Deriving:
    """Remembers what became of each trial, and applies the rule at the end of a round."""

    def __init__(self, maker: CoarseToFine, mode: str) -> None:
        self._maker = maker
        self._mode = mode
        self._seen: dict[str, Seen] = {}

    def tell(self, observation: Observation) -> None:
        """Take in what has become of a trial."""
        name = observation.trial
        seen = self._seen.setdefault(name, Seen(int(name), observation.hyperparameters))
        if observation.epoch:
            seen.values[observation.epoch] = observation.value
        seen.ending = observation.ending or seen.ending

    def after(self, last: Round) -> Round | None:
        """Return the next round: with what is left, and after the last one with what an extension brought."""
        maker = self._maker
        # An extension may have made the first round longer than this plan's.
        first = max(last.end, 1 + max((each.index for each in self._seen.values()), default=-1))
        left = maker.trials - first
        if left <= 0:
            return None
        seen = [self._seen[name] for name in sorted(self._seen)]  # whoever came first
        derived = derive(maker.space, last.space, seen, self._mode, maker.rule)
        return Round(
            last.number + 1,
            derived.space,
            first,
            maker.size(left, maker.number - last.number),
            maker.share_of_whole,
            tuple(finding.to_plain() for finding in derived.findings),
        )


def rule_of(options: RoundsOptions) -> Rule:
    """Return the rule that an experiment's options ask for."""
    hard = options.hard if isinstance(options.hard, bool) else frozenset(options.hard)
    return Rule(keep=options.keep, hard=hard)


def rounds_of(options: RoundsOptions, trials: int, space: Space) -> CoarseToFine | None:
    """Return the rounds of so many trials; None where there is one alone.

    Raises ExperimentFileError where ``hard`` names a hyperparameter that the space does not have.
    """
    for name in () if isinstance(options.hard, bool) else options.hard:
        if name not in space.domains:
            expected = "expected a hyperparameter of the search space"
            raise ExperimentFileError(explain("caviar.rounds.hard", expected, name, space.names))
    number = options.number_of(trials)
    if number == 1:
        return None
    return CoarseToFine(trials, number, space, rule_of(options), options.share_of_whole)
