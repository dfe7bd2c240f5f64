"""What Ray Tune asks and tells while a plan runs: which trial comes next, what was reported, whether time is up.

Tune's own ASHA never stops a NaN, ends the whole run over a missing metric and forgets its rungs; ours is asked by the
stage. An exception in a Tune scheduler ends the run, so nothing here may raise over what a trial reports.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import ray

from orchestrator.search import TrialSpec
from orchestrator.tuning.examination import Examination
from orchestrator.tuning.protocol import Report, Verdict
from orchestrator.tuning.ray_internals import error_of, worker_of
from orchestrator.tuning.ray_tune import FIFOScheduler, Searcher, TrialScheduler, tune
from orchestrator.tuning.stage import Stage
from orchestrator.tuning.worker import RayExaminer, from_worker_loss

KEEP_SECONDS = 30.0
"""How long a run that is asked to stop waits for its workers to write their trials' states down."""
TRIALS_A_ROUND = 10_000
"""What Tune keeps of its own trials, and what each of its steps costs, grow with them: a round begins with none."""


class PlannedSeats(Searcher):  # type: ignore[misc]
    """Gives Ray Tune its trials: seats, in each of which one of ours follows another.

    What Tune does for a trial of its own, a placement group and questions to the cluster, costs ten of our reports.
    """

    def __init__(self, conductor: Conductor) -> None:
        super().__init__()
        self._conductor = conductor

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind: Tune pickles its parts into a file nobody reads, and a view cannot be."""
        return {}

    def set_search_properties(
        self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's settings; the plan has decided already."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return a seat where a trial waits for one, None while one may still come, or that there is none."""
        conductor = self._conductor
        if (conductor.wants_no_more and not conductor.waits_for_a_seat) or conductor.over:
            return Searcher.FINISHED
        if not conductor.offer(trial_id):
            return Searcher.FINISHED if conductor.over else None
        return {"seat": trial_id}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Learn nothing: the stage has heard it already."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the records hold all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing."""


