"""What a driver's heartbeat reports of its run, and how the run stands by that and by its events.

A run is running, paused, interrupted, finished or stuck, since some time and for a reason. It follows from two facts:
the last event about the run, and whether the driver that its lock names lives.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from orchestrator.records.events import TrialWaits
from orchestrator.records.folder import RunFolder
from orchestrator.records.lock.driver import (
    STALE_SECONDS,
    Driver,
    Heartbeat,
    age_by_server,
    is_driving,
    look,
    now,
)
from orchestrator.records.state import RunState

_ASKED = "asked to pause: "
MOST_NAMED = 128
"""So many trials in training are named in a heartbeat, which is a small block; more are not."""


class RunProgress:
    """Keeps what the next heartbeat reports: ``heartbeat``, a frozen value that another thread may read at any time."""

    def __init__(self) -> None:
        time = now()
        self.heartbeat = Heartbeat(since=time, progressed=time)
        self._state = RunState("val_accuracy", "max")
        self._planned = 0
        self._doing: str | None = None

    def begin(self, state: RunState, trials: int) -> None:
        """Follow a run's state from here on; it has so many ``trials`` in all."""
        self._state = state
        self._planned = trials
        self._refresh()

    def refresh(self) -> None:
        """Report how far the state has come."""
        self._refresh()
        state = self._state
        if state.open and state.open <= state.paused:
            self.pause(_ASKED + ", ".join(sorted(state.open)))
        elif self.heartbeat.reason and self.heartbeat.reason.startswith(_ASKED):
            self.go_on()

    def examines(self, what: str | None) -> None:
        """Report what is examined after the last trial; None when that is over."""
        self._doing = None if what is None else f"examining {what}"
        self._progress(reason=self._doing)

    def waits_for(self, what: str | None) -> None:
        """Report what happens while nothing trains yet; None when something does."""
        if self.heartbeat.doing != what:
            self._progress(doing=what)

    def pause(self, reason: str) -> None:
        """Report that the run waits, and for what, such as room on the disk."""
        if (self.heartbeat.state, self.heartbeat.reason) != ("paused", reason):
            self.heartbeat = replace(self.heartbeat, state="paused", reason=reason, since=now())

    def go_on(self) -> None:
        """Report that the run no longer waits."""
        if self.heartbeat.state == "paused":
            self.heartbeat = replace(
                self.heartbeat, state="running", reason=self._doing, since=now()
            )
            self._progress()

    def _refresh(self) -> None:
        state = self._state
        leader = state.leader
        score = state.score_of(leader) if leader else None
        self._progress(
            trials=max(self._planned, len(state.trials) - state.again),
            trials_done=state.done,
            epochs=state.epochs,
            best=score.value if score else None,
            best_trial=leader,
            slowest_epoch=state.slowest_epoch,
            in_training=_named(state.open - state.waiting),
        )

    def _progress(self, **facts: Any) -> None:
        self.heartbeat = replace(self.heartbeat, progressed=now(), **facts)


def _named(trials: frozenset[str]) -> str | None:
    return " ".join(sorted(trials)) if len(trials) <= MOST_NAMED else None


def waits_told(state: RunState, heartbeat: Heartbeat) -> list[TrialWaits]:
    """Return which trials a driver's heartbeat tells to wait for their promotion, and which no longer.

    One that has no epoch yet may have begun after the beat: it waits for nothing. Where the heartbeat names none, an
    empty list.
    """
    if heartbeat.in_training is None:
        return []
    training = set(heartbeat.in_training.split())
    waiting = {trial for trial in state.open - training if state.history(trial).rows}
    told = [TrialWaits(trial) for trial in sorted(waiting - state.waiting)]
    return told + [TrialWaits(trial, False) for trial in sorted(state.waiting - waiting)]


NO_PROGRESS_SECONDS = 600.0
NO_PROGRESS_EPOCHS = 5
"""A driver that lives is stuck after so many of its slowest epochs, but not before ten minutes."""
NO_EPOCH_SECONDS = 7200.0
"""Before the run's first epoch nobody knows how long one takes."""
GIVEN_UP = "given up"
"""How the reason begins of a run that ended because too many of its trials failed."""
_BEGINNINGS = ("run_started", "extended")
_ENDINGS = {"run_finished": "finished", "run_interrupted": "interrupted"}


