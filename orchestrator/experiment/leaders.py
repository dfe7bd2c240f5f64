"""The best trials of a run so far, and the checkpoints that are kept because of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.records import RunFolder, RunRecords, best_epoch, is_better
from orchestrator.strategies import Plan


class Leaders:
    """Keeps the checkpoints of the best ``keep_checkpoints`` over all trials; the newest group comes first.

    ``best`` is the (epoch, value) of each trial that has one, ``groups`` the group of each trial.
    """

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._kept: list[str] = []
        self.best: dict[str, tuple[int, float]] = {}
        self.groups: dict[str, int] = {}

    def remember(self, before: RunRecords) -> None:
        """Take up the bests that an earlier driver recorded."""
        self.groups |= {trial.trial: trial.group for trial in before.trials}
        # By epochs, not by trials: the line that a trial began may be the one that was lost.
        for name in dict.fromkeys(str(row["trial"]) for row in before.epochs):
            self.set_best(name, before.best_of(name))

    def set_best(self, trial: str, best: tuple[int, float] | None) -> None:
        """Note a trial's best, which a rollback may have taken away."""
        self.best.pop(trial, None)
        if best is not None:
            self.best[trial] = best

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note finished epochs of one trial."""
        trial = rows[0]["trial"]
        new = best_epoch(rows, self._plan.metric, self._plan.mode)
        old = self.best.get(trial)
        if new is not None and is_better(new[1], old[1] if old else None, self._plan.mode):
            self.best[trial] = new

    def ended(self, trial: str) -> None:
        """Keep an ended trial's checkpoint where it is among the best, delete those that are no longer."""
        sign = -1.0 if self._plan.mode == "max" else 1.0
        candidates = [name for name in self._kept if name != trial]
        candidates += [trial] if trial in self.best else []
        candidates.sort(key=lambda n: (-self.groups.get(n, 1), sign * self.best[n][1], n))
        self._kept = candidates[: max(1, self._plan.keep_checkpoints)]
        if trial not in self._kept:
            self._checkpoint(trial).unlink(missing_ok=True)
        for dropped in candidates[len(self._kept) :]:
            self._checkpoint(dropped).unlink(missing_ok=True)

    def first(self) -> Path | None:
        """Return the checkpoint of the newest group's best trial that has one."""
        newest = max(self.groups.values(), default=1)
        ranked = (trial for trial in self._kept if self.groups.get(trial, 1) == newest)
        return next((file for file in map(self._checkpoint, ranked) if file.exists()), None)

    def _checkpoint(self, trial: str) -> Path:
        return self._folder.checkpoints / f"{trial}.npz"