class Conductor(FIFOScheduler):  # type: ignore[misc]
    """Hears every report in the driver and passes it on; has the winner examined when the last trial has ended.

    It has at most ``TRIALS_A_ROUND`` trials take a seat, those first that are ``waiting``. A seat's next trial is
    ``following`` there where it is known: its worker has it already.
    """

    _supports_buffered_results = False  # private; Tune may be told to hand results over in batches

    def __init__(
        self,
        stage: Stage,
        examination: Examination,
        stopping: Callable[[], bool] = bool,
        waiting: deque[TrialSpec] | None = None,
    ) -> None:
        super().__init__()
        self._stage = stage
        self._examination = examination
        self.stopping = stopping
        self._left = TRIALS_A_ROUND
        self._waiting = deque[TrialSpec]() if waiting is None else waiting
        self._offered: set[str] = set()
        self._seats: dict[str, Any] = {}
        self._sitting: dict[str, str] = {}
        self._following: dict[str, TrialSpec] = {}
        self._workers: dict[str, object] = {}
        self._keeping: dict[str, tuple[str, Any]] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind, as PlannedSeats does."""
        return {}

    @property
    def wants_no_more(self) -> bool:
        """Return whether no further trial is to begin in this round."""
        return self._left == 0 or self.stopping()

    @property
    def over(self) -> bool:
        """Return whether no trial is in training and none will come."""
        return self._stage.over

    @property
    def waits_for_a_seat(self) -> bool:
        """Return whether a trial waits for a seat and none that was offered is still to come."""
        return len(self._waiting) > len(self._offered) and not self.stopping()

    def offer(self, seat: str) -> bool:
        """Have a trial wait for a new seat; return whether there is one. Whichever seat is free first takes it."""
        if not self.waits_for_a_seat:
            spec = self._next()
            if spec is None:
                return False
            self._waiting.append(spec)
        self._offered.add(seat)
        return True

    def _next(self, seat: str | None = None, ahead: bool = False) -> TrialSpec | None:
        several = len(self._workers) > 1  # the order of a single worker's trials is the search's
        worker = self._workers.get(seat) if seat and several else None
        spec = None if self.wants_no_more else self._stage.next_trial(ahead, worker)
        self._left -= spec is not None
        return spec

    def seat(self, seat: Any) -> bool:
        """Have the next trial take a seat, if there is one; return whether it does."""
        self._offered.discard(seat.trial_id)
        if self.stopping():
            return False
        spec = self._waiting.popleft() if self._waiting else self._next(seat.trial_id)
        worker = worker_of(seat)
        if spec is None or worker is None:
            return False
        for kept, asked in self._keeping.values():
            if kept == spec.trial:  # another worker may be writing its state yet
                self.until_kept(asked)
        worker.take.remote(spec.redacted())  # before Tune asks it to train
        self._sit(spec, seat)
        return True

    def _sit(self, spec: TrialSpec, seat: Any) -> None:
        self._seats[spec.trial] = seat
        self._sitting[seat.trial_id] = spec.trial
        self._stage.started(spec.trial)
        self._have_follow(seat)

    def _have_follow(self, seat: Any) -> None:
        """Tell a seat's worker which trial comes next there, where that is known: it begins it without asking."""
        if self._waiting or not self._stage.may_follow(len(self._sitting)):
            return
        spec = self._next(seat.trial_id, ahead=True)
        if spec is not None:
            self._following[seat.trial_id] = spec
            worker_of(seat).take.remote(spec.redacted(), True)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pass a report on; have the next trial begin where one has ended, or the winner examined after the last."""
        report: Report | None = result["report"]
        if report is None:  # nobody took the seat
            return str(TrialScheduler.STOP)
        self._workers[trial.trial_id] = report.about.get("worker")
        self._keeping.pop(trial.trial_id, None)  # what was asked before is done
        if self._sitting.get(trial.trial_id, report.trial) != report.trial:
            return str(TrialScheduler.CONTINUE)  # trained of one that has been ended meanwhile
        if self._stage.heard(report):
            return str(TrialScheduler.CONTINUE)
        self._seats.pop(report.trial, None)
        self._sitting.pop(trial.trial_id, None)
        worker = worker_of(trial)
        to_keep = self._stage.is_paused(report.trial) and not report.progress.kept
        if to_keep and worker is not None:  # before it takes another
            self._keeping[trial.trial_id] = report.trial, worker.keep.remote()
        self._stage.look_ahead()  # what waits for a promotion that never comes ends here
        if trial.trial_id in self._following and not self.stopping():
            if not report.is_over:
                worker.skip.remote(report.trial)
            self._sit(self._following.pop(trial.trial_id), trial)
            return str(TrialScheduler.CONTINUE)
        if self._stage.over and worker is not None:  # the last one, and still warm
            self._examination.on_last_worker(partial(asked_of, worker))
        elif self.seat(trial):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Pass on that a trial's worker is gone."""
        self._offered.discard(trial.trial_id)
        self._workers.pop(trial.trial_id, None)
        self._keeping.pop(trial.trial_id, None)
        following = self._following.pop(trial.trial_id, None)
        if following is not None:
            self._waiting.appendleft(following)
            self._stage.follows_no_more(following.trial)
        name = self._sitting.pop(trial.trial_id, None)
        if name is not None:
            self._seats.pop(name, None)
            self._stage.lost(name, from_worker_loss(error_of(trial)))

    def until_kept(self, asked: Any) -> None:
        """Wait until a worker has written a trial's state down."""
        ray.wait([asked], timeout=KEEP_SECONDS)

    def kill_the_hung(self) -> None:
        """End the workers of trials that do not come back: their process, whatever it is stuck in."""
        for name in self._stage.hung():
            ray.kill(worker_of(self._seats[name]))

    def keep_states(self) -> None:
        """Have the trials in training write their states down, since the run is about to stop."""
        actors = [worker_of(trial) for trial in self._seats.values()]
        asked = [actor.keep.remote() for actor in actors if actor is not None]
        ray.wait(asked, num_returns=len(asked), timeout=KEEP_SECONDS) if asked else None


def asked_of(worker: Any, verdict: Verdict) -> RayExaminer:
    """Have a trial's worker examine the winner; to end it is to kill it, since no actor's work can be cancelled."""
    return RayExaminer(worker.examine.remote(verdict), partial(ray.kill, worker))


class Watch(tune.Callback):  # type: ignore[misc]
    """Tells the conductor what Ray Tune does not tell schedulers: that a trial starts, and that time passes."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor

    def on_step_begin(self, iteration: int, trials: Any, **info: Any) -> None:
        """Look for hung trials, some ten times a second."""
        self._conductor.kill_the_hung()

    def on_trial_start(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
        """Have it take a trial of ours."""
        self._conductor.seat(trial)


class StopWhenAsked(tune.Stopper):  # type: ignore[misc]
    """Ends Ray Tune's loop when all is over, or the run is asked to stop, once the trials' states are kept."""

    def __init__(self, conductor: Conductor) -> None:
        self._conductor = conductor
        self._stopped = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind, as PlannedSeats does."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Return whether to stop: seats that nobody will take any more are not waited for."""
        if not self._stopped and self._conductor.stopping():
            self._stopped = True
            self._conductor.keep_states()
        return self._stopped or self._conductor.over
