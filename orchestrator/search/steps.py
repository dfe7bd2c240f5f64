"""What a search answers when it is asked what to do now that there is room for a trial."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from orchestrator.search.plan import Round, TrialSpec


@dataclass(frozen=True)
class Start:
    """Begin this trial, or take it up where its last state was kept."""

    spec: TrialSpec


@dataclass(frozen=True)
class Resume:
    """Go on with a trial that was paused."""

    spec: TrialSpec


@dataclass(frozen=True)
class Wait:
    """Nothing now: what comes depends on the trials in training."""


@dataclass(frozen=True)
class NextRound:
    """The trials of a round are over, and this one has begun: write that down, and ask again."""

    round: Round


@dataclass(frozen=True)
class Done:
    """Nothing any more."""


OFFERED = 8
"""From how many trials the next one may be chosen, where any order will do."""
Choose = Callable[[Sequence[TrialSpec]], TrialSpec]
Step = Start | Resume | Wait | NextRound | Done
