"""Hears what happens in a run, writes it down, shows it, and keeps the best checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from orchestrator.experiment.budget_used import incomplete_trials, seconds_of_trials, states_ahead
from orchestrator.experiment.disk import DiskWait, LowDisk
from orchestrator.experiment.remaining import going_on, reopened, retried
from orchestrator.experiment.resume import way_back
from orchestrator.records import (
    Pen,
    RunFolder,
    RunProgress,
    RunRecords,
    RunState,
    RunWriter,
    TrialEnd,
    TrialWaits,
    read_run,
)
from orchestrator.records.events import Event
from orchestrator.records.lineage import retried_from
from orchestrator.search import Plan, TrialSpec
from orchestrator.trials import StateStore
from orchestrator.trials.state_store import forget_all_but

if TYPE_CHECKING:
    from orchestrator.experiment.run_lease import Driving
    from orchestrator.report import View
    from orchestrator.tuning.failures import Failure
    from orchestrator.tuning.protocol import Phase, Verdict


class CheckpointRetention:
    """Keeps the checkpoints of the best ``keep`` configurations; the newest group comes first.

    While configurations race, the best replicate of each is kept besides; afterwards it stands for its configuration.
    With folds, where it does not, ``racing`` trials are kept until the race is over.
    """

    def __init__(self, folder: RunFolder, state: RunState, keep: int, racing: int = 0) -> None:
        self._states = StateStore.of(folder)
        self._state = state
        self._keep = max(1, keep)
        self._racing = max(self._keep, racing)
        self._kept: list[str] = []
        self._open: set[str] = set()

    def started(self, trial: str) -> None:
        """Keep the state of a trial in training: its best may still change."""
        self._open.add(trial)
        self._kept = [name for name in self._kept if name != trial]

    def ended(self, trial: str, for_good: bool = True) -> None:
        """Keep the best checkpoints of the trials that ended, delete those that are no longer among them.

        A trial that may go on (not ``for_good``, in the newest group) keeps its own in any case: its last state may
        contain a better epoch than recorded. On resume that epoch is reported again, but its checkpoint is not
        written again.
        """
        found = self._state.trials.get(trial)
        goes_on = not for_good and (found.group if found else 1) == self._state.group
        (self._open.add if goes_on else self._open.discard)(trial)
        self._keep_best({*self._kept, trial})

    def settle(self) -> None:
        """Keep what is to be kept now that a race is over."""
        self._keep_best(set(self._kept))

    def _keep_best(self, among: set[str]) -> None:
        # A trial without a checkpoint takes nobody's place.
        ranked = self._ranked(n for n in among if self._states.best(n).exists())
        state = self._state
        # Ranked best first, so in reverse the best replicate of a configuration is the last one to be put down.
        again = {state.trials[n].configuration: n for n in reversed(ranked) if self._repeats(n)}
        again = {} if state.has_folds else again
        drawn = [name for name in ranked if not self._repeats(name)]
        if state.race_result is None:
            self._kept = [*drawn[: self._racing], *again.values()]
        else:
            names = sorted({*drawn, *again}, key=state.rank)
            self._kept = [again.get(name, name) for name in names[: self._keep]]
        for name in {*among, *ranked} - {*self._kept} - self._open:
            self._states.forget_best(name)

    def _repeats(self, trial: str) -> bool:
        found = self._state.trials.get(trial)
        return found is not None and found.repeats is not None

    def _ranked(self, trials: Iterable[str]) -> list[str]:
        state = self._state
        return sorted((name for name in trials if state.score_of(name)), key=state.rank)


_NONE_LEFT = "no trial's state is left in"


class Recorder:
    """The listener of a run: records first, then shows. A context manager, which holds the run's records open.

    On a full disk it waits, until the run is asked to stop; ``disk`` has others who write into the run's folder wait.
    """

    def __init__(
        self,
        folder: RunFolder,
        plan: Plan,
        view: View,
        stopping: Callable[[], bool],
        driven: Driving | None = None,
    ) -> None:
        self._folder = folder
        self._states = StateStore.of(folder)
        self._plan = plan
        self._view = view
        self.disk = DiskWait(folder.path, _DiskPauses(self, view), stopping)
        self._low_disk = LowDisk(folder.path)
        self.progress = driven.progress if driven else RunProgress()
        # A babysat trial can be rolled back to any of its epochs, so they are all kept.
        self.state = RunState(plan.metric, plan.mode, thin=not plan.goes_back)
        pen = Pen(driven.check if driven else Pen.may_write, self.disk.wait)
        self._writer = RunWriter(folder, pen, self._apply)
        racing = 2 * plan.finalists.top if plan.folds and plan.finalists else 0
        self._retention = CheckpointRetention(folder, self.state, plan.keep_checkpoints, racing)
        self._running: dict[str, float] = {}
        self._before: dict[str, float] = {}
        self._told: dict[str, set[object]] = {}
        self._ended_before: set[str] = set()
        self._retried_from: dict[str, int] = {}
        self._trained_again: set[str] = set()
        self._phases: Mapping[Phase, str] | None = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._writer.close()

    def _apply(self, events: Sequence[Event]) -> None:
        """Take in what has just been written down."""
        for event in events:
            self.state.apply(event)
        self.progress.refresh()
        self._view.show(events)

    def begin(
        self,
        trials: int,
        before: Sequence[Event] = (),
        phases: Mapping[Phase, str] | None = None,
    ) -> None:
        """Take up what earlier drivers recorded of a run that has so many trials in all; ``phases`` are in words."""
        self._phases = phases or {}
        for event in before:
            self.state.apply(event)
        self._view.take_up(before)
        self.progress.begin(self.state, trials)

    def waits_for(self, what: Phase) -> None:
        """Show what happens until the first epoch of this sitting."""
        if self._phases is not None and what in self._phases:
            self._shows_phase(self._phases[what])

    def _shows_phase(self, words: str | None) -> None:
        self.progress.waits_for(words)
        self._view.phase(words)

    def event(self, event: str, **facts: Any) -> None:
        """Record what happened to the run as a whole."""
        self._writer.event(event, **facts)

    def remarked(self, event: str, text: str, **facts: Any) -> None:
        """Record what the run chose by itself, and say it."""
        self.event(event, reason=text, **facts)
        if event == "race_ended":
            self._retention.settle()
        self._view.note(text)

    def remember(self, before: RunRecords) -> None:
        """Take up what an earlier driver left: kept checkpoints, and what workers may report again.

        How a trial ended stays as it is recorded, whatever it is trained again for, unless it was to train further.
        """
        further = going_on(self._plan, before) | reopened(before) | retried(before)
        self._retried_from = retried_from(before.events)
        self._ended_before = {
            trial.trial
            for trial in before.all_trials
            if trial.is_over and trial.trial not in further
        }
        self._folder.sweep()
        begun = {trial.trial for trial in before.all_trials} | {
            row["trial"] for row in before.epochs
        }
        forget_all_but(self._states, begun)  # a worker had one more, which may be another one now
        again = incomplete_trials(before, self._plan)
        self._before = seconds_of_trials(before, again | retried(before))
        for name in again:
            self._states.forget_last(name)
        for name in states_ahead(before):
            self._states.forget_last(name)
        for trial in before.all_trials:
            over = trial.is_over and trial.trial not in again
            self._retention.ended(trial.trial, for_good=over)
        for row in before.epochs:
            self._is_new(row["trial"], _name(row))
        for entry in before.journal:
            if "id" in entry:
                self._is_new(entry["trial"], entry["id"])

    def started(self, spec: TrialSpec) -> None:
        """Note that a trial began."""
        self._warn_of_low_disk()
        self._running[spec.trial] = self._clock() - self._before.get(spec.trial, 0.0)
        self._retention.started(spec.trial)
        if spec.trial in self._ended_before:
            self._trained_again.add(spec.trial)
            return
        about = (spec.trial, spec.index, spec.seed, spec.hyperparameters, spec.origin)
        repeats: dict[str, Any] = {"repeats": spec.repeats, "replicate": spec.replicate}
        self._writer.trial_started(*about, **repeats, group=spec.group)

    def waits(self, trial: str, still: bool = True) -> None:
        """Note that a trial left its place to others until it is promoted; or, not ``still``, that it trains again."""
        self._apply([TrialWaits(trial, still)])

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Note finished epochs; return how many are new."""
        self._warn_of_low_disk()
        if self._phases is not None:
            self._phases = None
            self._shows_phase(None)
        rows = [
            {**row, "stretch": self._retried_from[row["trial"]]}
            if row["trial"] in self._retried_from
            else row
            for row in rows
        ]
        rows = [row for row in rows if self._is_new(row["trial"], _name(row))]
        if rows:
            self._writer.epochs(rows)
        return len(rows)

    def journal(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Note what was asked of babysat trials, what was done and what it did."""
        entries = [entry for entry in entries if self._is_new(entry["trial"], entry["id"])]
        self._writer.journal(entries)

    def ended(self, end: TrialEnd, traceback: str | None) -> None:
        """Note how a trial ended, its whole error in a file of its own."""
        if traceback is not None:
            log = f"{self._folder.logs.name}/{end.trial}.txt"
            self.disk.write(lambda: self._folder.write_log(end.trial, traceback))
            end = end.with_error_file(log)
        self._running.pop(end.trial, None)
        if end.trial not in self._trained_again:
            self._writer.trial_ended(end)
        elif end.error is not None:
            self.event("not_restored", trial=end.trial, error=end.error, error_file=end.error_file)
        self._trained_again.discard(end.trial)
        over = end.status != "interrupted"
        if over:  # its last state goes after the records say so: a killed driver's trial can go on
            self._states.forget_last(end.trial)
            self._told.pop(end.trial, None)
        self._retention.ended(end.trial, for_good=over)

    def tried_again(self, trial: str, failure: Failure, attempt: int, wait: float) -> None:
        """Note that a lost trial goes on."""
        facts = {"trial": trial, "failure": failure.kind, "error": failure.message}
        self.event("retried", **facts, attempt=attempt, wait_seconds=wait)
        self._view.note(f"trial {trial}: {failure.message}; try {attempt} in {wait:g} s")

    def verdict(self) -> Verdict | None:
        """Return which checkpoint to examine: the best trial's; None where there is no best, or its state is gone."""
        from orchestrator.tuning.protocol import Verdict

        best = self.state.leader
        if best is None:
            return None
        first = self._states.best(best)
        if not first.exists():
            self._tell_of_lost(best)
            return None
        self.progress.examines(f"trial {best}")
        self._view.note(f"examining trial {best}, the best")
        self._view.phase(f"examining trial {best}, the best")
        slowest = self.state.slowest_epoch
        return Verdict(first.resolve(), self._folder.best.resolve(), slowest)

    def _tell_of_lost(self, best: str) -> None:
        """Tell that the best trial's state is gone: another one's would be no winner."""
        records = read_run(self._folder.path)
        trial = records.trial(best)
        where = self._folder.checkpoints
        any_left = any(self._states.best(t.trial).exists() for t in records.contenders)
        what = f"the state of trial {best}, the best, is gone from" if any_left else _NONE_LEFT
        self.not_judged(f"{what} {where}: {way_back(trial, records)}" if trial else what)

    def judged(self, metrics: Mapping[str, Any]) -> None:
        """Note the winner's scores."""
        self.progress.examines(None)
        score = self.state.score_of(str(metrics["trial"]))
        self._writer.event("winner", metric=score.value if score else None, **metrics)

    def not_judged(self, reason: str) -> None:
        """Note that the winner could not be examined; its trial stays the best."""
        self.progress.examines(None)
        self.event("not_examined", reason=reason)
        self._view.note(f"the winner could not be examined: {reason}; resume tries again")

    def close(self) -> None:
        """Note the trials that were running when the run ended early."""
        for trial, since in list(self._running.items()):
            self.ended(TrialEnd(trial, "interrupted", self._clock() - since), None)

    def _clock(self) -> float:
        """Return seconds that stand still while the run waits for a disk."""
        return time.monotonic() - self.disk.seconds

    def _is_new(self, trial: str, name: object) -> bool:
        """Return whether the records lack what a worker reports: one that took a trial up again may report it twice."""
        told = self._told.setdefault(trial, set())
        new = name not in told
        told.add(name)
        return new

    def _warn_of_low_disk(self) -> None:
        warning = self._low_disk.warning()
        if warning is not None:
            self._view.note(warning)


class _DiskPauses:
    """Tells that a run waits for room on the disk, and that it goes on."""

    def __init__(self, recorder: Recorder, view: View) -> None:
        self._recorder = recorder
        self._view = view

    def paused(self, reason: str) -> None:
        """Say that the run waits; it cannot be written down yet."""
        self._recorder.progress.pause(reason)
        self._view.note(f"paused, {reason}. It continues by itself when there is room")

    def went_on(self, reason: str, seconds: float) -> None:
        """Write down that the run waited."""
        self._recorder.progress.go_on()
        self._recorder.event("paused", reason=reason, seconds=round(seconds, 3))
        self._view.note(f"continued after {seconds:.0f} s")


def _name(row: Mapping[str, Any]) -> object:
    return (row.get("stretch", 0), row["epoch"])
