"""What a run does next: a search is told what happened and asked for the next trial.

Pure: no Ray, no worker, no clock. What has not been drawn yet does not exist, and being told the records again
rebuilds a search, for a resume as for an extension. That a trial is paused follows from its epochs alone.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.records import TrialEnd, trial_name
from orchestrator.schedulers import Decision, Scheduler, make_scheduler
from orchestrator.schedulers.scheduler import (
    CONTINUE,
    Copy,
    copies_of,
    dropped,
    heard,
    populate,
    promoted,
    promoted_last,
    stay_paused,
    tell_ended,
    tell_passed,
)
from orchestrator.schedulers.start_cost import Remark
from orchestrator.search.finalists import Finalists
from orchestrator.search.plan import Plan, Round, TrialSpec
from orchestrator.search.population import copied
from orchestrator.search.race_events import News
from orchestrator.search.replay import report_row
from orchestrator.search.steps import OFFERED, Choose, Done, NextRound, Resume, Start, Step, Wait
from orchestrator.searchers import Observation
from orchestrator.searchers.without_repeats import WithoutRepeats


class Search:
    """The trials of a plan, one after another, and which of them go on.

    ``scheduler`` is one that knows earlier epochs; None: the plan's, new. ``unproposed`` is for how many of the last
    round's trials its searcher had nothing, ``exhausted`` what it says where it has tried all;
    ``searcher_failures`` says for which trials it failed, and why: they are drawn at random. ``remarks`` are what the
    scheduler has chosen by itself, ``decided`` what became of the race between the ``finalists``. Whoever records any
    of these takes them out.
    """

    def __init__(self, plan: Plan, scheduler: Scheduler | None = None) -> None:
        self._plan = plan
        self.scheduler = scheduler or make_scheduler(plan.scheduler, plan.epochs, plan.mode)
        populate(self.scheduler, plan.num_trials, trial_name)
        self._rounds = plan.rounds.make(plan.epochs, plan.mode) if plan.rounds else None
        self._further: deque[TrialSpec] = deque()
        self._specs: dict[str, TrialSpec] = {}
        self._known: dict[str, TrialSpec] = {}
        self._over: set[str] = set()
        self._group = 1
        self._live: set[str] = set()
        self._given: set[str] = set()
        self._paused: dict[str, Mapping[str, Any]] = {}
        self._paused_at: dict[str, int] = {}
        self._ready: deque[str] = deque()
        self._last_epochs: dict[str, tuple[int, float | None]] = {}
        self._offered: dict[int, TrialSpec] = {}
        self._begun_rounds: list[Round] = []
        self._told: list[Observation] = []
        self._is_closed = False
        self.searcher_failures: deque[tuple[int, str]] = deque()
        self.unproposed = 0
        self.exhausted = ""
        self.remarks: list[Remark] = []
        self.finalists = Finalists(plan)
        self.decided: deque[News] = deque()
        self._begin_round(plan.first_round)

    def recall(self, begun: TrialSpec | Round) -> None:
        """Take in a round that an earlier driver began, or one of its trials before anything else of it."""
        if isinstance(begun, Round):
            self._begin_round(begun)
            return
        self.finalists.begun(begun)
        self._known[begun.trial] = self._specs[begun.trial] = begun
        self._observe(begun.trial)

    def recall_ending(self, trial: str, status: str, for_good: bool = True) -> None:
        """Take in how a recorded trial ended; one that did not end ``for_good`` is yet to train further."""
        self._observe(trial, ending=status)
        if for_good and status != "interrupted":
            self.finalists.ended(trial, status)
            self._tell_scheduler_of_end(trial)

    def recall_going_on(self, trial: str) -> None:
        """Take in that a recorded trial that had finished goes on, whatever its scheduler says of its last epoch."""
        self._paused.pop(trial, None)
        tell_passed(self.scheduler, trial)

    def take_up(
        self, known: Mapping[str, TrialSpec], over: Collection[str], group: int = 1
    ) -> None:
        """Go on from what was recorded: ``known`` trials as they were drawn then, without those that are ``over``.

        Trials that begin from here on are of this ``group``.
        """
        self._known, self._over, self._group = dict(known), set(over), group
        self._offered.clear()
        self._index = 0
        self._given.clear()
        self.finalists.take_up(group)
        for trial in self._over:
            self._paused.pop(trial, None)
        self.exhausted = self._all_tried()

    def add(self, spec: TrialSpec) -> None:
        """Have a trial beyond the plan come too: a branch, or one that is trained again for its state."""
        self._further.append(spec)

    def close(self) -> None:
        """Let no trial begin that has not begun yet; one that is paused may still go on."""
        undrawn = map(trial_name, range(self._index, self._round.end))
        self._index, self._rounds, self._is_closed = self._round.end, None, True
        self._further.clear()
        for trial in undrawn:
            if trial not in self._specs:
                self._nobody_waits_for(trial)
        self._next_copy()

    def _tell_scheduler_of_end(self, trial: str) -> None:
        if not self._is_replicate(trial):  # of which it has never heard
            tell_ended(self.scheduler, trial)

    def _nobody_waits_for(self, trial: str) -> None:
        self._over.add(trial)
        tell_ended(self.scheduler, trial)

    def next(self, choose: Choose | None = None) -> Step:
        """Return what to do now that there is room for a trial.

        Where the order in which trials are drawn means nothing, the next few are offered to ``choose``.
        """
        self._promote()
        self._decide()
        spec = self._copy()  # before its donor goes on, whose state it takes
        if spec is not None:
            return Start(self._begun(spec))
        if self._ready:
            return self._resume(self._ready.popleft())
        spec = self._draw(choose)
        if spec is not None:
            return Start(self._begun(spec))
        if self._further:
            return Start(self._begun(self._further.popleft()))
        spec = self.finalists.next() or self._replicate_ahead()
        if spec is not None:
            return Start(self._begun(spec))
        if self._is_awaited:
            return Wait()
        return self._next_round() or self._promote_last() or self._end()

    def tell(self, event: Mapping[str, Any] | TrialEnd) -> Decision | None:
        """Take in an epoch (a row of ``epochs.jsonl``) and return whether its trial goes on, or a trial's end."""
        if isinstance(event, TrialEnd):
            self._live.discard(event.trial)
            self._paused.pop(event.trial, None)
            self._observe(event.trial, ending=event.status)
            self.finalists.ended(event.trial, event.status)
            if event.status != "interrupted":
                self._tell_scheduler_of_end(event.trial)
            self._decide()
            return None
        trial, epoch = event["trial"], int(event["epoch"])
        again = epoch <= self._paused_at.get(trial, 0)  # told by the worker that went on with it
        if trial in self._paused and not again:  # recorded: it had been promoted
            self._promote()
            self._paused.pop(trial)
            self._ready = deque(name for name in self._ready if name != trial)
        self._last_epochs[trial] = epoch, event["metrics"].get(self._plan.metric)
        self.finalists.heard(event)
        if self._is_replicate(trial):
            return CONTINUE
        self._observe(trial)
        remark = heard(self.scheduler, event)
        self.remarks += [remark] if remark else []
        decision = report_row(self.scheduler, event, self._plan.metric)
        if decision.pause and not (decision.stop or again) and epoch < self._plan.epochs:
            self._paused[trial] = event
            self._paused_at[trial] = epoch
            self._live.discard(trial)
        return decision

    def is_new(self, row: Mapping[str, Any]) -> bool:
        """Return whether an epoch was not told before."""
        return int(row["epoch"]) > self._last_epochs.get(row["trial"], (0, None))[0]

    def lost(self, trial: str) -> None:
        """Take in that a trial fell back to an earlier state: it comes to the epoch of its pause again."""
        if self._paused.pop(trial, None) is not None:
            self._paused_at.pop(trial)

    @property
    def is_learning(self) -> bool:
        """Whether the next trial depends on what is told meanwhile, so that it should not be asked for too early."""
        return self._plan.searcher.learns and bool(self._last_epochs)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to begin, and nothing paused."""
        return not (self._is_left or self.finalists.has_news)

    def _decide(self) -> None:
        """Decide about the race between the best, where nothing of the search is left."""
        while not (self._is_awaited or self._is_left) and (news := self.finalists.news()):
            self.decided.append(news)

    @property
    def _is_awaited(self) -> bool:
        """Whether what comes next depends on trials in training: before a race, on those of the search alone."""
        racing = self.finalists.has_begun
        return any(racing or not self._is_replicate(trial) for trial in self._live)

    def _replicate_ahead(self) -> TrialSpec | None:
        """Return a replicate that the race surely needs, to train beside the last trials; None where none is known."""
        is_last = self._rounds is None or self._round.end >= self._plan.trials_in_all
        may_be = is_last and self._is_awaited and self.finalists.is_to_come
        if not may_be or self._next_index() is not None:
            return None
        training = (t for t in self.finalists.unfinished if t not in self._paused)
        least = min((self._last_epochs.get(t, (0, None))[0] for t in training), default=0)
        settled = stay_paused(self.scheduler, least)
        if settled is None:
            return None
        return self.finalists.ahead(self._paused.keys() & settled, self.decided.append)

    @property
    def _is_left(self) -> bool:
        """Whether a trial of the plan is left to begin or to promote."""
        is_left = self._next_index() is not None or self._further or self._paused
        return bool(is_left or self._next_copy() or self._rounds)

    def _is_replicate(self, trial: str) -> bool:
        spec = self._specs.get(trial)
        return spec is not None and spec.repeats is not None

    @property
    def paused(self) -> Mapping[str, Mapping[str, Any]]:
        """The trials that wait to be promoted, and the epoch after which each was paused."""
        return self._paused

    @property
    def dropped(self) -> Mapping[str, Decision]:
        """The paused trials that their scheduler has stopped meanwhile."""
        found = dropped(self.scheduler)
        return {trial: found[trial] for trial in found if trial in self._paused}

    @property
    def pending(self) -> frozenset[str]:
        """The recorded trials that are yet to end, and those beyond the plan."""
        further = {spec.trial for spec in self._further}
        return frozenset((self._known.keys() - self._over) | further)

    def _begun(self, spec: TrialSpec) -> TrialSpec:
        self._specs[spec.trial] = spec
        self.finalists.begun(spec)
        self._live.add(spec.trial)
        self._given.add(spec.trial)
        self._observe(spec.trial)
        return spec

    @property
    def _round(self) -> Round:
        return self._begun_rounds[-1]

    def _begin_round(self, begun: Round) -> None:
        self._begun_rounds.append(begun)
        self._index = begun.first
        self._searcher = self._plan.searcher_of(begun.space, begun.first)

    def _next_round(self) -> NextRound | None:
        """Begin the next round; those that are paused may go on beside it."""
        following = self._rounds.after(self._round) if self._rounds else None
        if following is None:
            return None
        self._begin_round(following)
        for seen in self._told:
            if following.holds(seen.hyperparameters):
                self._searcher.tell(seen)
        return NextRound(following)

    def _end(self) -> Wait | Done:
        """Let nothing come any more, whatever the searcher has left, unless something is paused."""
        if self._paused:
            return Wait()
        left = self._next_index()
        self.exhausted = self._all_tried()
        self.unproposed = 0 if left is None else self._round.end - left
        self.close()
        self._decide()
        return Wait() if self.finalists.has_news else Done()

    def _all_tried(self) -> str:
        """Return what the searcher says where it has tried all that there is; empty where more may come."""
        index = self._next_index()
        if self._rounds:
            return ""
        if index is not None and isinstance(self._searcher, WithoutRepeats):
            self._searcher.ask(index)  # which changes nothing
        return str(getattr(self._searcher, "exhausted", ""))

    def _observe(self, trial: str, ending: str | None = None) -> None:
        """Have the searcher, and what derives rounds, know how a trial of the plan stands."""
        spec = self._specs.get(trial)
        if spec is None or spec.branch or spec.repeats or spec.recipe:
            return
        epoch, value = self._last_epochs.get(trial, (0, None))
        seen = Observation(trial, dict(spec.hyperparameters), epoch, value, ending)
        if self._round.number == 1 or self._round.holds(seen.hyperparameters):
            self._searcher.tell(seen)
        if self._rounds is not None:
            self._rounds.tell(seen)
            if self._plan.searcher.learns:
                self._told.append(seen)

    def _promote(self) -> None:
        """Have those that may go on be ready: as the scheduler orders them, after those it names no more."""
        names = dict.fromkeys(promoted(self.scheduler))
        ready = [*(trial for trial in self._ready if trial not in names), *names]
        self._ready = deque(trial for trial in ready if trial in self._paused)

    def _promote_last(self) -> Resume | None:
        """Return what goes on now that nothing is in training, or ready, or left to begin."""
        last = (trial for trial in promoted_last(self.scheduler) if trial in self._paused)
        return next(map(self._resume, last), None)

    def _resume(self, trial: str) -> Resume:
        self._paused.pop(trial)
        return Resume(self._begun(self._specs.get(trial) or self._known[trial]))

    def _next_index(self) -> int | None:
        """Return the index of the round's next trial that is neither over nor paused, nor was given out before."""
        while self._index < self._round.end:
            if self._is_left_to_draw(self._index):
                return self._index
            self._index += 1
        return None

    def _draw(self, choose: Choose | None) -> TrialSpec | None:
        """Return the round's next trial, as it was drawn before where it was; None where there is none, or none now."""
        index = self._next_index()
        first = None if index is None else self._drawn(index)
        if index is None or first is None:
            return None
        spec = first
        if choose is not None and self._plan.draws_in_any_order:
            further = range(index + 1, min(index + OFFERED, self._round.end))
            others = [self._drawn(each) for each in further if self._is_left_to_draw(each)]
            spec = choose([first, *filter(None, others)])
        self._index += spec is first
        self._offered.pop(spec.index, None)
        return replace(spec, group=self._group)

    def _is_left_to_draw(self, index: int) -> bool:
        trial = trial_name(index)
        return not any(trial in those for those in (self._over, self._paused, self._given))

    def _drawn(self, index: int) -> TrialSpec | None:
        """Return a trial, drawn once; None where the searcher has nothing for it now."""
        spec = self._offered.get(index) or self._known.get(trial_name(index))
        if spec is None:
            begun = [each for each in self._begun_rounds if each.first <= index][-1]
            is_whole = begun.is_whole(self._plan.seed, index)
            known = index < len(self._plan.points) or index < self._round.first
            asked = {} if known or is_whole else self._asked(index)
            if asked is None:
                return None
            spec = self._plan.spec(index, asked, self._plan.space if is_whole else begun.space)
        self._offered[index] = spec
        return spec

    def _next_copy(self) -> Copy | None:
        """Return the next copy that is to begin in a population and has not."""
        for copy in copies_of(self.scheduler):
            if not any(copy.trial in those for those in (self._over, self._paused, self._given)):
                if not self._is_closed:
                    return copy
                self._nobody_waits_for(copy.trial)
        return None

    def _copy(self) -> TrialSpec | None:
        """Return the trial of the next copy, as it was begun before where it was; None where there is none."""
        copy, specs = self._next_copy(), {**self._specs, **self._known}
        return copied(self._plan, copy, specs, self._group) if copy else None

    def _asked(self, index: int) -> Mapping[str, Any] | None:
        """Return what the searcher proposes for a trial, and keep in mind where it failed."""
        asked = self._searcher.ask(index)
        failure = getattr(self._searcher, "failure", "")
        if failure:
            self.searcher_failures.append((index, failure))
        return asked
