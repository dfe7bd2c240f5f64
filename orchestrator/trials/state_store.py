"""Where the states of a run's trials lie. Names and contents of their files are known in this room alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.errors import RecordError
from orchestrator.records import Mode, RunFolder, score_of
from orchestrator.trials.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from orchestrator.trials.days import DayCheckpoints

_LAST = ".last.npz"


@dataclass(frozen=True)
class StateStore:
    """The best state of each trial, the last state of each one in training, and the days of babysat ones."""

    folder: Path

    @classmethod
    def of(cls, run: RunFolder) -> StateStore:
        """Return the store of a run."""
        return cls(run.checkpoints)

    def best(self, trial: str) -> Path:
        """Return where a trial's best state lies."""
        return self.folder / f"{trial}.npz"

    def last(self, trial: str) -> Path:
        """Return where a trial's last state lies while it trains."""
        return self.folder / f"{trial}{_LAST}"

    def days(self, trial: str, keep_days: int | None = None) -> DayCheckpoints:
        """Return the days of a babysat trial."""
        return DayCheckpoints(self.folder / trial, keep_days)

    def has_best(self, trial: str) -> bool:
        """Return whether a trial's best state is kept; a babysat one's is put back from beside its days."""
        best = self.best(trial)
        return best.exists() or self.days(trial).bring_back_best(best)

    def with_best(self) -> list[str]:
        """Return the trials whose best state is kept."""
        kept = (file.name for file in self.folder.glob("*.npz") if not file.name.endswith(_LAST))
        return sorted(name.removesuffix(".npz") for name in kept)

    def about(self, state: Path) -> dict[str, Any]:
        """Return what a state tells of itself: trial, epoch, seed, what was chosen. Raises RecordError."""
        return load_checkpoint(state).about

    def last_states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield each trial that has a whole last state, and what that tells of itself."""
        for file in sorted(self.folder.glob(f"*{_LAST}")):
            try:
                yield file.name.removesuffix(_LAST), self.about(file)
            except RecordError:
                continue  # the trial will start again

    def forget_last(self, trial: str) -> None:
        """Delete a trial's last state: it is over, or starts again."""
        self.last(trial).unlink(missing_ok=True)

    def forget(self, trial: str) -> None:
        """Delete a trial's states: it begins anew."""
        self.forget_last(trial)
        self.best(trial).unlink(missing_ok=True)

    def go_on_from_best(self, trial: str, epoch: int, metric: str, mode: Mode) -> bool:
        """Make a trial's best state its last one, from which it goes on, where it is that of its last ``epoch``.

        Returns whether there is a last state now; a trial without one trains again from its seed, which gives the same.
        """
        best, last = self.best(trial), self.last(trial)
        if last.exists() or not best.exists():
            return last.exists()
        try:
            found = load_checkpoint(best)
        except RecordError:
            return False
        score = score_of(found.about, metric, mode) if "metrics" in found.about else None
        if found.about.get("epoch") != epoch or score is None:
            return False
        about = {**found.about, "best": score.to_plain(), "rows": []}
        save_checkpoint(last, Checkpoint(found.model, found.optimizer, about))
        return True
