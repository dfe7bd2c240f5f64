"""A run that can be asked for its table, its epochs and its model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog import CallableReference
from orchestrator.errors import RecordError
from orchestrator.experiment.asking import Asking
from orchestrator.records import GIVEN_UP, RunFolder, RunRecords, model_is_as_saved, read_run

if TYPE_CHECKING:
    import pandas as pd  # noqa: TID251 (a type alone)


@dataclass(frozen=True)
class Best:
    """The winner: its trial, hyperparameters, best epoch and value, and scores of the final model."""

    trial: str
    epoch: int
    value: float
    hyperparameters: dict[str, Any]
    validation: dict[str, float] | None
    test: dict[str, float] | None


class Run(Asking):
    """A run's folder, read when asked; ``reload`` after it went on.

    Damaged lines of its records are left out with a warning; where it is to be ``exact`` they are a RecordError.
    ``builder`` is the model's, where it was given in Python.
    """

    def __init__(
        self, folder: RunFolder, exact: bool = False, builder: CallableReference | None = None
    ) -> None:
        self.folder = folder
        self._exact = exact
        self.builder = builder

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r}, {self.status})"

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @cached_property
    def records(self) -> RunRecords:
        """Everything recorded."""
        return read_run(self.folder.path, exact=self._exact)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.records.name

    @property
    def status(self) -> str:
        """running, paused, interrupted, finished or stuck."""
        return self.records.status

    @property
    def since(self) -> str | None:
        """When the run came to be as its status says (UTC); None where that is not known."""
        return self.records.standing.since

    @property
    def succeeded(self) -> bool:
        """Whether a trial of the newest group got through: finished or stopped in time, with a finite value."""
        return any(trial.status in ("finished", "stopped") for trial in self.records.contenders)

    @property
    def given_up(self) -> bool:
        """Whether the run ended because too many of its trials failed."""
        return self.status == "finished" and (self.records.standing.reason or "").startswith(
            GIVEN_UP
        )

    def reload(self) -> Run:
        """Return the run as it is on disk now."""
        return Run(self.folder, builder=self.builder)

    def table(self) -> pd.DataFrame:
        """Return one row a trial, best first."""
        from orchestrator.report import trials_table

        return trials_table(self.records)

    def epochs(self) -> pd.DataFrame:
        """Return one row an epoch of a trial."""
        from orchestrator.report import epochs_table

        return epochs_table(self.records)

    @property
    def best(self) -> Best | None:
        """The best trial, None where no trial has a finite value."""
        for trial in self.records.contenders[:1]:
            found = self.records.of(trial.trial).best
            if found is None:
                return None
            winner = self.records.winner or {}
            judged = winner if winner.get("trial") == trial.trial else {}
            return Best(
                trial.trial,
                found.epoch,
                found.value,
                dict(judged.get("hyperparameters") or trial.hyperparameters),
                judged.get("validation"),
                judged.get("test"),
            )
        return None

    @property
    def model_file(self) -> Path:
        """The winner's model. Raises RecordError where no winner was examined, or its model is not as it was saved."""
        file = self.folder.best / "model.keras"
        if not model_is_as_saved(self.records):
            found = "another content" if file.exists() else "no file"
            raise RecordError(
                f"{file}: expected the winner's model as it was saved. Received: {found}."
                f" 'orchestrator resume {self.path}' saves it again from its checkpoint."
            )
        if not file.exists():
            why = (self.records.winner or {}).get("not_saved") or self._no_winner()
            raise RecordError(f"{file}: expected the winner's model. Received: {why}")
        return file

    def _no_winner(self) -> str:
        function = self.records.experiment.get("trial")
        if function:
            return f"a run whose trials call {function}, which keeps its model itself."
        failed = sum(trial.status == "failed" for trial in self.records.trials)
        if self.status == "finished" and failed and not self.succeeded:
            return f"a run without one: {failed} of its trials failed. 'orchestrator show {self.path}' says why."
        return f"a run that is {self.status}, without one."

    def load_model(self, model: Any = None) -> Any:
        """Return the winner as a keras.Model that takes raw rows; loaded in Keras's safe mode.

        Classes that Keras does not know are those of the model's own file. Where Keras could not save the model it is
        built anew around the weights that were kept; ``model`` is the function that built it, of a run that was given
        one in Python. Raises RecordError where neither can be.
        """
        from orchestrator.experiment.given import given_objects
        from orchestrator.experiment.winner import load_winner

        builder = self.builder if model is None else given_objects(model=model).model
        return load_winner(self, builder)

    def predict(self, x: Any) -> pd.DataFrame:
        """Return what the winner says of rows: one row each, a class and its probabilities, flags, or quantities.

        ``x`` is what training takes, without labels or with them: a frame, an array, a dictionary of arrays by input or
        of a table's columns, a tf.data.Dataset, the path of a .csv, .parquet, .npz or .npy file, of a picture or of a
        folder of them, or a function as ``./load.py:new``. Raises DataError for rows that do not fit.
        """
        from orchestrator.experiment.winner import predict

        return predict(self, x)


def open_run(path: str | Path, storage: str | Path = "./runs") -> Run:
    """Return a run from its folder, or by its name below ``storage``."""
    return Run(RunFolder.open(path, storage))
