"""Looking on while a run goes on that another process drives: in another terminal, a job, on another machine."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.experiment.run import Run
from orchestrator.records import RunFolder, RunRecords, RunState, Standing, read_run, see_driver
from orchestrator.records.heartbeat import standing
from orchestrator.records.reader import Follower

if TYPE_CHECKING:
    from orchestrator.report import View

LOOK_AGAIN_SECONDS = 1.0
_DRIVEN = ("running", "paused", "stuck")


def watch(run: str | Path | Run, storage: str | Path = "./runs") -> Run:
    """Show a run on stderr, as the process that drives it does, until nobody drives it any more; return it.

    Ctrl-C ends the looking, not the run. Raises UnknownNameError where there is no such run.
    """
    folder = run.folder if isinstance(run, Run) else RunFolder.open(run, storage)
    records = read_run(folder.path)
    if records.status not in _DRIVEN:
        return Run(folder)
    follower, state = Follower(folder), RunState(records.metric, records.mode, thin=True)
    with _view(records) as view:
        first = follower.read()
        view.take_up(first)
        said = None
        while True:
            for event in first:
                state.apply(event)
            stands = standing(state.events, see_driver(folder), None)
            if (stands.state, stands.reason) != said:
                said = stands.state, stands.reason
                view.note(_words(stands))
            if stands.state not in _DRIVEN:
                return Run(folder)
            time.sleep(LOOK_AGAIN_SECONDS)
            first = follower.read()
            view.show(first)


def _view(records: RunRecords) -> View:
    """Return what shows a run on this terminal."""
    from orchestrator.report import open_panda_view, open_view

    experiment: Mapping[str, Any] = records.experiment
    panda = experiment.get("panda")
    if experiment.get("strategy") == "panda" and isinstance(panda, Mapping):
        return open_panda_view(int(panda.get("days") or 1), records.metric, records.mode)
    epochs = int(experiment.get("epochs") or 1)
    return open_view(records.planned_trials, epochs, records.metric, records.mode)


def _words(stands: Standing) -> str:
    return f"{stands.state}: {stands.reason}" if stands.reason else stands.state
