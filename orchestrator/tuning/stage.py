"""The trials of a run from waiting to ended: which comes next, goes on or is tried again, and when the run is over.

Pure: no Ray type, no worker. ``tune`` ties it to Ray Tune, ``inline`` to this process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from orchestrator.records import TrialEnd
from orchestrator.search import Plan, Search, TrialSpec
from orchestrator.tuning.failures import Attempts, Failure
from orchestrator.tuning.limits import FirstFailures, Limits, StartTimes, TrialTimer
from orchestrator.tuning.protocol import Listener, Report, Sitting, SpentOnTrial
from orchestrator.tuning.queue import TrialQueue, WarmWorkers

SHORT_SECONDS = 5.0
"""How long trials may take at most for one to wait behind another, at a seat of its own."""
NOT_PROMOTED = {"paused": True}
"""What the record of a trial that its scheduler had paused, and never promoted, says of its end besides."""


class Stage:
    """Hears what happens to trials, decides, and tells the listener.

    ``reason`` is the limit by which the run ends early; ``trouble`` is why it cannot go on: its own folder fails it.
    """

    def __init__(
        self,
        plan: Plan,
        listener: Listener,
        sitting: Sitting,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._plan = plan
        self._listener = listener
        self._clock = now
        self._search = sitting.search or Search(plan)
        self._queue = TrialQueue(
            self._search,
            plan.max_concurrent_trials,
            lambda begun: listener.event("round_began", **begun.to_plain()),
        )
        self._specs: dict[str, TrialSpec] = {}
        self._limits = Limits(plan.limits, self._now(), sitting.spent)
        self._first_failures = FirstFailures(sitting.spent.trials == sitting.spent.failed)
        self._before = sitting.spent.on
        failures = {trial: spent.failures for trial, spent in self._before.items()}
        self._attempts = Attempts(plan.retries, failures)
        self._timers: dict[str, TrialTimer] = {}
        self._handed_out, self._awaited = set[str](), set[str]()
        self._branches, self._killed = set[str](), set[str]()
        self._ahead: TrialSpec | None = None
        self._about = {trial: dict(spent.facts) for trial, spent in self._before.items()}
        self._starts = StartTimes()
        self._last_took: float | None = None
        self._drawn = 0
        self._warm_workers = WarmWorkers()
        self._closed_at: float | None = None
        self.reason: str | None = None
        self.trouble: str | None = None
        for trial in self._search.paused:
            listener.waits(trial)

    def _now(self) -> float:
        """Return the time on a clock that stands still while the run waits for a disk."""
        return self._clock() - self._listener.disk.seconds

    def _tell_chosen(self) -> None:
        """Have what became of the searcher's proposals and of the finalists be written down."""
        while self._search.searcher_failures:
            index, reason = self._search.searcher_failures.popleft()
            self._listener.event("searcher_failed", index=index, reason=reason)
        while self._search.decided:
            news = self._search.decided.popleft()
            self._listener.remarked(news.event, news.text, **news.facts)

    @property
    def over(self) -> bool:
        """Return whether no trial is in training and none will come."""
        return self._queue.is_empty and not self._queue.live

    def look_ahead(self) -> TrialSpec | None:
        """Have what comes next decided where nothing trains, so that ``over`` tells whether anything does."""
        if not self._queue.live:
            self._ahead = self._next_trial()
        return self._ahead

    def may_follow(self, seats: int) -> bool:
        """Return whether a seat's next trial may be told its worker beforehand, and ends no later for that.

        So it is where trials are short, and more are left than there are seats.
        """
        is_short = self._last_took is not None and self._last_took <= SHORT_SECONDS
        left = self._plan.num_trials - self._drawn
        return is_short and self._plan.reports_decide_nothing and left > seats

    def follows_no_more(self, trial: str) -> None:
        """Take in that a trial drawn ahead waits for any seat, since the one it was to have is gone."""
        self._queue.begun(trial)

    def next_trial(self, ahead: bool = False, worker: object = None) -> TrialSpec | None:
        """Return the trial to train next, None while there is none; ``ahead``: a place for it comes later.

        Where the order means nothing, it is one whose program the ``worker`` has.
        """
        known, self._ahead = self._ahead, None
        return known or self._next_trial(ahead, worker)

    def _next_trial(self, ahead: bool = False, worker: object = None) -> TrialSpec | None:
        self._close_if_a_limit_is_met()
        self._end_what_is_dropped()
        if self._search.is_learning and self._awaited:
            return None
        any_order = worker is not None and self._plan.limits.max_trials is None
        choose = partial(self._warm_workers.choose, worker) if any_order else None
        spec = self._queue.next(self._now(), ahead, choose)
        self._tell_chosen()
        if spec is None and self._queue.waits_for_promotion:
            self._end_what_stays_paused()
            return self._next_trial(ahead, worker)
        if spec is None and self._search.unproposed:
            left = f"{self._search.unproposed} of {self._plan.described} are left"
            self.reason = self._search.exhausted or f"the searcher proposed no more: {left}"
        if spec is None or spec.trial in self._handed_out:
            return spec
        self._specs[spec.trial] = spec
        if spec.repeats is None and not self._limits.more_trials():
            self._queue.leave(spec.trial)
            self._search.close()
            self.reason = f"limits.max_trials of {self._plan.limits.max_trials} is used up"
            return None
        self._limits.trials += spec.repeats is None
        self._handed_out.add(spec.trial)
        self._drawn = max(self._drawn, spec.index + 1)
        self._awaited.add(spec.trial)
        return spec

    def started(self, trial: str) -> None:
        """Note that a worker has taken a trial; one tried again goes on, one that comes too late is left out."""
        now = self._now()
        self._awaited.discard(trial)
        self._queue.begun(trial)
        if trial not in self._timers:
            if self._queue.closed:
                return
            self._timers[trial] = TrialTimer(before=self._before.get(trial, SpentOnTrial()).seconds)
            self._listener.started(self._specs[trial])
        elif self._timers[trial].since is None:
            self._listener.waits(trial, still=False)
        self._timers[trial].start(now)
        self._starts.taken(trial, now)

    def heard(self, report: Report) -> bool:
        """Take a worker's report; return whether the trial goes on."""
        if report.opened and report.trial in self._timers:
            self._listener.waits_for("first epoch")
            return True
        goes_on = self._heard(report)
        self._end_what_is_dropped()
        return goes_on

    def _heard(self, report: Report) -> bool:
        trial, progress = report.trial, report.progress
        if trial not in self._timers:
            self._queue.leave(trial)
            return False
        if progress.rows:
            new, worker = filter(self._search.is_new, progress.rows), report.about.get("worker")
            self._starts.note(trial, [*new], worker, self._now())
            self._warm_workers.trained(worker, self._specs[trial], report.shaped_by)
            self._limits.epochs += self._listener.epochs(progress.rows)
        if progress.journal:
            self._listener.journal(progress.journal)
        for branch in progress.branches:
            self._branch(branch)
        clock, now = self._timers[trial], self._now()
        clock.report(now)
        stopped_by = self._decide(report)
        if report.failure:
            self._fail(trial, report.failure, report.about)
            return False
        if stopped_by is None and self._limits.out_of_time(clock, now):
            stopped_by = {"scheduler": "max_trial_time", "epoch": _last_epoch(report)}
        end = self._ending(report, stopped_by)
        self._close_if_a_limit_is_met()
        if end is None and self._queue.closed:
            end = TrialEnd(trial, "interrupted", clock.seconds(now))
        if end is not None:
            self._end(replace(end, attempts=self._attempts.made(trial)), None)
        elif self.is_paused(trial):
            clock.stop(now)
            self._about[trial] = dict(report.about)
            self._queue.leave(trial)
            self._listener.waits(trial)
            return False
        return end is None

    def is_paused(self, trial: str) -> bool:
        """Return whether a trial has left its place: its state is to be kept."""
        return trial in self._search.paused

    def lost(self, trial: str, failure: Failure) -> None:
        """Take in that a trial's worker is gone."""
        self._lost(trial, failure)
        self._end_what_is_dropped()

    def lost_together(self, trials: Collection[str], failure: Failure) -> None:
        """Take in that several trials' worker is gone: no try lost but a hung one's; out of memory, fewer at a time."""
        hung = self._killed.intersection(trials)
        if failure.kind == "out_of_memory":
            self._have_fewer(1 + len(trials) // 2)
        said = f"{len(trials)} trials go on elsewhere: {failure.message}"
        self._listener.remarked("lost_together", said, trials=sorted(trials))
        for trial in trials:
            if trial in hung or self._queue.closed or trial not in self._timers:
                self._lost(trial, failure)
                continue
            self._timers[trial].stop(self._now())
            self._search.lost(trial)
            self._queue.try_again(self._specs[trial], self._now())
        self._end_what_is_dropped()

    def _have_fewer(self, than: int) -> None:
        trials = self._queue.fewer_than(than)
        said = f"out of memory: {trials} at once from here on"
        self._listener.remarked("fewer_at_once", said, trials=trials)

    def _lost(self, trial: str, failure: Failure) -> None:
        if trial not in self._timers:
            self.started(trial)
        if trial not in self._timers:
            self._queue.leave(trial)
            return
        if trial in self._killed:
            self._killed.discard(trial)
            if self._queue.closed:
                self._end(TrialEnd(trial, "interrupted", self._trained(trial)), None)
                return
            allowed = self._plan.limits.max_trial_time
            said = f"timeout: no report, and limits.max_trial_time of {allowed} is used up"
            failure = Failure("timeout", said, failure.whole, transient=False)
        self._fail(trial, failure, {})

    def hung(self) -> list[str]:
        """Return the trials that should have reported long ago; whoever asks has them killed."""
        self._close_if_a_limit_is_met()
        now = self._now()
        found = [
            trial
            for trial, clock in self._timers.items()
            if trial not in self._killed and self._limits.hung(clock, now, self._closed_at)
        ]
        self._killed.update(found)
        return found

    def cut_off(self) -> None:
        """End the trials in training, since the run was asked to stop."""
        for trial in list(self._timers):
            attempts = self._attempts.made(trial)
            self._end(TrialEnd(trial, "interrupted", self._trained(trial), attempts=attempts), None)

    def _trained(self, trial: str) -> float:
        """Return the seconds that a trial has been in training, in all sittings."""
        return self._timers[trial].seconds(self._now())

    def _branch(self, branch: dict[str, Any]) -> None:
        """Have a branch of a babysat trial run beside it."""
        spec = TrialSpec(index=len(self._branches) + 1, branch=True, **branch)
        if spec.trial not in self._branches and spec.trial not in self._specs:
            self._branches.add(spec.trial)
            self._search.add(spec)

    def _ending(self, report: Report, stopped_by: Mapping[str, Any] | None) -> TrialEnd | None:
        """Return how the trial ends with this report; None while it goes on."""
        trial, progress = report.trial, report.progress
        about = {**report.about, "trial": trial, "seconds": self._trained(trial)}
        if progress.diverged:
            return TrialEnd(status="diverged", **about)
        if progress.stopped:
            return TrialEnd(status="stopped", stopped_by={"scheduler": "panda"}, **about)
        if progress.done:
            return TrialEnd(status="finished", **about)
        if stopped_by:
            return TrialEnd(status="stopped", stopped_by=stopped_by, **about)
        return None

    def _decide(self, report: Report) -> dict[str, Any] | None:
        """Show the scheduler each epoch; return what it stopped the trial by."""
        for row in report.progress.rows:
            decision = self._search.tell(row)
            if decision is not None and decision.stop:
                return self._stopped_by(row, decision.cutoff)
        while self._search.remarks:
            remark = self._search.remarks.pop()
            self._listener.remarked("scheduler_chose", remark.text, **remark.facts)
        return None

    def _stopped_by(self, row: Mapping[str, Any], cutoff: float | None) -> dict[str, Any]:
        """Return what a trial's record says of its scheduler's decision after an epoch."""
        value = row["metrics"].get(self._plan.metric)
        shown = value if value is not None and math.isfinite(value) else None
        return {
            "scheduler": self._search.scheduler.name,
            "epoch": row["epoch"],
            "value": shown,
            "cutoff": cutoff,
        }

    def _end_what_stays_paused(self) -> None:
        """End the trials that nothing is left to promote for."""
        paused = dict(self._search.paused)
        review = self._search.scheduler.review
        rungs = {epoch: review(epoch) for epoch in {int(r["epoch"]) for r in paused.values()}}
        for trial, row in paused.items():
            held = rungs[int(row["epoch"])].get(trial)
            self._end_paused(trial, held.cutoff if held else None, NOT_PROMOTED)

    def _end_what_is_dropped(self) -> None:
        """End the paused trials that their scheduler has stopped meanwhile."""
        while dropped := self._search.dropped:
            for trial, decision in dropped.items():
                self._end_paused(trial, decision.cutoff)

    def _end_paused(
        self, trial: str, cutoff: float | None, why: Mapping[str, Any] | None = None
    ) -> None:
        row = self._search.paused[trial]
        if trial not in self._timers:  # paused by an earlier driver
            self._timers[trial] = TrialTimer(before=self._before.get(trial, SpentOnTrial()).seconds)
        stopped_by = {**self._stopped_by(row, cutoff), **(why or {})}
        end = TrialEnd(trial, "stopped", self._trained(trial), stopped_by)
        self._end(replace(end, **self._about.get(trial, {})), None)

    def _fail(self, trial: str, failure: Failure, about: Mapping[str, Any]) -> None:
        """Have a trial tried again where that may help; else it has failed."""
        self._timers[trial].stop(self._now())
        self._search.lost(trial)
        if failure.kind == "disk" and self._listener.disk.is_or_was_full(failure.bytes_needed):
            self._queue.try_again(self._specs[trial], self._now())
            return
        if failure.kind == "out_of_memory":
            self._have_fewer(1 + sum(clock.since is not None for clock in self._timers.values()))
        wait = self._attempts.wait_after(trial, failure)
        if wait is not None and self._queue.closed:
            self._end(TrialEnd(trial, "interrupted", self._trained(trial)), None)
            return
        if wait is not None:
            attempt = self._attempts.made(trial)
            self._listener.tried_again(trial, failure, attempt, wait)
            self._queue.try_again(self._specs[trial], self._now() + wait)
            return
        if failure.of_run:
            self.trouble = self.trouble or failure.message
            self._queue.closed = True
            self._end(TrialEnd(trial, "interrupted", self._trained(trial)), None)
            return
        facts = {**about, "trial": trial, "error": failure.message, "failure": failure.kind}
        facts["seconds"] = self._trained(trial)
        self._limits.failed += self._specs[trial].repeats is None
        attempts = self._attempts.made(trial) - 1
        self._end(TrialEnd(status="failed", attempts=attempts, **facts), failure.whole)

    def _end(self, end: TrialEnd, traceback: str | None) -> None:
        if end.trial in self._timers:
            self._last_took = self._timers.pop(end.trial).seconds(self._now())
            self._killed.discard(end.trial)
            self._attempts.forget(end.trial)
            self._queue.leave(end.trial)
            self._search.tell(end)
            self._listener.ended(end, traceback)
            self._tell_chosen()
            self._first_failures.ended(end)
            self._close_if_a_limit_is_met()

    def _close_if_a_limit_is_met(self) -> None:
        if self._queue.closed or self.over:
            return
        reason = self._limits.met(self._now()) or self._first_failures.reason
        if reason is not None:
            self._close(reason)

    def _close(self, reason: str) -> None:
        """Let nobody else begin; those in training end with their next report."""
        self._queue.closed = True
        self._closed_at = self._now()
        self.reason = reason
        for trial in [name for name in self._search.paused if name in self._timers]:
            self._end(TrialEnd(trial, "interrupted", self._trained(trial)), None)


def _last_epoch(report: Report) -> int:
    return int((report.progress.rows or [{"epoch": report.progress.epoch}])[-1]["epoch"])
