"""What a run does next: a search is told what happened and asked for the next trial.

Pure: no Ray, no worker, no clock. What has not been drawn yet does not exist, and being told the records again
rebuilds a search, for a resume as for an extension. That a trial is paused follows from its epochs alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.records import TrialEnd, score_of
from orchestrator.schedulers import Decision, Scheduler, make_scheduler
from orchestrator.schedulers.scheduler import promoted
from orchestrator.search.plan import Plan, TrialSpec


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
class Done:
    """Nothing any more."""


Step = Start | Resume | Wait | Done


class Search:
    """The trials of a plan, one after another, and which of them go on.

    ``scheduler`` is one that knows earlier epochs; None: the plan's, new.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler | None = None) -> None:
        self._plan = plan
        self.scheduler = scheduler or make_scheduler(plan.scheduler, plan.epochs, plan.mode)
        self._drawn = 0
        self._upcoming: TrialSpec | None = None
        self._over: set[str] = set()
        self._known: dict[str, TrialSpec] = {}
        self._group = 1
        self._further: deque[TrialSpec] = deque()
        self._specs: dict[str, TrialSpec] = {}
        self._live: set[str] = set()
        self._paused: dict[str, Mapping[str, Any]] = {}
        self._paused_at: dict[str, int] = {}
        self._ready: deque[str] = deque()

    def take_up(
        self, known: Mapping[str, TrialSpec], over: Collection[str], group: int = 1
    ) -> None:
        """Go on from what was recorded: ``known`` trials as they were drawn then, without those that are ``over``.

        Trials that begin from here on are of this ``group``.
        """
        self._known, self._over, self._group = dict(known), set(over), group
        for trial in self._over:
            self._paused.pop(trial, None)

    def add(self, spec: TrialSpec) -> None:
        """Have a trial beyond the plan come too: a branch, or one that is trained again for its state."""
        self._further.append(spec)

    def close(self) -> None:
        """Let no trial begin that has not begun yet; one that is paused may still go on."""
        self._drawn, self._upcoming = len(self._plan.trials), None
        self._further.clear()

    def next(self) -> Step:
        """Return what to do now that there is room for a trial."""
        self._promote()
        while self._ready:
            trial = self._ready.popleft()
            self._paused.pop(trial)
            return Resume(self._begun(self._specs.get(trial) or self._known[trial]))
        spec = self._peek()
        if spec is not None:
            self._upcoming = None
            return Start(self._begun(spec))
        if self._further:
            return Start(self._begun(self._further.popleft()))
        return Wait() if self._live or self._paused else Done()

    def tell(self, event: Mapping[str, Any] | TrialEnd) -> Decision | None:
        """Take in an epoch (a row of ``epochs.jsonl``) and return whether its trial goes on, or a trial's end."""
        if isinstance(event, TrialEnd):
            self._live.discard(event.trial)
            self._paused.pop(event.trial, None)
            return None
        trial, epoch = event["trial"], int(event["epoch"])
        again = epoch <= self._paused_at.get(
            trial, 0
        )  # told again by the worker that went on with it
        if trial in self._paused and not again:  # recorded: it had been promoted
            self._promote()
            self._paused.pop(trial)
            self._ready = deque(name for name in self._ready if name != trial)
        decision = report_row(self.scheduler, event, self._plan.metric)
        if decision.pause and not (decision.stop or again) and epoch < self._plan.epochs:
            self._paused[trial] = event
            self._paused_at[trial] = epoch
            self._live.discard(trial)
        return decision

    def lost(self, trial: str) -> None:
        """Take in that a trial fell back to an earlier state: it comes to the epoch of its pause again."""
        if self._paused.pop(trial, None) is not None:
            self._paused_at.pop(trial)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to begin, and nothing paused."""
        return self._peek() is None and not (self._further or self._paused)

    @property
    def paused(self) -> Mapping[str, Mapping[str, Any]]:
        """The trials that wait to be promoted, and the epoch after which each was paused."""
        return self._paused

    @property
    def pending(self) -> frozenset[str]:
        """The recorded trials that are yet to end, and those beyond the plan."""
        further = {spec.trial for spec in self._further}
        return frozenset((self._known.keys() - self._over) | further)

    def _begun(self, spec: TrialSpec) -> TrialSpec:
        self._specs[spec.trial] = spec
        self._live.add(spec.trial)
        return spec

    def _promote(self) -> None:
        for trial in promoted(self.scheduler):
            if trial in self._paused and trial not in self._ready:
                self._ready.append(trial)

    def _peek(self) -> TrialSpec | None:
        """Return the next trial of the plan that is not over, as it was drawn before where it was."""
        while self._upcoming is None and self._drawn < len(self._plan.trials):
            spec = self._plan.trials[self._drawn]
            self._drawn += 1
            if spec.trial not in self._over and spec.trial not in self._paused:
                self._upcoming = replace(self._known.get(spec.trial, spec), group=self._group)
        return self._upcoming


def report_row(scheduler: Scheduler, row: Mapping[str, Any], metric: str) -> Decision:
    """Show a scheduler a row of ``epochs.jsonl``, just trained or read again; return its decision."""
    score = score_of(row, metric, "max")  # the scheduler has a direction of its own
    if score is None:
        return scheduler.report(row["trial"], int(row["epoch"]), None)
    return scheduler.report(row["trial"], score.epoch, score.value, score.ties)


def replay(scheduler: Scheduler, rows: Iterable[Mapping[str, Any]], metric: str) -> Scheduler:
    """Feed recorded epochs to a new scheduler in their order."""
    for row in rows:
        report_row(scheduler, row, metric)
    return scheduler
