"""How far a run has come, kept while it is written down: what its driver's heartbeat tells."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.records.best import Mode, Score, score_of
from orchestrator.records.driver import Pulse, now

if TYPE_CHECKING:
    from orchestrator.records.run import RunRecords


class Tally:
    """Is told what is recorded, and has the run's ``pulse``: a value, so that a thread may read it any time."""

    def __init__(self) -> None:
        time = now()
        self.pulse = Pulse(since=time, progressed=time)
        self._metric = "val_accuracy"
        self._mode: Mode = "max"
        self._best: Score | None = None
        self._trials: set[str] = set()
        self._open: set[str] = set()
        self._waiting: set[str] = set()
        self._doing: str | None = None

    def begin(
        self, metric: str, mode: Mode, waiting: Collection[str], before: RunRecords | None = None
    ) -> None:
        """Take up what a run is judged by, which trials are yet to end, and what earlier drivers did."""
        self._metric, self._mode = metric, mode
        trials = len(waiting)
        if before is None:
            self.pulse = replace(self.pulse, trials=trials)
            return
        ended = {t.trial for t in before.trials if t.ending not in (None, "interrupted")}
        over = ended - set(waiting)  # a finished one may go on
        self._trials = {trial.trial for trial in before.trials}
        self._best = before.score_of(before.ranked[0].trial) if before.ranked else None
        self.pulse = replace(
            self.pulse,
            trials=len(over) + trials,
            trials_done=len(over),
            epochs=len(before.epochs),
            best=self._best.value if self._best else None,
            best_trial=before.ranked[0].trial if self._best else None,
            slowest_epoch=max((_seconds(row) for row in before.epochs), default=0.0),
        )

    def trial_started(self, trial: str) -> None:
        """Note that a trial began, one beyond the plan (a branch) among them."""
        self._open.add(trial)
        self._trials.add(trial)
        self._progress(trials=max(self.pulse.trials, len(self._trials)))

    def epochs(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Note finished epochs."""
        pulse = self.pulse
        for row in rows:
            score = score_of(row, self._metric, self._mode)
            slowest = max(pulse.slowest_epoch, _seconds(row))
            pulse = replace(pulse, epochs=pulse.epochs + 1, slowest_epoch=slowest)
            if score is not None and score.beats(self._best):
                self._best = score
                pulse = replace(pulse, best=score.value, best_trial=row["trial"])
        self.pulse = pulse
        self._progress()

    def journal(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Note which babysat trials wait for somebody's word: where all do, the run is paused."""
        for entry in entries:
            if entry["kind"] != "applied" or entry.get("action") not in ("pause", "continue"):
                continue
            if entry["action"] == "pause":
                self._waiting.add(entry["trial"])
            else:
                self._waiting.discard(entry["trial"])
        self._wait_or_go_on()

    def trial_ended(self, trial: str, status: str) -> None:
        """Note how a trial ended."""
        self._open.discard(trial)
        self._waiting.discard(trial)
        self._progress(trials_done=self.pulse.trials_done + (status != "interrupted"))
        self._wait_or_go_on()

    def examines(self, what: str | None) -> None:
        """Have the heartbeat tell what is examined after the last trial; None: nothing any more."""
        self._doing = None if what is None else f"examining {what}"
        self._progress(why=self._doing)

    def pause(self, why: str) -> None:
        """Have the heartbeat tell that the run waits, and for what: room on the disk, say."""
        if (self.pulse.state, self.pulse.why) != ("paused", why):
            self.pulse = replace(self.pulse, state="paused", why=why, since=now())

    def go_on(self) -> None:
        """Have the heartbeat tell that the run does not wait any more."""
        if self.pulse.state == "paused":
            self.pulse = replace(self.pulse, state="running", why=self._doing, since=now())
            self._progress()

    def _wait_or_go_on(self) -> None:
        if self._open and self._open <= self._waiting:
            self.pause("asked to, at " + ", ".join(sorted(self._open)))
        elif self.pulse.why and self.pulse.why.startswith("asked to"):
            self.go_on()

    def _progress(self, **facts: Any) -> None:
        self.pulse = replace(self.pulse, progressed=now(), **facts)


def _seconds(row: Mapping[str, Any]) -> float:
    return float(row.get("seconds") or 0.0)
