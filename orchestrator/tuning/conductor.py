"""Between Ray Tune and the stage: hands out its trials, passes on their reports, ends what the stage ends.

Tune's own ASHA never stops a NaN, ends the whole run over a missing metric and forgets its rungs; ours is asked by the
stage. An exception in a Tune scheduler ends the run, so nothing here may raise over what a trial reports.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.tuning.examination import Examination
from orchestrator.tuning.job import Report, Verdict
from orchestrator.tuning.ray_workers import RayExaminer, lost
from orchestrator.tuning.stage import Stage

KEEP_SECONDS = 30.0
"""How long a run that is asked to stop waits for its workers to write their trials' states down."""


class PlannedTrials(Searcher):  # type: ignore[misc]
    """Gives Ray Tune the stage's trials, one after another, at most ``most`` of them in one round."""

    def __init__(self, stage: Stage, stopping: Callable[[], bool], most: int) -> None:
        super().__init__()
        self._stage = stage
        self._stopping = stopping
        self._left = most

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind: Tune pickles its parts into a file nobody reads, and a view cannot be."""
        return {}

    def set_search_properties(
        self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any
    ) -> bool:
        """Accept Tune's settings; the plan has decided already."""
        return True

    def suggest(self, trial_id: str) -> Any:
        """Return the next trial's configuration, None while one may still come, or that there is none."""
        if self._stopping() or self._left == 0 or self._stage.over:
            return Searcher.FINISHED
        spec = self._stage.next_trial()
        if spec is None:
            return Searcher.FINISHED if self._stage.over else None
        self._left -= 1
        # Tune writes it into files of its own.
        return {"trial": spec.trial, "spec": spec.redacted()}

    def on_trial_complete(self, trial_id: str, result: Any = None, error: bool = False) -> None:
        """Learn nothing: the stage has heard it already."""

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the records hold all there is."""

    def restore(self, checkpoint_path: str) -> None:
        """Read nothing."""


class Conductor(FIFOScheduler):  # type: ignore[misc]
    """Hears every report in the driver and passes it on; has the winner examined when the last trial has ended."""

    _supports_buffered_results = False

    def __init__(self, stage: Stage, examination: Examination) -> None:
        super().__init__()
        self._stage = stage
        self._examination = examination
        self._trials: dict[str, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind, as PlannedTrials does."""
        return {}

    def start(self, trial: Any) -> None:
        """Note that a worker has taken a trial."""
        name = trial.config["trial"]
        self._trials[name] = trial
        self._stage.started(name)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Pass a report on; have the winner examined after the last trial."""
        report: Report = result["report"]
        if self._stage.heard(report):
            return str(TrialScheduler.CONTINUE)
        self._trials.pop(report.trial, None)
        worker = trial.temporary_state.ray_actor
        if self._stage.is_paused(report.trial) and worker is not None:
            ray.wait([worker.keep.remote()], timeout=KEEP_SECONDS)  # before it takes another trial
        if self._stage.over and worker is not None:  # the last one, and still warm
            self._examination.by_the_last(partial(_asked, worker))
        return str(TrialScheduler.STOP)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Pass on that a trial's worker is gone."""
        name = trial.config["trial"]
        self._trials.pop(name, None)
        self._stage.lost(name, lost(_error_of(trial)))

    def kill_the_hung(self) -> None:
        """End the workers of trials that do not come back: their process, whatever it is stuck in."""
        for name in self._stage.hung():
            ray.kill(self._trials[name].temporary_state.ray_actor)

    def keep_states(self) -> None:
        """Have the trials in training write their states down, since the run is about to stop."""
        actors = [trial.temporary_state.ray_actor for trial in self._trials.values()]
        asked = [actor.keep.remote() for actor in actors if actor is not None]
        ray.wait(asked, num_returns=len(asked), timeout=KEEP_SECONDS) if asked else None


def _error_of(trial: Any) -> BaseException | None:
    """Return what Ray said of a trial's worker, None where it said nothing.

    Tune has just written it into the driver's own scratch, below a line of the time; its ``get_error`` looks where
    that is copied later.
    """
    file = trial.error_file
    if file is None or not Path(file).is_file():
        return None
    said = Path(file).read_text(encoding="utf-8", errors="replace").partition("\n")[2]
    return ray.exceptions.RayError(said)  # type: ignore[no-any-return]


def _asked(worker: Any, verdict: Verdict) -> RayExaminer:
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
        """Pass it on."""
        self._conductor.start(trial)


class StopWhenAsked(tune.Stopper):  # type: ignore[misc]
    """Ends Ray Tune's loop when the run is asked to stop, once the trials' states are kept."""

    def __init__(self, conductor: Conductor, stopping: Callable[[], bool]) -> None:
        self._conductor = conductor
        self._stopping = stopping
        self._stopped = False

    def __getstate__(self) -> dict[str, Any]:
        """Leave all behind, as PlannedTrials does."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Stop no trial by itself."""
        return False

    def stop_all(self) -> bool:
        """Return whether to stop."""
        if not self._stopped and self._stopping():
            self._stopped = True
            self._conductor.keep_states()
        return self._stopped
