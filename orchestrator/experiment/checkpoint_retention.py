"""Which checkpoints of a run are kept: those of its best trials, and of all that may still go on."""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.records import RunFolder, RunState
from orchestrator.trials import StateStore


class CheckpointRetention:
    """Keeps the checkpoints of the best ``keep`` over all trials; the newest group comes first."""

    def __init__(self, folder: RunFolder, state: RunState, keep: int) -> None:
        self._states = StateStore.of(folder)
        self._state = state
        self._keep = max(1, keep)
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
        # A trial without a checkpoint takes nobody's place.
        ranked = self._ranked(n for n in {*self._kept, trial} if self._states.best(n).exists())
        self._kept = ranked[: self._keep]
        for name in {trial, *ranked} - {*self._kept} - self._open:
            self._states.best(name).unlink(missing_ok=True)

    def _ranked(self, trials: Iterable[str]) -> list[str]:
        state = self._state
        return sorted((name for name in trials if state.score_of(name)), key=state.rank)