@dataclass(frozen=True)
class SeenDriver:
    """A run's driver as it was found: whether it lives, and the seconds since its last heartbeat."""

    driver: Driver
    drives: bool
    age: float


@dataclass(frozen=True)
class Standing:
    """A run's ``state``, since when (None: not known), and the ``reason`` where there is one."""

    state: str
    since: str | None = None
    reason: str | None = None


def see_driver(folder: RunFolder) -> SeenDriver | None:
    """Return who drives a run, or drove it last; None where its lock does not say."""
    seen = look(folder.driver_file)
    if seen is None or seen.driver is None:
        return None
    if seen.driver.heartbeat.state == "ended":
        return SeenDriver(seen.driver, drives=False, age=seen.age())
    age = age_by_server(seen, folder.path)
    return SeenDriver(seen.driver, is_driving(seen, age=age), age)


def standing(
    events: Iterable[Mapping[str, Any]], seen: SeenDriver | None, last_record: str | None = None
) -> Standing:
    """Return where a run stands; ``last_record`` is the time of the newest line of its records."""
    told = [event for event in events if event["event"] in (*_ENDINGS, *_BEGINNINGS)]
    last = told[-1] if told else None
    if last is not None and last["event"] == "run_finished":
        return Standing("finished", last.get("time"), last.get("reason"))
    if seen is not None and seen.drives:
        return _driven(seen)
    if last is not None and last["event"] == "run_interrupted":
        return Standing("interrupted", last.get("time"), last.get("reason"))
    died = seen is not None and seen.driver.heartbeat.state != "ended"
    since = seen.driver.beat if seen is not None else last_record
    return Standing("interrupted", since, "its driver died" if died else None)


def _driven(seen: SeenDriver) -> Standing:
    heartbeat = seen.driver.heartbeat
    if seen.age > STALE_SECONDS:
        silent = f"no heartbeat from its driver for {seen.age:.0f} seconds"
        return Standing("stuck", seen.driver.beat, silent)
    if heartbeat.state == "paused":
        return Standing("paused", heartbeat.since, heartbeat.reason)
    if heartbeat.reason:  # the winner's examination, which its driver ends where it lasts too long
        return Standing("running", heartbeat.since, heartbeat.reason)
    # Both times are the driver's own: another machine's clock says nothing about the time between.
    still = _seconds_since(heartbeat.progressed, seen.driver.beat) + seen.age
    if still <= max(NO_PROGRESS_SECONDS, NO_PROGRESS_EPOCHS * heartbeat.slowest_epoch):
        return Standing("running", heartbeat.since, heartbeat.doing)
    if heartbeat.epochs:
        return Standing("stuck", heartbeat.progressed, f"no progress for {still:.0f} seconds")
    reason = f"no epoch yet for {still:.0f} seconds"
    if still <= NO_EPOCH_SECONDS:
        return Standing("running", heartbeat.since, reason)
    return Standing("stuck", heartbeat.progressed, reason)


def _seconds_since(first: str, last: str) -> float:
    try:
        return (datetime.fromisoformat(last) - datetime.fromisoformat(first)).total_seconds()
    except ValueError:
        return 0.0


def seconds_worked(events: Iterable[Mapping[str, Any]], last: str | None) -> float:
    """Return the wall-clock seconds that a run's drivers worked on it, without the pauses between them.

    ``last`` is when a driver that has not ended was last active, None where there is none.
    """
    total, since = 0.0, None
    for event in events:
        if event["event"] == "taken_over" and since is not None:  # from a driver that was killed
            total += _seconds_since(since, str((event.get("from") or {}).get("beat")))
            since = None
        elif event["event"] == "run_started":
            since = event["time"]
        elif event["event"] in _ENDINGS and since is not None:
            total += _seconds_since(since, event["time"])
            since = None
    return total + (_seconds_since(since, last) if since and last else 0.0)
