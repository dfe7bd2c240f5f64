"""What a driver's heartbeat tells of its run: how far the state has come, and what the driver waits for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from orchestrator.records.lock.driver import Pulse, now
from orchestrator.records.state import RunState

_ASKED = "asked to, at "


class Tally:
    """Has a run's ``pulse``: a value, so that a thread may read it any time."""

    def __init__(self) -> None:
        time = now()
        self.pulse = Pulse(since=time, progressed=time)
        self._state = RunState("val_accuracy", "max")
        self._planned = 0
        self._doing: str | None = None

    def begin(self, state: RunState, trials: int) -> None:
        """Follow a run's state from here on; it has so many ``trials`` in all."""
        self._state = state
        self._planned = trials
        self._refresh()

    def refresh(self) -> None:
        """Have the heartbeat tell what the state has come to."""
        self._refresh()
        state = self._state
        if state.open and state.open <= state.paused:
            self.pause(_ASKED + ", ".join(sorted(state.open)))
        elif self.pulse.reason and self.pulse.reason.startswith(_ASKED):
            self.go_on()

    def examines(self, what: str | None) -> None:
        """Have the heartbeat tell what is examined after the last trial; None: nothing any more."""
        self._doing = None if what is None else f"examining {what}"
        self._progress(reason=self._doing)

    def pause(self, reason: str) -> None:
        """Have the heartbeat tell that the run waits, and for what: room on the disk, say."""
        if (self.pulse.state, self.pulse.reason) != ("paused", reason):
            self.pulse = replace(self.pulse, state="paused", reason=reason, since=now())

    def go_on(self) -> None:
        """Have the heartbeat tell that the run does not wait any more."""
        if self.pulse.state == "paused":
            self.pulse = replace(self.pulse, state="running", reason=self._doing, since=now())
            self._progress()

    def _refresh(self) -> None:
        state = self._state
        leader = state.leader
        score = state.score_of(leader) if leader else None
        self._progress(
            trials=max(self._planned, len(state.trials)),
            trials_done=state.done,
            epochs=state.epochs,
            best=score.value if score else None,
            best_trial=leader,
            slowest_epoch=state.slowest_epoch,
        )

    def _progress(self, **facts: Any) -> None:
        self.pulse = replace(self.pulse, progressed=now(), **facts)
