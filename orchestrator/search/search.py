"""What a run does next: a search is told what happened and asked for the next trial.

Pure: no Ray, no worker, no clock. What has not been drawn yet does not exist, and being told the records again
rebuilds a search, for a resume as for an extension. That a trial is paused follows from its epochs alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from orchestrator.records import TrialEnd, score_of, trial_name
from orchestrator.schedulers import Decision, Scheduler, make_scheduler
from orchestrator.schedulers.scheduler import promoted
from orchestrator.search.plan import Plan, Round, TrialSpec
from orchestrator.searchers import Observation


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


Step = Start | Resume | Wait | NextRound | Done


class Search:
    """The trials of a plan, one after another, and which of them go on.

    ``scheduler`` is one that knows earlier epochs; None: the plan's, new. ``unproposed`` is for how many of the last
    round's trials its searcher had nothing.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler | None = None) -> None:
        self._plan = plan
        self.scheduler = scheduler or make_scheduler(plan.scheduler, plan.epochs, plan.mode)
        self._rounds = plan.rounds.make(plan.epochs, plan.mode) if plan.rounds else None
        self._further: deque[TrialSpec] = deque()
        self._specs: dict[str, TrialSpec] = {}
        self._known: dict[str, TrialSpec] = {}
        self._over: set[str] = set()
        self._group = 1
        self._live: set[str] = set()
        self._paused: dict[str, Mapping[str, Any]] = {}
        self._paused_at: dict[str, int] = {}
        self._ready: deque[str] = deque()
        self._last_epochs: dict[str, tuple[int, float | None]] = {}
        self._begun_rounds: list[Round] = []
        self.unproposed = 0
        self._begin_round(plan.first_round)

    def recall(self, spec: TrialSpec) -> None:
        """Take in a trial that an earlier driver began, before anything else that was recorded of it."""
        self._known[spec.trial] = self._specs[spec.trial] = spec
        self._observe(spec.trial)

    def recall_round(self, begun: Round) -> None:
        """Take in a round that an earlier driver began, before its trials."""
        self._begin_round(begun)

    def recall_ending(self, trial: str, status: str) -> None:
        """Take in how a recorded trial ended."""
        self._observe(trial, ending=status)

    def take_up(
        self, known: Mapping[str, TrialSpec], over: Collection[str], group: int = 1
    ) -> None:
        """Go on from what was recorded: ``known`` trials as they were drawn then, without those that are ``over``.

        Trials that begin from here on are of this ``group``.
        """
        self._known, self._over, self._group = dict(known), set(over), group
        self._index = 0
        for trial in self._over:
            self._paused.pop(trial, None)

    def add(self, spec: TrialSpec) -> None:
        """Have a trial beyond the plan come too: a branch, or one that is trained again for its state."""
        self._further.append(spec)

    def close(self) -> None:
        """Let no trial begin that has not begun yet; one that is paused may still go on."""
        self._index, self._rounds = self._round.end, None
        self._further.clear()

    def next(self) -> Step:
        """Return what to do now that there is room for a trial."""
        self._promote()
        while self._ready:
            trial = self._ready.popleft()
            self._paused.pop(trial)
            return Resume(self._begun(self._specs.get(trial) or self._known[trial]))
        spec = self._draw()
        if spec is not None:
            return Start(self._begun(spec))
        if self._further:
            return Start(self._begun(self._further.popleft()))
        if self._live or self._paused:
            return Wait()
        return self._end_round()

    def tell(self, event: Mapping[str, Any] | TrialEnd) -> Decision | None:
        """Take in an epoch (a row of ``epochs.jsonl``) and return whether its trial goes on, or a trial's end."""
        if isinstance(event, TrialEnd):
            self._live.discard(event.trial)
            self._paused.pop(event.trial, None)
            self._observe(event.trial, ending=event.status)
            return None
        trial, epoch = event["trial"], int(event["epoch"])
        again = epoch <= self._paused_at.get(trial, 0)  # told by the worker that went on with it
        if trial in self._paused and not again:  # recorded: it had been promoted
            self._promote()
            self._paused.pop(trial)
            self._ready = deque(name for name in self._ready if name != trial)
        self._last_epochs[trial] = epoch, event["metrics"].get(self._plan.metric)
        self._observe(trial)
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
    def is_learning(self) -> bool:
        """Whether the next trial depends on what is told meanwhile, so that it should not be asked for too early."""
        return self._plan.searcher.learns and bool(self._last_epochs)

    @property
    def exhausted(self) -> str:
        """What the searcher says of having tried all that there is; empty where there is more."""
        return str(getattr(self._searcher, "exhausted", ""))

    @property
    def has_tried_all(self) -> bool:
        """Whether nothing is left but trials that its searcher does not have, whatever it is told."""
        index = self._next_index()
        if index is None or self.pending or self._paused or self._rounds:
            return False
        learns = self._plan.searcher.learns or trial_name(index) in self._known
        return not learns and self._searcher.ask(index) is None and bool(self.exhausted)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to begin, and nothing paused."""
        is_left = self._next_index() is not None or self._further or self._paused
        return not (is_left or self._rounds)

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
        self._observe(spec.trial)
        return spec

    @property
    def _round(self) -> Round:
        return self._begun_rounds[-1]

    def _begin_round(self, begun: Round) -> None:
        self._begun_rounds.append(begun)
        self._index = begun.first
        self._searcher = self._plan.searcher_of(begun.space, begun.first)

    def _end_round(self) -> NextRound | Done:
        """Begin the next round; where there is none, nothing comes any more, whatever the searcher has left."""
        following = self._rounds.after(self._round) if self._rounds else None
        if following is None:
            left = self._next_index()
            self.unproposed = 0 if left is None else self._round.end - left
            self.close()
            return Done()
        self._begin_round(following)
        return NextRound(following)

    def _observe(self, trial: str, ending: str | None = None) -> None:
        """Have the searcher, and what derives rounds, know how a trial of the plan stands."""
        spec = self._specs.get(trial)
        if spec is None or spec.branch:
            return
        epoch, value = self._last_epochs.get(trial, (0, None))
        seen = Observation(trial, dict(spec.hyperparameters), epoch, value, ending)
        if spec.index >= self._round.first:
            self._searcher.tell(seen)
        if self._rounds is not None:
            self._rounds.tell(seen)

    def _promote(self) -> None:
        for trial in promoted(self.scheduler):
            if trial in self._paused and trial not in self._ready:
                self._ready.append(trial)

    def _next_index(self) -> int | None:
        """Return the index of the round's next trial that is neither over nor paused."""
        while self._index < self._round.end:
            trial = trial_name(self._index)
            if trial not in self._over and trial not in self._paused:
                return self._index
            self._index += 1
        return None

    def _draw(self) -> TrialSpec | None:
        """Return the round's next trial, as it was drawn before where it was; None where there is none, or none now."""
        index = self._next_index()
        if index is None:
            return None
        spec = self._known.get(trial_name(index))
        if spec is None:
            known = index < len(self._plan.points) or index < self._round.first
            asked = {} if known else self._searcher.ask(index)
            if asked is None:
                return None
            spaces = [each.space for each in self._begun_rounds if each.first <= index]
            spec = self._plan.spec(index, asked, spaces[-1])
        self._index += 1
        return replace(spec, group=self._group)


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
