"""The best trials of a run so far, and the checkpoints that are kept because of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.records import RunFolder, RunRecords, Score, best_score
from orchestrator.strategies import Plan, TrialSpec


class Leaders:
    """Keeps the checkpoints of the best ``keep_checkpoints`` over all trials; the newest group comes first.

    ``best`` is the score of each trial that has one, ``groups`` the group of each trial.
    """

    def __init__(self, folder: RunFolder, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._kept: list[str] = []
        self._open: set[str] = set()
        self._newest = 1
        self._drawn: dict[str, int] = {}
        self.best: dict[str, Score] = {}
        self.groups: dict[str, int] = {}

    def remember(self, before: RunRecords) -> None:
        """Take up the bests that an earlier driver recorded."""
        self.groups |= {trial.trial: trial.group for trial in before.trials}
        self._drawn |= {trial.trial: trial.index for trial in before.trials}
        self._newest = max([self._newest, *self.groups.values()])
        # By epochs, not by trials: the line that a trial began may be the one that was lost.
        for name in dict.fromkeys(str(row["trial"]) for row in before.epochs):
            self.set_best(name, before.score_of(name))

    def set_best(self, trial: str, best: Score | None) -> None:
        """Note a trial's best, which a rollback may have taken away."""
        self.best.pop(trial, None)
        if best is not None:
            self.best[trial] = best

    def epochs(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note finished epochs of one trial."""
        trial = rows[0]["trial"]
        new = best_score(rows, self._plan.metric, self._plan.mode)
        if new is not None and new.beats(self.best.get(trial)):
            self.best[trial] = new

    def started(self, spec: TrialSpec) -> None:
        """Note that a trial is in training: its best may still change, and its state stays."""
        trial, group = spec.trial, spec.group
        self.groups[trial] = group
        self._drawn[trial] = spec.index
        self._newest = max(self._newest, group)
        self._open.add(trial)
        self._kept = [name for name in self._kept if name != trial]

    def ended(self, trial: str, for_good: bool = True) -> None:
        """Keep the best checkpoints of the trials that ended, delete those that are no longer among them.

        One that may go on (not ``for_good``, in the newest group) keeps its own in any case: its last state may be of
        an epoch, better than the records know, that it will tell again but whose checkpoint it will not write again.
        """
        goes_on = not for_good and self.groups.get(trial, 1) == self._newest
        (self._open.add if goes_on else self._open.discard)(trial)
        # What has no checkpoint takes nobody's place.
        ranked = self._ranked(n for n in {*self._kept, trial} if self._checkpoint(n).exists())
        self._kept = ranked[: max(1, self._plan.keep_checkpoints)]
        for name in {trial, *ranked} - {*self._kept} - self._open:
            self._checkpoint(name).unlink(missing_ok=True)

    def _ranked(self, trials: Iterable[str]) -> list[str]:
        """Return those that have a best, best first, the newest group's before older ones'."""

        def rank(name: str) -> tuple[Any, ...]:
            drawn = self._drawn.get(name, 0)
            return (-self.groups.get(name, 1), self.best[name].rank, drawn, name)

        return sorted((name for name in trials if name in self.best), key=rank)

    def first(self) -> str | None:
        """Return the newest group's best trial, be its checkpoint gone."""
        newest = (trial for trial in self.best if self.groups.get(trial, 1) == self._newest)
        return next(iter(self._ranked(newest)), None)

    def _checkpoint(self, trial: str) -> Path:
        return self._folder.checkpoints / f"{trial}.npz"
